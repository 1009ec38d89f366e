"""The command ``trajtransfer``: list the notebooks, run one with parameters, reproduce a profile, build the book."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from trajtransfer import book, runner
from trajtransfer.networks import home


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code: 0 done, 1 refused or failed (the reason on stderr), 130 interrupted."""
    options = _parser().parse_args(arguments)
    try:
        options.command(options)
    except KeyboardInterrupt:
        print("interrupted; nothing half-written was kept", file=sys.stderr)
        return 130
    except (runner.RunError, ValueError, OSError) as error:
        print(f"trajtransfer: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="trajtransfer", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    list_ = commands.add_parser("list", help="show the notebooks with their parameters (seconds)")
    list_.set_defaults(command=_list)

    run = commands.add_parser(
        "run", help="execute one notebook with parameters of your own (from a minute to days: see the setting)"
    )
    run.add_argument("notebook", help="a name from `trajtransfer list`")
    run.add_argument(
        "-p", "--parameter", action="append", default=[], metavar="NAME=VALUE", help="set a parameter; may be repeated"
    )
    run.add_argument("--device", help="cpu, cuda, cuda:1, … (default: CUDA when there)")
    run.add_argument("--output", type=Path, help="folder of the executed notebook, its JSON and CSV (default: runs/own)")
    run.set_defaults(command=_run)

    reproduce = commands.add_parser(
        "reproduce",
        help="execute all notebooks of a profile: quick (two cores, minutes), laptop (two cores, under an hour), "
        "gpu (one GPU, hours), paper (one GPU, weeks: ImageNet)",
    )
    reproduce.add_argument("--profile", default="quick", help="a file of notebooks/profiles (default: quick)")
    reproduce.add_argument("--device", help="cpu, cuda, cuda:1, … (default: CUDA when there)")
    reproduce.add_argument("--output", type=Path, help="folder of the results (default: runs/PROFILE)")
    reproduce.set_defaults(command=_reproduce)

    build = commands.add_parser("book", help="render the book of executed results, computing nothing (under a minute)")
    build.add_argument("--results", type=Path, help="a folder made by reproduce (default: the published results)")
    build.set_defaults(command=_book)
    return parser


def _list(options: argparse.Namespace) -> None:
    for path in runner.notebooks(home()):
        print(path.stem)
        for p in runner.parameters(path).values():
            print(f"  {p.name}: {p.type} = {p.default!r}  {p.help}")


def _run(options: argparse.Namespace) -> None:
    given = dict(runner.parse_assignment(text) for text in options.parameter)
    if options.device:
        given["device"] = options.device
    output = options.output or home() / "runs" / "own"
    print(runner.run(home(), options.notebook, given, output, name=options.notebook, profile="own"))


def _reproduce(options: argparse.Namespace) -> None:
    output = options.output or home() / "runs" / options.profile
    print(runner.reproduce(home(), options.profile, output, options.device))


def _book(options: argparse.Namespace) -> None:
    print(book.build(home(), options.results or home() / "book" / "published"))


if __name__ == "__main__":
    sys.exit(main())
