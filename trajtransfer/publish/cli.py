"""The command ``trajtransfer``: list and run notebooks, reproduce a profile, compare results, build the book."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from trajtransfer.paper.storage.project import RunError, checkout

# What does the work, and torch with it, is imported by the commands that do it: help and refusals should not wait for it.

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
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("interrupted; nothing half-written was kept", file=sys.stderr)
        return 130
    except BrokenPipeError:  # a reader that had enough, such as `head`; nothing more can be said on this pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if options.command is not _list:
            print("trajtransfer: stopped, since nothing reads what it says", file=sys.stderr)
            return 1
    except (RunError, ValueError, OSError) as error:
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
    compare = command(
        "compare", _compare, "put two folders of results side by side; fails where a verdict or a number beyond tolerance differs"
    )
    compare.add_argument("first", type=Path, help="a folder made by reproduce")
    compare.add_argument("second", type=Path, help="another, such as tests/reference (quick) or book/published")
    return parser


def _list(options: argparse.Namespace) -> None:
    root = checkout("notebooks")
    from trajtransfer.paper.settings import SETTINGS
    from trajtransfer.publish.run_parameters import notebooks, parameters

    for path in notebooks(root):
        print(path.stem)
        for p in parameters(path).values():
            print(f"  {p.name}: {p.type} = {p.default!r}  {p.help}")
    print("settings")
    for name, chosen in SETTINGS.items():
        print(f"  {name}: {chosen.title()}; {chosen.summary()['training']}")


def _run(options: argparse.Namespace) -> None:
    root = checkout("notebooks")
    from trajtransfer.publish.run_parameters import parse_assignment
    from trajtransfer.publish.runner import own_run

    given = dict(parse_assignment(text) for text in options.parameter)
    if len(given) < len(options.parameter):
        raise RunError("a parameter is given twice by -p; give each once")
    if options.device and "device" in given:
        raise RunError("the device is given twice, by -p and by --device; give it once")
    if options.device:
        given["device"] = options.device
    print(own_run(root, options.notebook, given, options.output or root / "runs" / "own"))


def _reproduce(options: argparse.Namespace) -> None:
    root = checkout("notebooks")
    from trajtransfer.publish.profiles import reproduce

    output = options.output or root / "runs" / options.profile
    print(reproduce(root, options.profile, output, options.device, options.only))


def _book(options: argparse.Namespace) -> None:
    root = checkout("_toc.yml", "_config.yml", "book", "notebooks")
    from trajtransfer.publish import build

    print(build.book(root, options.results or root / "book" / "published"))


def _compare(options: argparse.Namespace) -> None:
    root = checkout("book/claims.yml")
    from trajtransfer.paper.storage import results
    from trajtransfer.paper.storage.documents import read_claims
    from trajtransfer.publish import comparison

    (_, first), (_, second) = (results.read(folder) for folder in (options.first, options.second))
    found = comparison.compare(read_claims(root), first, second)
    print(found.text)
    if not found.compared:
        raise RunError(f"{options.first} and {options.second} have no two runs of the same parameters and data")
    if found.turned or found.changed:
        turned = f"other verdicts: {', '.join(found.turned) or 'none'}"
        raise RunError(f"{turned}; numbers that differ beyond tolerance: {len(found.changed)}")


if __name__ == "__main__":
    sys.exit(main())
