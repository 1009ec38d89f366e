"""A notebook with parameters of one's own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trajtransfer.paper.storage.plans import Run
from trajtransfer.paper.storage.project import RunError
from trajtransfer.paper.storage.results import OWN, opened
from trajtransfer.publish.meaning import check_meaning, threads
from trajtransfer.publish.parameters import convert, notebooks
from trajtransfer.publish.runner import run


def own_run(root: Path, notebook: str, given: Mapping[str, Any], output: Path) -> Path:
    """Execute a notebook with parameters of one's own into `output`; returns the executed copy.

    Raises `RunError` for bad input, for an error inside the notebook, and for a folder that is not
    ours to write.
    """
    path = root / "notebooks" / f"{notebook}.ipynb"
    if path not in notebooks(root):
        known = ", ".join(found.stem for found in notebooks(root))
        raise RunError(f"unknown notebook {notebook!r}; known: {known}")
    values = convert(path, given)
    check_meaning(path, values)
    chosen = Run(name=notebook, notebook=notebook, parameters=values, threads=threads(path, values))
    with opened(root, output) as results:
        run(root, chosen, results, OWN)
    return output / f"{notebook}.ipynb"
