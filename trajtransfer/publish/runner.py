"""Execute notebooks with checked parameters, and put the results in place only when they are complete."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

import nbformat
import papermill
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import DeadKernelError
from nbformat import NotebookNode
from papermill.exceptions import PapermillExecutionError
from traitlets import Unicode
from traitlets.config import Config

from trajtransfer.paper.storage.documents import RecordFile, Run, read_json, read_notebook
from trajtransfer.paper.storage.project import RunError
from trajtransfer.paper.storage.results import OWN, Results, opened
from trajtransfer.publish.run_parameters import check, check_meaning, notebooks

NOTICES = ".notices"
KERNEL_LOG = ".kernel.log"


class LoggingKernelManager(AsyncKernelManager):
    """Starts kernels that write what their notebook does not catch into the file `log`, not on the terminal."""

    log_file = Unicode(config=True)

    async def _async_launch_kernel(self, kernel_cmd: list[str], **options: Any) -> None:
        with Path(self.log_file).open("ab") as log:
            await super()._async_launch_kernel(kernel_cmd, stderr=log, **options)

    _launch_kernel = _async_launch_kernel


def own_run(root: Path, notebook: str, given: Mapping[str, Any], output: Path) -> Path:
    """Execute a notebook with parameters of one's own into `output`; returns the executed copy.

    Raises `RunError` for bad input, for an error inside the notebook, and for a folder that is not ours to write.
    """
    path = root / "notebooks" / f"{notebook}.ipynb"
    if path not in notebooks(root):
        raise RunError(f"unknown notebook {notebook!r}; known: {', '.join(p.stem for p in notebooks(root))}")
    chosen = Run(name=notebook, notebook=notebook, parameters=check(path, given))
    check_meaning(path, chosen.parameters)
    with opened(root, output) as results:
        run(root, chosen, results, OWN)
    return output / f"{notebook}.ipynb"


def run(root: Path, chosen: Run, results: Results, profile: str, origin: str = "") -> None:
    """Execute a run and let it take its place among `results`: the notebook, its record (JSON) and tables (CSV).

    Its parameters are converted and checked. All is made in a work folder: a failed or interrupted run leaves earlier
    results as they were. `origin` says what it was made of. Raises `RunError` for an error inside the notebook, and
    where the folder cannot be written.
    """
    try:
        _run(root, chosen, results, profile, origin)
    except OSError as error:
        raise RunError(f"{results.folder} cannot be written ({error}); make room, or choose another --output") from error


def _run(root: Path, chosen: Run, results: Results, profile: str, origin: str) -> None:
    path = root / "notebooks" / f"{chosen.notebook}.ipynb"
    values = {**chosen.parameters, "record": chosen.name}
    results.require_room(chosen.name)
    with results.work(chosen.name) as work:
        executed = work / f"{chosen.name}.ipynb"
        with _environment(root, values, profile, work):
            _execute(path, executed, values)
        _tidy(executed, chosen)
        read_json(work / f"{chosen.name}.json", RecordFile, f"end {path} with results.save()")
        results.take(chosen.name, work, origin)


@contextmanager
def _environment(root: Path, values: Mapping[str, Any], profile: str, work: Path) -> Iterator[None]:
    """What a kernel inherits; what it has to tell the terminal is shown meanwhile."""
    inherited = {
        "TRAJTRANSFER_HOME": str(root.resolve()),
        "TRAJTRANSFER_DATA": str(Path(os.environ.get("TRAJTRANSFER_DATA", root / "data")).resolve()),
        "TRAJTRANSFER_PROFILE": profile,
        "TRAJTRANSFER_RECORDS": str(work.resolve()),
        "TRAJTRANSFER_NOTICES": str((work / NOTICES).resolve()),
        "TQDM_DISABLE": "1",  # progress bars would end up in the stored outputs
    }
    if "resnet" in str(values.get("setting")):
        # a ResNet was seen to stand still on two threads of a CPU (see `objective.memory_format`); one costs a small one nothing
        inherited["OMP_NUM_THREADS"] = os.environ.get("OMP_NUM_THREADS", "1")
    before = dict(os.environ)
    os.environ.update(inherited)
    try:
        with _shown(work / NOTICES):
            yield
    finally:
        os.environ.clear()
        os.environ.update(before)


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


def _execute(path: Path, executed: Path, values: dict[str, Any]) -> None:
    log = executed.parent.resolve() / KERNEL_LOG
    # Kernels on this machine talk over sockets of the file system: the default, TCP, makes them print a warning.
    config = Config({"KernelManager": {"transport": "ipc"}, "LoggingKernelManager": {"log_file": str(log)}})
    try:
        papermill.execute_notebook(
            str(path), str(executed), values, kernel_name="python3", cwd=str(executed.parent), progress_bar=sys.stderr.isatty(),
            request_save_on_cell_execute=False, record_timing=False, store_widget_state=False, config=config,
            kernel_manager_class=LoggingKernelManager,
        )  # fmt: skip
    except (DeadKernelError, RuntimeError) as error:
        said = log.read_text(errors="replace").strip().splitlines()[-1:] if log.exists() else []
        words = f"; the last that it said: {said[0]}" if said else ""
        raise RunError(f"{path.stem} stopped without an error of its own; most often it ran out of memory{words}") from error
    except PapermillExecutionError as error:
        raise RunError(f"{path.stem} failed in cell {error.exec_count}: {error.ename}: {error.evalue}") from error


def _tidy(executed: Path, chosen: Run) -> None:
    """Drop timestamps, and let the notebook carry the name of this run so that pages can share a book."""
    content = read_notebook(executed, "run it again")
    content.metadata["papermill"] = {"parameters": content.metadata["papermill"]["parameters"]}
    content.metadata.get("language_info", {}).pop("version", None)
    for number, cell in enumerate(content.cells):
        cell.id = f"cell-{number}"
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
    label(content, chosen)
    nbformat.write(content, executed)


def label(content: NotebookNode, chosen: Run) -> None:
    """Give the labels of a notebook the name of a run, and its opening words the title and the note of it."""
    for cell in content.cells:
        if figure := cell.metadata.get("mystnb", {}).get("figure"):
            figure["name"] = figure["name"].replace(chosen.notebook, chosen.name, 1)
            figure["caption"] = _relabel(figure["caption"], chosen.notebook, chosen.name)
        if cell.cell_type == "markdown":
            cell.source = _relabel(cell.source, chosen.notebook, chosen.name)
    content.cells[0].source = _opening(content.cells[0].source, chosen)


def _opening(text: str, chosen: Run) -> str:
    """The first cell under the title of a run, with the note on it at the end."""
    text = re.sub(r"^# .*", lambda own: f"# {chosen.title or own[0].removeprefix('# ')}", text)
    return f"{text}\n\n{chosen.note}" if chosen.note else text


def _relabel(text: str, notebook: str, name: str) -> str:
    """Rename labels, glued values and downloads: every `` `notebook-… `` or `` `notebook.… `` in backticks."""
    return re.sub(rf"([`<(]){re.escape(notebook)}(?=[-.])", rf"\g<1>{name}", text)
