"""Folders of results: what is ours stands in a listing with checksums, written last; nothing else there is touched.

A run is made in a work folder beside the results and takes its place file by file. The listing names the files on their
way before the first one moves, and the run with its checksums after the last: a reader so knows a half-moved run from a
whole one, and the next writer knows what a killed one left.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from trajtransfer.documents import (
    LISTING,
    DocumentError,
    Listing,
    Made,
    RecordFile,
    read_json,
    read_listing,
)
from trajtransfer.locks import LOCK, locked
from trajtransfer.progress import notice
from trajtransfer.project import RunError

WORK = ".trajtransfer-work-"
OWN = "own"  # the profile of single runs with parameters of their own
ELSEWHERE = "choose another --output, or move them away"
AGAIN = "make it again with `trajtransfer reproduce`, or take the folder from where it came from"
# Folders of a checkout that hold what people wrote, and those in them that hold results.
SOURCES = ("notebooks", "book", "tests", "trajtransfer", "benchmarks", "_build", ".git", ".venv")
RESULTS = ("book/published", "tests/reference")


class Results:
    """A folder of results that this process alone writes, made by `opened`."""

    def __init__(self, folder: Path, listing: Listing):
        self.folder = folder
        self.listing = listing

    def require_room(self, name: str) -> None:
        """Raise `RunError` when the notebook or the record of a run would meet a file that is not a listed result."""
        for path in (self.folder / f"{name}.ipynb", self.folder / f"{name}.json"):
            if os.path.lexists(path) and (path.is_symlink() or not self._checksums(path.name)):
                raise RunError(f"{path} is not a result that was made here; {ELSEWHERE}")

    @contextmanager
    def work(self, name: str) -> Iterator[Path]:
        """A folder to make a run in; it is gone afterwards."""
        prefix = f"{WORK}{os.getpid()}-{name}-"
        with tempfile.TemporaryDirectory(dir=self.folder, prefix=prefix, ignore_cleanup_errors=True) as work:
            yield Path(work)

    def take(self, name: str, work: Path, origin: str = "") -> None:
        """Let the files in `work` take the place of the results of a run, made of `origin`.

        What stands in their way and is not as it was listed, such as a notebook that somebody went on with, is kept
        under another name.
        """
        self.forget_halves()
        shown = [path for path in sorted(work.iterdir()) if not path.name.startswith(".")]
        files = {path.name: _checksum(path) for path in shown}
        self._write(pending=files)
        for file in files:
            self._make_way(self.folder / file)
            os.replace(work / file, self.folder / file)
        before = self.listing.runs.get(name, Made(origin="", files={})).files
        self._remove({file: checksum for file, checksum in before.items() if file not in files})
        self._write(runs={**self.listing.runs, name: Made(origin=origin, files=files)}, pending={})

    def forget_halves(self) -> None:
        """Remove what a take that did not come to its end moved."""
        listed = [made.files for made in self.listing.runs.values()]
        half = {f: checksum for f, checksum in self.listing.pending.items() if all(x.get(f) != checksum for x in listed)}
        if half:
            self._remove(half)
            self._write(pending={})

    def drop(self, names: Iterable[str]) -> None:
        """Remove the results of some runs, but for files that were changed since."""
        gone = {name: made for name, made in self.listing.runs.items() if name in set(names)}
        for made in gone.values():
            self._remove(made.files)
        self._write(runs={name: made for name, made in self.listing.runs.items() if name not in gone})

    def state(self, profile: str, description: str, complete: bool, order: Iterable[str] = ()) -> None:
        """Write what the folder is now; the runs are listed in this `order`."""
        known = self.listing.runs
        ordered = {name: known[name] for name in order if name in known}
        self._write(profile=profile, description=description, complete=complete, runs={**ordered, **known})

    def holds(self, name: str, origin: str) -> bool:
        """Whether a run made of `origin` is here, whole and unchanged."""
        made = self.listing.runs.get(name)
        return made is not None and made.origin == origin and not _damaged(self.folder, made.files)

    def _checksums(self, file: str) -> set[str]:
        """The checksums that a file of ours may have."""
        listed = [made.files for made in self.listing.runs.values()]
        return {files[file] for files in (*listed, self.listing.pending) if file in files}

    def _make_way(self, path: Path) -> None:
        """Rename what is in the way, unless it is a result as it was listed."""
        if not os.path.lexists(path):
            return
        if path.is_file() and not path.is_symlink() and _checksum(path) in self._checksums(path.name):
            return
        free = set_aside(path, "kept")
        notice(f"{path} is not as it was made; it is kept as {free.name}")

    def _remove(self, files: Mapping[str, str]) -> None:
        for file, checksum in files.items():
            path = self.folder / file
            if path.is_file() and not path.is_symlink() and _checksum(path) == checksum:
                path.unlink()

    def _write(self, **changes: object) -> None:
        self.listing = self.listing.model_copy(update=changes).signed()
        write_text(self.folder / LISTING, self.listing.model_dump_json(indent=1) + "\n")


@contextmanager
def opened(root: Path, folder: Path, profile: str = OWN) -> Iterator[Results]:
    """The results in `folder` for writing, under a lock; what killed runs left of ours is removed.

    Raises `RunError` for a folder among the sources of the project at `root`, and for one that is neither new nor empty
    nor ours; `BusyError` when another process writes there.
    """
    _refuse_sources(root, folder)
    _require_ours(folder)
    with locked(folder, f"the folder {folder}"):
        listing = _require_ours(folder)
        _remove_leftovers(folder)
        new = Listing(made_by="trajtransfer", profile=profile, complete=profile == OWN, runs={})
        results = Results(folder, listing or new)
        results.forget_halves()
        yield results


def read(folder: Path) -> tuple[Listing, dict[str, RecordFile]]:
    """The listing of a complete folder of results, and the record of each of its runs.

    Raises `RunError` for a folder without results or with a part of them, and `DocumentError` for files that do not fit the
    listing.
    """
    if not (folder / LISTING).exists():
        raise RunError(f"{folder} holds no results (no {LISTING}); make them with `trajtransfer reproduce`")
    listing = read_listing(folder, AGAIN)
    if not listing.complete:
        command = f"trajtransfer reproduce --profile {listing.profile} --output {folder}"
        raise RunError(f"{folder} is not complete (so far: {', '.join(listing.runs) or 'nothing'}); go on with `{command}`")
    for made in listing.runs.values():
        if damaged := _damaged(folder, made.files):
            raise DocumentError(folder / damaged[0], "it is not as it was made", AGAIN)
    records = {name: read_json(folder / f"{name}.json", RecordFile, AGAIN) for name in listing.runs}
    return listing, records


def set_aside(path: Path, word: str) -> Path:
    """Rename a file to one that is free: ``NAME.WORD-1.SUFFIX``, or a larger number."""
    number = 1
    while os.path.lexists(free := path.with_name(f"{path.stem}.{word}-{number}{path.suffix}")):
        number += 1
    path.rename(free)
    return free


def write_text(path: Path, text: str) -> None:
    """Write a file so that a reader finds the old one or the whole new one."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _refuse_sources(root: Path, folder: Path) -> None:
    place = folder.resolve()
    if any(place == (root / name).resolve() for name in RESULTS):
        return
    sources = [*((root / name).resolve() for name in SOURCES), Path(__file__).parent]
    for source in sources:
        if place.is_relative_to(source):
            raise RunError(f"{folder} is among the sources of the project ({source}); choose another --output")


