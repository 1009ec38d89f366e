"""Runs of a profile by Snakemake: on the cores of this machine, or by the jobs of a cluster."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import NamedTuple, cast

import torch

from trajtransfer.paper.settings import SETTINGS
from trajtransfer.paper.storage.locks import locked
from trajtransfer.paper.storage.plans import DEFAULT, Profile
from trajtransfer.paper.storage.project import RunError
from trajtransfer.paper.storage.results import Results
from trajtransfer.publish.cluster.workspace import Plan, PlannedRun, Workspace
from trajtransfer.publish.lanes import Checked, Failure, end_with_the_parent
from trajtransfer.publish.runner import writing

SNAKEFILE = Path(__file__).with_name("Snakefile")
RETRIES = 3  # of a job that was killed or failed; it goes on where it was
LOOKS = 1.0  # seconds between two looks for complete notebooks


class Engine(NamedTuple):
    """Where the jobs run and how many at a time; `site` is a folder with a profile of Snakemake."""

    executor: str
    jobs: int
    site: Path | None = None


def made_by_jobs(
    root: Path, name: str, profile: Profile, runs: Iterator[Checked], results: Results, use: Engine
) -> Iterator[Failure]:
    """Make runs by jobs; yields those that failed.

    The results are written by this process alone, each when its notebook is complete. Networks and
    rows that are made stay where all are kept, so the next call goes on after whatever killed this
    one. Raises `RunError` without Snakemake, when it cannot be started, and for resources of
    unknown settings.
    """
    if find_spec("snakemake") is None:
        raise RunError('Snakemake is not installed; get it by pip install "trajtransfer[cluster]"')
    waiting = {checked.run.name: checked for checked in runs}
    if not waiting:
        return
    space = Workspace(root / "runs" / "engine" / f"{name}-{_digest(waiting.values())}")
    with locked(space.folder, f"the work of the engine in {space.folder}"):
        space.begin(_plan(root, name, profile, list(waiting.values())))
        with _snakemake(_arguments(space.folder, use)) as engine:
            while engine.is_alive():
                engine.join(LOOKS)
                _take(space, waiting, results)
        _take(space, waiting, results)
        if engine.exitcode and not space.was_at_work():
            raise RunError(f"Snakemake ended with {engine.exitcode}, for the reason that it gave")
    for left in waiting:
        yield Failure(left, space.why_not(left))


def _digest(chosen: Iterable[Checked]) -> str:
    """Runs of other code have another folder, where no job that was left of these writes."""
    text = " ".join(f"{checked.run.name} {checked.origin}" for checked in chosen)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _plan(root: Path, name: str, profile: Profile, chosen: Sequence[Checked]) -> Plan:
    data = Path(os.environ.get("TRAJTRANSFER_DATA", root / "data"))
    if unknown := sorted(profile.resources.keys() - SETTINGS.keys() - {DEFAULT}):
        raise RunError(f"the profile {name} has resources of unknown settings: {unknown}")
    return Plan(
        root=str(root.resolve()),
        data=str(data.resolve()),
        python=sys.executable,
        profile=name,
        runs={checked.run.name: _planned(checked) for checked in chosen},
        resources={of: one.asked() for of, one in profile.jobs().items()},
    )


def _planned(checked: Checked) -> PlannedRun:
    """A run with the threads that it would get here, as the runner gives them."""
    values = checked.run.parameters
    settings = cast(list[str], values.get("settings", [values.get("setting", DEFAULT)]))
    own = os.environ.get("OMP_NUM_THREADS") or checked.run.threads or torch.get_num_threads()
    return PlannedRun(run=checked.run, threads=int(own), settings=settings)


def _arguments(folder: Path, use: Engine) -> list[str]:
    """The command line of Snakemake. It has no lock: ours is the lock of the folder."""
    given = ["--snakefile", str(SNAKEFILE), "--directory", str(folder), "--nolock"]
    given += ["--executor", use.executor, "--quiet", "rules", "reason", "host"]
    if use.executor == "local":
        given += ["--cores", str(use.jobs), "--resources", f"gpu={torch.cuda.device_count()}"]
    else:
        given += ["--jobs", str(use.jobs)]
    given += ["--keep-going", "--retries", str(RETRIES), "--rerun-triggers", "mtime"]
    if use.site:
        given += ["--profile", str(use.site.resolve())]
    return given


@contextmanager
def _snakemake(arguments: list[str]) -> Iterator[BaseProcess]:
    """Snakemake in a process that ends with this one, and is waited for when interrupted.

    An interrupt goes to both; it then cancels its jobs, which takes a while.
    """
    process = get_context("spawn").Process(target=_run_snakemake, args=(arguments,))
    process.start()
    try:
        yield process
    finally:
        process.join()


def _run_snakemake(arguments: list[str]) -> None:
    end_with_the_parent()
    from snakemake.cli import main

    main(arguments)


def _take(space: Workspace, waiting: dict[str, Checked], results: Results) -> None:
    """Let the runs that are complete take their places."""
    for name in [name for name in waiting if space.is_complete(name)]:
        checked = waiting.pop(name)
        with writing(results.folder), results.work(name) as work:
            shutil.copytree(space.notebook(name), work, dirs_exist_ok=True)
            results.take(name, work, checked.origin)
