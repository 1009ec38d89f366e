"""Execute notebooks with checked parameters, and put the results in place only when they are complete."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
import papermill
import yaml
from nbclient.exceptions import DeadKernelError
from nbformat import NotebookNode
from papermill.exceptions import PapermillExecutionError
from traitlets.config import Config

from trajtransfer.progress import progress

KINDS = {"int": int, "float": float, "str": str, "bool": bool}
# Kernels on this machine talk over sockets of the file system: the default, TCP, makes them print a warning.
QUIET_KERNEL = Config({"KernelManager": {"transport": "ipc"}})
WORDS = {"true": True, "false": False}


class RunError(Exception):
    """A run that was refused or failed, with the reason and what to do."""


class Parameter(NamedTuple):
    """A parameter of a notebook: its `type` is one of int, float, str and bool."""

    name: str
    type: str
    default: Any
    help: str


def notebooks(root: Path) -> list[Path]:
    """The notebooks of the project at `root`, by name. Raises `RunError` outside a checkout."""
    found = sorted((root / "notebooks").glob("*.ipynb"))
    if not found:
        raise RunError(f"there are no notebooks in {root / 'notebooks'}; run this inside a checkout of trajtransfer")
    return found


def parameters(path: Path) -> dict[str, Parameter]:
    """The typed parameters of a notebook, without `record`, which the runner sets itself."""
    inferred = papermill.inspect_notebook(str(path))
    return {
        name: Parameter(name, p["inferred_type_name"], ast.literal_eval(p["default"]), p["help"])
        for name, p in inferred.items()
        if name != "record"
    }


def parse_assignment(text: str) -> tuple[str, str]:
    """``NAME=VALUE`` in two. Raises `RunError` without an equals sign."""
    name, equals, value = text.partition("=")
    if not equals:
        raise RunError(f"-p {text}: expected NAME=VALUE")
    return name.strip(), value.strip()


def check(path: Path, given: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters converted to their types. Raises `RunError` naming an unknown parameter or an unfit value."""
    known = parameters(path)
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise RunError(f"{path.stem} has no parameter {', '.join(map(repr, unknown))}; it has: {', '.join(known)}")
    return {name: _convert(path.stem, known[name], value) for name, value in given.items()}


def _convert(notebook: str, parameter: Parameter, value: Any) -> Any:
    kind = KINDS[parameter.type]
    try:
        if kind is bool:
            return value if isinstance(value, bool) else WORDS[str(value).lower()]
        if kind is int and isinstance(value, float):
            raise ValueError
        return kind(value)
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(
            f"{notebook}: {parameter.name}={value!r} is not of type {parameter.type} (default: {parameter.default!r})"
        ) from error


def run(
    root: Path,
    notebook: str,
    given: Mapping[str, Any],
    output: Path,
    *,
    name: str,
    profile: str,
    head: Mapping[str, str] | None = None,
    origin: str = "",
) -> Path:
    """Execute a notebook into ``output/NAME.ipynb`` with its record (JSON, CSV) beside it.

    `head`, such as the entry of a profile, may have another ``title``, and a ``note`` for the opening words. All is made in
    a temporary folder and moved when complete: a failed or interrupted run leaves earlier results as they were.
    `origin`, kept in the metadata, says what it was made of. Raises `RunError` for bad input and for an error inside the
    notebook.
    """
    path = root / "notebooks" / f"{notebook}.ipynb"
    if path not in notebooks(root):
        raise RunError(f"unknown notebook {notebook!r}; known: {', '.join(p.stem for p in notebooks(root))}")
    values = check(path, given) | {"record": name}
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output, prefix=f".{name}-") as work:
        executed = Path(work) / f"{name}.ipynb"
        _execute(root, path, executed, values, profile)
        _tidy(executed, notebook, name, head or {}, origin)
        for file in sorted(Path(work).iterdir(), key=lambda f: f.suffix == ".ipynb"):  # the notebook last
            os.replace(file, output / file.name)
    return output / f"{name}.ipynb"


def _execute(root: Path, path: Path, executed: Path, values: dict[str, Any], profile: str) -> None:
    inherited = {
        "TRAJTRANSFER_HOME": str(root.resolve()),
        "TRAJTRANSFER_DATA": str(Path(os.environ.get("TRAJTRANSFER_DATA", root / "data")).resolve()),
        "TRAJTRANSFER_PROFILE": profile,
        "TQDM_DISABLE": "1",  # progress bars would end up in the stored outputs
    }
    if "resnet" in str(values.get("setting")):
        # a ResNet was seen to stand still on two threads of a CPU (see `objective.memory_format`); one costs a small one nothing
        inherited["OMP_NUM_THREADS"] = os.environ.get("OMP_NUM_THREADS", "1")
    before = dict(os.environ)
    os.environ.update(inherited)
    try:
        papermill.execute_notebook(
            str(path), str(executed), values, kernel_name="python3", cwd=str(executed.parent), progress_bar=sys.stderr.isatty(),
            request_save_on_cell_execute=False, record_timing=False, store_widget_state=False, config=QUIET_KERNEL,
        )  # fmt: skip
    except DeadKernelError as error:
        raise RunError(f"{path.stem} stopped without an error of its own; most often it ran out of memory") from error
    except PapermillExecutionError as error:
        raise RunError(f"{path.stem} failed in cell {error.exec_count}: {error.ename}: {error.evalue}") from error
    finally:
        os.environ.clear()
        os.environ.update(before)


