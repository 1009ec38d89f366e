"""The command ``trajtransfer``: list and run notebooks, reproduce a profile, compare results, build the book."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from trajtransfer import book, runner
from trajtransfer.networks import home
from trajtransfer.settings import SETTINGS

COSTS = {
    "run": "execute one notebook with parameters of your own: under a minute for settings on the bundled digits, a quarter of "
    "an hour for Fashion-MNIST at width 4096 on two cores, hours for Conv8 on one GPU, days for ImageNet",
    "reproduce": "execute all notebooks of a profile: quick (two cores, minutes), laptop (two cores, one to two hours), gpu (one "
    "GPU, under an hour), paper (one GPU, weeks: ImageNet)",
}


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

    def command(name: str, action: Callable[[argparse.Namespace], None], text: str) -> argparse.ArgumentParser:
        """A command whose help says the same in the list and on its own."""
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(command=action)
        return sub

    command("list", _list, "show the notebooks and settings with their parameters (seconds)")
    run = command("run", _run, COSTS["run"])
    run.add_argument("notebook", help="a name from `trajtransfer list`")
    run.add_argument("-p", "--parameter", action="append", default=[], metavar="NAME=VALUE", help="may be repeated")
    run.add_argument("--device", help="cpu, cuda, cuda:1, … (default: CUDA when there)")
    run.add_argument("--output", type=Path, help="folder of the executed notebook, its JSON and CSV (default: runs/own)")
    reproduce = command("reproduce", _reproduce, COSTS["reproduce"])
    reproduce.add_argument("--profile", default="quick", help="a file of notebooks/profiles (default: quick)")
    reproduce.add_argument("--only", nargs="+", default=[], metavar="RUN", help="make these runs anew and keep the others")
    reproduce.add_argument("--device", help="cpu, cuda, cuda:1, … (default: CUDA when there)")
    reproduce.add_argument("--output", type=Path, help="folder of the results (default: runs/PROFILE)")
    build = command("book", _book, "render the book of executed results, computing nothing (under a minute)")
    build.add_argument("--results", type=Path, help="a folder made by reproduce (default: the published results)")
    compare = command("compare", _compare, "put the checks of two folders of results side by side; fails where a verdict differs")
    compare.add_argument("first", type=Path, help="a folder made by reproduce")
    compare.add_argument("second", type=Path, help="another, such as tests/reference (quick) or book/published")
    return parser


def _list(options: argparse.Namespace) -> None:
    for path in runner.notebooks(home()):
        print(path.stem)
        for p in runner.parameters(path).values():
            print(f"  {p.name}: {p.type} = {p.default!r}  {p.help}")
    print("settings")
    for name, chosen in SETTINGS.items():
        print(f"  {name}: {chosen.title()}; {chosen.summary()['training']}")


def _run(options: argparse.Namespace) -> None:
    given = dict(runner.parse_assignment(text) for text in options.parameter)
    if options.device:
        given["device"] = options.device
    output = options.output or home() / "runs" / "own"
    print(runner.run(home(), options.notebook, given, output, name=options.notebook, profile="own"))


def _reproduce(options: argparse.Namespace) -> None:
    output = options.output or home() / "runs" / options.profile
    print(runner.reproduce(home(), options.profile, output, options.device, options.only))


def _book(options: argparse.Namespace) -> None:
    print(book.build(home(), options.results or home() / "book" / "published"))


def _compare(options: argparse.Namespace) -> None:
    text, turned = book.compare(home(), options.first, options.second)
    print(text)
    if turned:
        raise runner.RunError(f"other verdicts: {', '.join(turned)}")


if __name__ == "__main__":
    sys.exit(main())
