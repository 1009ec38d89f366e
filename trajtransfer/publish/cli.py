"""The command ``trajtransfer``: run notebooks, reproduce profiles, compare, build the book."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from trajtransfer.paper.storage.project import RunError, checkout

if TYPE_CHECKING:
    from trajtransfer.publish.cluster.engine import Engine

# What does the work, and torch with it, is imported by the commands that do it: help and refusals
# should not wait for it.

COSTS = {
    "run": (
        "execute one notebook with parameters of your own: under a minute for settings on the "
        "bundled digits, a quarter of an hour for Fashion-MNIST at width 4096 on two cores, hours "
        "for Conv8 on one GPU, days for ImageNet"
    ),
    "reproduce": (
        "execute all notebooks of a profile: quick (two cores, minutes), laptop (two cores, three "
        "hours), overnight (laptop and more), gpu (one GPU, under an hour), paper (one GPU, weeks: "
        "ImageNet), repeat (three runs of laptop on other threads, minutes)"
    ),
    "compare": (
        "put two folders of results side by side; fails where a verdict or a number beyond "
        "tolerance differs"
    ),
}
DEVICE = "cpu, cuda, cuda:1, … (default: CUDA when there)"


def main(arguments: list[str] | None = None) -> int:
    """Run one command. Returns the exit code: 0 done, 1 refused or failed, 130 interrupted.

    The reason of a refusal or failure goes to stderr.
    """
    options = _parser().parse_args(arguments)
    try:
        options.command(options)
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("interrupted; nothing half-written was kept", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return _unheard(options)
    except ModuleNotFoundError as error:
        return _refused(_missing_package(error))
    except (RunError, ValueError, OSError) as error:
        return _refused(str(error))
    return 0


def _refused(reason: str) -> int:
    print(f"trajtransfer: {reason}", file=sys.stderr)
    return 1


def _unheard(options: argparse.Namespace) -> int:
    """What reads our output had enough, such as `head`; nothing more can be said on this pipe."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if options.command is _list:
        return 0
    return _refused("stopped, since nothing reads what it says")


