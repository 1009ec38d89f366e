"""Whose a folder is: among the sources of the project, somebody else's, or one of our results."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from trajtransfer.paper.storage.documents import LISTING
from trajtransfer.paper.storage.files import is_plain
from trajtransfer.paper.storage.locks import LOCK
from trajtransfer.paper.storage.outcomes import Listing
from trajtransfer.paper.storage.project import RunError
from trajtransfer.paper.storage.reading import read_listing

WORK = ".trajtransfer-work-"
READY = ".trajtransfer-ready-"
ELSEWHERE = "choose another --output, or move them away"
# Folders of a checkout that hold what people wrote, and those in them that hold results.
SOURCES = (
    "notebooks",
    "book",
    "tests",
    "trajtransfer",
    "benchmarks",
    "_build",
    ".git",
    ".github",
    ".ci",
    ".venv",
    "runs/networks",
    "runs/tables",
    "runs/engine",
)
RESULTS = ("book/published", "book/repeated", "tests/reference")
PACKAGE = Path(__file__).parents[2]


def refuse_sources(root: Path, folder: Path) -> None:
    """Raise `RunError` for a folder in which the project at `root` keeps more than results."""
    place = folder.resolve()
    if any(place == (root / name).resolve() for name in RESULTS):
        return
    for source in (*((root / name).resolve() for name in SOURCES), PACKAGE):
        if place.is_relative_to(source):
            raise RunError(
                f"{folder} is among the sources of the project ({source}); choose another --output"
            )


def require_ours(folder: Path) -> Listing | None:
    """The listing of a folder, nothing for a new or empty one. Raises `RunError` for any other."""
    if not os.path.lexists(folder):
        return None
    if not folder.is_dir():
        raise RunError(f"{folder} is not a folder; choose another --output")
    if is_plain(folder / LISTING):
        remedy = f"so nothing says which files trajtransfer made here; {ELSEWHERE}"
        return read_listing(folder, remedy)
    if foreign := sorted(path.name for path in folder.iterdir() if path.name != LOCK):
        some = ", ".join(foreign[:3]) + (", …" if len(foreign) > 3 else "")
        raise RunError(f"{folder} holds files that trajtransfer did not make ({some}); {ELSEWHERE}")
    return None


def remove_leftovers(folder: Path) -> None:
    """Remove what killed writers left: under the lock no other is alive."""
    for work in (*folder.glob(f"{WORK}*-*"), *folder.glob(f"{READY}*")):
        if work.is_dir() and not work.is_symlink():
            shutil.rmtree(work, ignore_errors=True)
    for partial in folder.glob(f".{LISTING}.*.partial"):
        if partial.is_file():
            partial.unlink()