def _tidy(executed: Path, notebook: str, name: str, head: Mapping[str, str], origin: str) -> None:
    """Drop timestamps, and let the notebook carry the name of this run so that pages can share a book."""
    content = nbformat.read(executed, as_version=4)
    content.metadata["papermill"] = {"parameters": content.metadata["papermill"]["parameters"]}
    content.metadata.get("language_info", {}).pop("version", None)
    if origin:
        content.metadata["trajtransfer"] = {"origin": origin}
    for number, cell in enumerate(content.cells):
        cell.id = f"cell-{number}"
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
    label(content, notebook, name, head)
    nbformat.write(content, executed)


def label(content: NotebookNode, notebook: str, name: str, head: Mapping[str, str]) -> None:
    """Give the labels of a notebook the name of a run, and its opening words the title and the note of `head`."""
    for cell in content.cells:
        if figure := cell.metadata.get("mystnb", {}).get("figure"):
            figure["name"] = figure["name"].replace(notebook, name, 1)
            figure["caption"] = _relabel(figure["caption"], notebook, name)
        if cell.cell_type == "markdown":
            cell.source = _relabel(cell.source, notebook, name)
    content.cells[0].source = _opening(content.cells[0].source, head)


def _opening(text: str, head: Mapping[str, str]) -> str:
    """The first cell under the title of a run, with the note on it at the end."""
    text = re.sub(r"^# .*", lambda own: f"# {head['title']}" if "title" in head else own[0], text)
    return f"{text}\n\n{head['note']}" if "note" in head else text


def _relabel(text: str, notebook: str, name: str) -> str:
    """Rename labels, glued values and downloads: every `` `notebook-… `` or `` `notebook.… `` in backticks."""
    return re.sub(rf"([`<(]){re.escape(notebook)}(?=[-.])", rf"\g<1>{name}", text)


def reproduce(root: Path, profile: str, output: Path, device: str | None, only: Collection[str] = ()) -> Path:
    """Execute the runs of a profile into `output`, and list those that are there in ``profile.json``.

    All parameters are checked before the first run starts. ``profile.json`` is missing while a whole profile is being run: a
    folder of an interrupted profile is not taken for a complete one, and the next call keeps those of its runs
    that were made of the same code, notebook and parameters. A complete profile is run anew. With names
    in `only`, these runs are made anew and the others stay as they are, as does ``profile.json`` should one of them fail.
    Results of runs that the profile lacks are removed.
    A run that fails does not keep the others from being made; `RunError` says in the end which failed and why.
    """
    listing = listing_of(root, profile)
    names = [entry["name"] for entry in listing["runs"]]
    if unknown := sorted(set(only) - set(names)):
        raise RunError(f"the profile {profile} has no run {', '.join(unknown)}; it has: {', '.join(names)}")
    override = {"device": device} if device else {}
    for entry in listing["runs"]:
        check(root / "notebooks" / f"{entry['notebook']}.ipynb", entry["parameters"] | override)
    for leftover in output.glob(".*-*/"):  # the work of a run that was killed
        shutil.rmtree(leftover)
    interrupted, failed = not (output / "profile.json").exists(), []
    if not only:
        (output / "profile.json").unlink(missing_ok=True)
    for number, entry in enumerate(progress(listing["runs"], profile), 1):
        origin = _origin(root, entry, override)
        kept = entry["name"] not in only if only else interrupted and _origin_of(output / f"{entry['name']}.ipynb") == origin
        print(f"[{number}/{len(names)}] {entry['name']}{' (kept)' if kept else ''}", flush=True)
        if not kept:
            given = entry["parameters"] | override
            try:
                run(root, entry["notebook"], given, output, name=entry["name"], profile=profile, head=entry, origin=origin)
            except RunError as error:
                failed.append(f"{entry['name']}: {error}")
    if failed:
        raise RunError("\n".join(["these runs failed, and the next call tries them again:", *failed]))
    for file in _files_of_other_runs(output, names):
        file.unlink()
    made = [name for name in names if (output / f"{name}.ipynb").exists()]
    _write_json(output / "profile.json", {"profile": profile, "description": listing["description"], "runs": made})
    return output


def listing_of(root: Path, profile: str) -> dict[str, Any]:
    """The runs of a profile with their notebooks and parameters. Raises `RunError` for an unknown one."""
    known = sorted(p.stem for p in (root / "notebooks" / "profiles").glob("*.yaml"))
    if profile not in known:
        raise RunError(f"unknown profile {profile!r}; known: {', '.join(known)}")
    listing: dict[str, Any] = yaml.safe_load((root / "notebooks" / "profiles" / f"{profile}.yaml").read_text())
    return listing


def _origin(root: Path, entry: Mapping[str, Any], override: Mapping[str, Any]) -> str:
    """A digest of the code, the notebook, the title and the parameters of a run."""
    digest = hashlib.sha256(json.dumps([entry, override], sort_keys=True).encode())
    for file in (*sorted(Path(__file__).parent.glob("*.py")), root / "notebooks" / f"{entry['notebook']}.ipynb"):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _origin_of(executed: Path) -> str | None:
    """What an executed notebook was made of; nothing when it is not there."""
    if not executed.exists():
        return None
    origin: str | None = nbformat.read(executed, as_version=4).metadata.get("trajtransfer", {}).get("origin")
    return origin


def _write_json(path: Path, contents: Mapping[str, Any]) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(contents, indent=1) + "\n")
    os.replace(partial, path)


def _files_of_other_runs(output: Path, names: list[str]) -> list[Path]:
    stale = {p.stem for p in output.glob("*.ipynb")} - set(names)
    return [file for name in stale for file in (*output.glob(f"{name}.*"), *output.glob(f"{name}-*.csv"))]
