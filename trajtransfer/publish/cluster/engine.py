"""Runs of a profile by Snakemake: on the cores of this machine, or by the jobs of a cluster."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple, cast

import torch

from trajtransfer.paper.storage.locks import locked
from trajtransfer.paper.storage.plans import DEFAULT, Profile
from trajtransfer.paper.storage.project import RunError
from trajtransfer.paper.storage.results import Results
from trajtransfer.publish.cluster.workspace import Plan, PlannedRun, Workspace
from trajtransfer.publish.lanes import Checked, Failure
from trajtransfer.publish.runner import writing

SNAKEFILE = Path(__file__).with_name("Snakefile")
RETRIES = 3  # of a job that was killed or failed; it goes on where it was


class Engine(NamedTuple):
    """Where the jobs run and how many at a time; `site` is a folder with a profile of Snakemake."""

    executor: str
    jobs: int
    site: Path | None = None


def made_by_jobs(
    root: Path, name: str, profile: Profile, runs: Iterator[Checked], results: Results, use: Engine
) -> Iterator[Failure]:
    """Make runs by jobs; yields those that failed. The results are written by this process alone.

    What killed it leaves stays in a folder under ``runs/engine``, and the next call goes on there.
    Raises `RunError` without Snakemake.
    """
    if find_spec("snakemake") is None:
        raise RunError('Snakemake is not installed; get it by pip install "trajtransfer[cluster]"')
    chosen = list(runs)
    if not chosen:
        return
    space = Workspace(root / "runs" / "engine" / f"{name}-{_digest(chosen)}")
    with locked(space.folder, f"the work of the engine in {space.folder}"):
        space.write_plan(_plan(root, name, profile, chosen))
        subprocess.run(_command(space.folder, use), check=False)
        for checked in chosen:
            if reason := _missing(space, checked.run.name):
                yield Failure(checked.run.name, reason)
                continue
            with writing(results.folder):
                _take(space, checked, results)


def _digest(chosen: Sequence[Checked]) -> str:
    """Runs made of something else have a folder of their own."""
    text = " ".join(f"{checked.run.name} {checked.origin}" for checked in chosen)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _plan(root: Path, name: str, profile: Profile, chosen: Sequence[Checked]) -> Plan:
    data = Path(os.environ.get("TRAJTRANSFER_DATA", root / "data"))
    usual = torch.get_num_threads()
    runs = {}
    for checked in chosen:
        threads = checked.run.threads or usual
        values = checked.run.parameters
        settings = cast(list[str], values.get("settings", [values.get("setting", DEFAULT)]))
        about = PlannedRun(run=checked.run, threads=threads, settings=settings)
        runs[checked.run.name] = about
    return Plan(
        root=str(root.resolve()),
        data=str(data.resolve()),
        python=sys.executable,
        profile=name,
        runs=runs,
        resources={of: one.asked() for of, one in profile.jobs().items()},
    )


def _command(folder: Path, use: Engine) -> list[str]:
    count = "--cores" if use.executor == "local" else "--jobs"
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(SNAKEFILE)]
    command += ["--directory", str(folder), "--executor", use.executor, count, str(use.jobs)]
    command += ["--keep-going", "--retries", str(RETRIES), "--rerun-incomplete"]
    command += ["--rerun-triggers", "mtime", "--nolock"]  # the lock is ours, and dies with us
    command += ["--quiet", "rules", "reason", "host"]
    if use.site:
        command += ["--profile", str(use.site.resolve())]
    return command


def _missing(space: Workspace, run: str) -> str:
    """Why a run was not made; nothing if it was."""
    if space.notebook(run).exists():
        return ""
    failure = space.failure(run)
    if failure.exists():
        return failure.read_text()
    return f"something that it needs failed; {space.folder / 'logs'} has the words of the jobs"


def _take(space: Workspace, checked: Checked, results: Results) -> None:
    """Let a run take its place; the next call, if there is one, makes it anew."""
    name = checked.run.name
    with results.work(name) as work:
        shutil.copytree(space.notebook(name), work, dirs_exist_ok=True)
        results.take(name, work, checked.origin)
    space.forget(name)
