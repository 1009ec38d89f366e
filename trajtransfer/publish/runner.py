"""Execute notebooks with checked parameters; results take their place when they are complete."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import parent_process
from pathlib import Path
from threading import Event, Thread
from typing import Any

import nbformat
import papermill
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillExecutionError
from traitlets import Dict, Unicode
from traitlets.config import Config

from trajtransfer.paper.storage.outcomes import RecordFile
from trajtransfer.paper.storage.plans import Run
from trajtransfer.paper.storage.project import RunError
from trajtransfer.paper.storage.reading import read_json, read_notebook
from trajtransfer.paper.storage.results import Results
from trajtransfer.publish.labels import label

NOTICES = ".notices"
KERNEL_LOG = ".kernel.log"


class KilledError(RunError):
    """A kernel that ended without an error of its notebook; it may go well the next time."""


class LoggingKernelManager(AsyncKernelManager):
    """Starts kernels that write what their notebook does not catch into the file `log_file`."""

    log_file = Unicode(config=True)
    variables = Dict(config=True)  # of the environment, for this kernel alone

    async def _async_launch_kernel(self, kernel_cmd: list[str], **options: Any) -> None:
        options["env"] = {**options.get("env", os.environ), **self.variables}
        with Path(self.log_file).open("ab") as log:
            await super()._async_launch_kernel(kernel_cmd, stderr=log, **options)

    _launch_kernel = _async_launch_kernel


def run(root: Path, chosen: Run, results: Results, profile: str, origin: str = "") -> None:
    """Execute a run and let it take its place among `results`.

    All is made in a work folder: a failed or interrupted run leaves earlier results as they were.
    `origin` says what it was made of. Raises `RunError` as `execute`, and where the folder cannot
    be written.
    """
    with writing(results.folder), results.work(chosen.name) as work:
        results.require_room(chosen.name)
        execute(root, chosen, profile, work)
        results.take(chosen.name, work, origin)


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Raise `RunError`, with what to do, where a folder of results cannot be written."""
    try:
        yield
    except OSError as error:
        raise RunError(
            f"{folder} cannot be written ({error}); make room, or choose another --output"
        ) from error


def execute(root: Path, chosen: Run, profile: str, work: Path) -> None:
    """Execute a run in a folder: the notebook, its record (JSON) and its tables (CSV).

    Its parameters are converted and checked. Raises `RunError` for an error inside the notebook.
    """
    path = root / "notebooks" / f"{chosen.notebook}.ipynb"
    executed = work / f"{chosen.name}.ipynb"
    values = {**chosen.parameters, "record": chosen.name}
    with _shown(work / NOTICES):
        _execute(path, executed, values, _variables(root, chosen, profile, work))
    _tidy(executed, chosen)
    read_json(work / f"{chosen.name}.json", RecordFile, f"end {path} with results.save()")


def _variables(root: Path, chosen: Run, profile: str, work: Path) -> dict[str, str]:
    """What a kernel finds in its environment beside what this process has in its own."""
    data = Path(os.environ.get("TRAJTRANSFER_DATA", root / "data"))
    variables = {
        "TRAJTRANSFER_HOME": str(root.resolve()),
        "TRAJTRANSFER_DATA": str(data.resolve()),
        "TRAJTRANSFER_PROFILE": profile,
        "TRAJTRANSFER_RECORDS": str(work.resolve()),
        "TRAJTRANSFER_NOTICES": str((work / NOTICES).resolve()),
        "TQDM_DISABLE": "1",  # progress bars would end up in the stored outputs
    }
    if chosen.threads is not None:
        variables["OMP_NUM_THREADS"] = os.environ.get("OMP_NUM_THREADS", str(chosen.threads))
    return variables


@contextmanager
def _shown(path: Path) -> Iterator[None]:
    """Show the lines that a kernel appends to a file, as they come."""
    done = Event()

    def follow() -> None:
        """Look twice a second, and once more at the end."""
        shown = 0
        last = False
        while not last:
            last = done.wait(0.5)
            lines = path.read_text().splitlines() if path.exists() else []
            for line in lines[shown:]:
                print(line, file=sys.stderr, flush=True)
            shown = len(lines)

    follower = Thread(target=follow, daemon=True)
    follower.start()
    try:
        yield
    finally:
        done.set()
        follower.join()


def _execute(path: Path, executed: Path, values: dict[str, Any], variables: dict[str, str]) -> None:
    log = executed.parent.resolve() / KERNEL_LOG
    try:
        papermill.execute_notebook(
            str(path),
            str(executed),
            values,
            kernel_name="python3",
            kernel_manager_class=LoggingKernelManager,
            config=_kernels(log, variables),
            cwd=str(executed.parent),
            progress_bar=sys.stderr.isatty() and parent_process() is None,  # not from every lane
            request_save_on_cell_execute=False,
            record_timing=False,
            store_widget_state=False,
        )
    except (DeadKernelError, RuntimeError) as error:
        raise KilledError(
            f"{path.stem} stopped without an error of its own; most often it ran out of memory"
            f"{_last_words(log)}"
        ) from error
    except PapermillExecutionError as error:
        raise RunError(
            f"{path.stem} failed in cell {error.exec_count}: {error.ename}: {error.evalue}"
        ) from error


def _kernels(log: Path, variables: dict[str, str]) -> Config:
    """Kernels talk over sockets of the file system: over TCP, the default, they print a warning."""
    own = {"log_file": str(log), "variables": variables}
    return Config({"KernelManager": {"transport": "ipc"}, "LoggingKernelManager": own})


def _last_words(log: Path) -> str:
    """The last line that a kernel wrote past its notebook, as a clause."""
    text = log.read_text(errors="replace").strip() if log.exists() else ""
    return f"; the last that it said: {text.splitlines()[-1]}" if text else ""


def _tidy(executed: Path, chosen: Run) -> None:
    """Drop timestamps, and give a notebook the name of its run, so that pages can share a book."""
    content = read_notebook(executed, "run it again")
    content.metadata["papermill"] = {"parameters": content.metadata["papermill"]["parameters"]}
    content.metadata.get("language_info", {}).pop("version", None)
    for number, cell in enumerate(content.cells):
        cell.id = f"cell-{number}"
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
    label(content, chosen)
    nbformat.write(content, executed)