def _missing_package(error: ModuleNotFoundError) -> str:
    """What to do about a package of others that is not installed; our own are never missing."""
    package, _, _ = (error.name or "").partition(".")
    if package in ("", "trajtransfer"):
        raise error
    return (
        f"this command needs the package {package}, which is not installed; get it, and all that "
        'the commands need, by pip install "trajtransfer[paper]"'
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="trajtransfer", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(
        name: str, action: Callable[[argparse.Namespace], None], text: str
    ) -> argparse.ArgumentParser:
        """A command whose help says the same in the list and on its own."""
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(command=action)
        return sub

    command("list", _list, "show the notebooks and settings with their parameters (seconds)")
    _add_run(command("run", _run, COSTS["run"]))
    _add_reproduce(command("reproduce", _reproduce, COSTS["reproduce"]))
    words = "render the book of executed results, computing nothing (under a minute)"
    book = command("book", _book, words)
    words = "a folder made by reproduce (default: the published results)"
    book.add_argument("--results", type=Path, help=words)
    compare = command("compare", _compare, COSTS["compare"])
    compare.add_argument("first", type=Path, help="a folder made by reproduce")
    words = "another, such as tests/reference or book/published"
    compare.add_argument("second", type=Path, help=words)
    return parser


def _add_run(run: argparse.ArgumentParser) -> None:
    run.add_argument("notebook", help="a name from `trajtransfer list`")
    run.add_argument(
        "-p",
        "--parameter",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="may be repeated; a list is written as in YAML: -p widths='[8, 32]'",
    )
    run.add_argument("--device", help=DEVICE)
    words = "folder of the executed notebook, its JSON and CSV (default: runs/own)"
    run.add_argument("--output", type=Path, help=words)


def _add_reproduce(reproduce: argparse.ArgumentParser) -> None:
    words = "a file of notebooks/profiles (default: quick)"
    reproduce.add_argument("--profile", default="quick", help=words)
    words = "make these runs anew and keep the others"
    reproduce.add_argument("--only", nargs="+", default=[], metavar="RUN", help=words)
    reproduce.add_argument("--device", help=DEVICE)
    words = "folder of the results (default: runs/PROFILE)"
    reproduce.add_argument("--output", type=Path, help=words)
    words = "spread the work over jobs (needs trajtransfer[cluster]); without it, all runs here"
    reproduce.add_argument("--engine", choices=["snakemake"], help=words)
    words = "of the engine: local (default), slurm, or another that Snakemake has a plugin for"
    reproduce.add_argument("--executor", metavar="NAME", help=words)
    words = "jobs of the engine at a time (default: the cores of this machine)"
    reproduce.add_argument("--jobs", type=int, metavar="N", help=words)
    words = "say what would be made, what is there and what it costs (a minute), and make nothing"
    reproduce.add_argument("--dry-run", action="store_true", help=words)
    words = "folder with a profile of the engine: what a site asks for, such as partitions"
    reproduce.add_argument("--site", type=Path, metavar="FOLDER", help=words)


def _list(options: argparse.Namespace) -> None:
    root = checkout("notebooks")
    from trajtransfer.paper.settings import SETTINGS
    from trajtransfer.publish.parameters import notebooks, parameters, shown

    for path in notebooks(root):
        print(path.stem)
        for one in parameters(path).values():
            print(f"  {one.name}: {one.kind} = {shown(one)}  {one.help}")
    print("settings")
    for name, chosen in SETTINGS.items():
        print(f"  {name}: {chosen.title()}; {chosen.summary()['training']}")


def _run(options: argparse.Namespace) -> None:
    root = checkout("notebooks")
    from trajtransfer.publish.own_runs import own_run
    from trajtransfer.publish.parameters import parse_assignment

    given = dict(parse_assignment(text) for text in options.parameter)
    if len(given) < len(options.parameter):
        raise RunError("a parameter is given twice by -p; give each once")
    if options.device and "device" in given:
        raise RunError("the device is given twice, by -p and by --device; give it once")
    if options.device:
        given["device"] = options.device
    print(own_run(root, options.notebook, given, options.output or root / "runs" / "own"))


def _reproduce(options: argparse.Namespace) -> None:
    root = checkout("_toc.yml", "notebooks")
    from trajtransfer.publish.profiles import foreseen, reproduce

    if options.dry_run:
        print(foreseen(root, options.profile, options.device, options.only))
        return
    output = options.output or root / "runs" / options.profile
    engine = _engine(options)
    print(reproduce(root, options.profile, output, options.device, options.only, engine))


def _engine(options: argparse.Namespace) -> Engine | None:
    """The engine that was asked for. Raises `RunError` for options of one without it."""
    given = {"--executor": options.executor, "--jobs": options.jobs, "--site": options.site}
    if not options.engine:
        if left := [name for name, value in given.items() if value is not None]:
            raise RunError(f"{', '.join(left)} is for an engine; add --engine snakemake")
        return None
    from trajtransfer.publish.cluster.engine import Engine

    jobs = (os.cpu_count() or 1) if options.jobs is None else options.jobs
    if jobs < 1:
        raise RunError(f"--jobs {jobs} cannot be meant; give one or more")
    if options.site and not options.site.is_dir():
        raise RunError(f"--site {options.site} is no folder; it holds a profile of Snakemake")
    return Engine(options.executor or "local", jobs, options.site)


def _book(options: argparse.Namespace) -> None:
    root = checkout("_toc.yml", "_config.yml", "book", "notebooks")
    from trajtransfer.publish import build

    print(build.book(root, options.results or root / "book" / "published"))


def _compare(options: argparse.Namespace) -> None:
    root = checkout("book/claims.yml")
    from trajtransfer.paper.storage import results
    from trajtransfer.paper.storage.reading import read_claims
    from trajtransfer.publish import comparison

    _, first = results.read(options.first)
    _, second = results.read(options.second)
    found = comparison.compare(read_claims(root), first, second)
    print(found.text)
    if not found.compared:
        raise RunError(
            f"{options.first} and {options.second} have no two runs of the same parameters and data"
        )
    if found.turned or found.changed:
        turned = f"other verdicts: {', '.join(found.turned) or 'none'}"
        raise RunError(f"{turned}; numbers that differ beyond tolerance: {len(found.changed)}")


if __name__ == "__main__":
    sys.exit(main())