def _remove_leftovers(folder: Path) -> None:
    """Remove what killed writers left: under the lock no other is alive."""
    for work in folder.glob(f"{WORK}*-*"):
        if work.is_dir() and not work.is_symlink():
            shutil.rmtree(work)
    for partial in folder.glob(f".{LISTING}.*.partial"):
        partial.unlink()


def _require_ours(folder: Path) -> Listing | None:
    """The listing of a folder; nothing for a new or empty one."""
    if not os.path.lexists(folder):
        return None
    if not folder.is_dir():
        raise RunError(f"{folder} is not a folder; choose another --output")
    if (folder / LISTING).is_file() and not (folder / LISTING).is_symlink():
        return read_listing(folder, f"it is not the listing of results that trajtransfer made; {ELSEWHERE}")
    foreign = sorted(path.name for path in folder.iterdir() if path.name != LOCK)
    if foreign:
        some = ", ".join(foreign[:3]) + (", …" if len(foreign) > 3 else "")
        raise RunError(f"{folder} holds files that trajtransfer did not make ({some}); {ELSEWHERE}")
    return None


def _damaged(folder: Path, files: Mapping[str, str]) -> list[str]:
    """The files that are not there, or not as they were listed."""
    return [file for file, checksum in files.items() if not _has_checksum(folder / file, checksum)]


def _has_checksum(path: Path, checksum: str) -> bool:
    return path.is_file() and _checksum(path) == checksum


def _checksum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
