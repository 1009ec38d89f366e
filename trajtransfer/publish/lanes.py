"""Runs of a profile side by side: each lane executes one notebook at a time."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from multiprocessing import get_context, parent_process
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import NamedTuple

from trajtransfer.paper.storage.plans import Run
from trajtransfer.paper.storage.project import RunError
from trajtransfer.paper.storage.results import Results
from trajtransfer.publish.runner import execute, run, writing


class Checked(NamedTuple):
    """A run with its parameters converted, and what it is made of (`origin`)."""

    run: Run
    origin: str


class Failure(NamedTuple):
    """A run that was not made, and why."""

    name: str
    reason: str


class _Underway(NamedTuple):
    checked: Checked
    work: Path
    folder: ExitStack


def made_one_by_one(
    root: Path, profile: str, runs: Iterator[Checked], results: Results
) -> Iterator[Failure]:
    """Make runs one after another in this process; yields those that failed."""
    for checked in runs:
        try:
            run(root, checked.run, results, profile, checked.origin)
        except (RunError, ValueError) as error:
            yield Failure(checked.run.name, str(error))


def made_in_lanes(
    root: Path, profile: str, runs: Iterator[Checked], results: Results, lanes: int
) -> Iterator[Failure]:
    """Make runs in so many processes at a time; yields those that failed.

    The results are written by this process alone, each when its run is complete.
    """
    underway: dict[Future[str], _Underway] = {}
    with ExitStack() as stack:
        context = get_context("spawn")
        made = ProcessPoolExecutor(lanes, context, initializer=end_with_the_parent)
        pool = stack.enter_context(made)
        for checked in runs:
            folder = stack.enter_context(ExitStack())
            work = folder.enter_context(results.work(checked.run.name))
            future = pool.submit(_failure_of, root, checked.run, profile, work)
            underway[future] = _Underway(checked, work, folder)
            if len(underway) == lanes:
                yield from _taken(underway, results)
        while underway:
            yield from _taken(underway, results)


def end_with_the_parent() -> None:
    """End this process when the one that started it is gone, even killed.

    The kernel of a lane watches it in turn; both would go on for hours, and hold their locks.
    """
    threading.Thread(target=_exit_after, args=(parent_process(),), daemon=True).start()


def _exit_after(process: BaseProcess | None) -> None:
    if process is not None:
        process.join()
        os._exit(1)


def _failure_of(root: Path, chosen: Run, profile: str, work: Path) -> str:
    """Execute a run in a lane; why it failed, in words, since not every error can be sent home."""
    try:
        execute(root, chosen, profile, work)
    except (RunError, ValueError, OSError) as error:
        return str(error) or type(error).__name__
    return ""


def _taken(underway: dict[Future[str], _Underway], results: Results) -> Iterator[Failure]:
    """Wait for a run, and let those that are complete take their places."""
    done, _ = wait(underway, return_when=FIRST_COMPLETED)
    for future in done:
        checked, work, folder = underway.pop(future)
        name = checked.run.name
        with folder:
            if failure := _result_of(future):
                yield Failure(name, failure)
                continue
            with writing(results.folder):
                results.take(name, work, checked.origin)


def _result_of(future: Future[str]) -> str:
    try:
        return future.result()
    except BrokenProcessPool as error:
        raise RunError(
            "a process that executed a notebook was killed, most often for want of memory; "
            "the next call goes on"
        ) from error
