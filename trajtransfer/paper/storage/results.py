"""Folders of results: what is ours stands in a listing with checksums, written last; nothing else there is touched.

A run is made in a work folder beside the results. When it is complete, the listing says that it is on its way, with its
checksums; its files take their places one by one; and the listing names the run. A kill leaves the old run or the
new one, whose move the next who opens the folder finishes.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from trajtransfer.paper.storage.documents import (
    LISTING,
    DocumentError,
    Listing,
    Made,
    Pending,
    RecordFile,
    read_json,
    read_listing,
)
from trajtransfer.paper.storage.locks import LOCK, BusyError, locked
from trajtransfer.paper.storage.progress import notice
from trajtransfer.paper.storage.project import RunError

WORK = ".trajtransfer-work-"
READY = ".trajtransfer-ready-"
OWN = "own"  # the profile of single runs with parameters of their own
ELSEWHERE = "choose another --output, or move them away"
DAMAGED = "move the folder away and make its results again, or take it from where it came from"
# Folders of a checkout that hold what people wrote, and those in them that hold results.
SOURCES = (
    *("notebooks", "book", "tests", "trajtransfer", "benchmarks", "_build"),
    *(".git", ".github", ".ci", ".venv", "runs/networks"),
)
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

        From the moment in which the listing says so, whatever happens, the run is the new one: whoever opens the folder
        next finishes the move. What stands in the way and is not as it was listed, such as a notebook that
        somebody went on with, is kept under another name. Raises ``ValueError`` for names that no listing can hold.
        """
        self.finish()
        shown = [path for path in sorted(work.iterdir()) if not path.name.startswith(".")]
        pending = Pending(name=name, origin=origin, files={path.name: _checksum(path) for path in shown})
        shutil.rmtree(self._ready(name), ignore_errors=True)
        work.rename(self._ready(name))
        self._write(pending=pending)
        self.finish()

    def finish(self) -> None:
        """Move what a complete run has not yet moved, and list it; nothing to do when no run is on its way."""
        pending = self.listing.pending
        if pending is None:
            return
        ready = self._ready(pending.name)
        for file in pending.files:
            if (ready / file).exists():
                self._make_way(self.folder / file)
                os.replace(ready / file, self.folder / file)
        before = self.listing.runs.get(pending.name, Made(origin="", files={})).files
        self._remove({file: checksum for file, checksum in before.items() if file not in pending.files})
        made = Made(origin=pending.origin, files=pending.files)
        self._write(runs={**self.listing.runs, pending.name: made}, pending=None)
        shutil.rmtree(ready, ignore_errors=True)

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

    def _ready(self, name: str) -> Path:
        """Where a complete run waits to be moved."""
        return self.folder / f"{READY}{name}"

    def _checksums(self, file: str) -> set[str]:
        """The checksums that a file of ours may have."""
        return {made.files[file] for made in self.listing.runs.values() if file in made.files}

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
def opened(root: Path, folder: Path, profile: str = OWN, *, wait: bool = False) -> Iterator[Results]:
    """The results of a `profile` in `folder` for writing, under a lock; what killed runs left of ours is removed.

    Raises `RunError` for a folder among the sources of the project at `root`, for one that is neither new nor empty
    nor ours, and for one that holds another profile; `BusyError` when another process writes there, unless told
    to `wait` for it.
    """
    _refuse_sources(root, folder)
    _require_ours(folder)
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(folder, f"the folder {folder}", wait=wait))
        except BusyError:
            raise
        except OSError as error:
            raise RunError(f"{folder} cannot be written ({error}); choose another --output") from error
        new = Listing(made_by="trajtransfer", profile=profile, complete=profile == OWN, runs={})
        results = Results(folder, _require_ours(folder) or new)
        if results.listing.profile != profile:
            raise RunError(f"{folder} holds the profile {results.listing.profile}, not {profile}; {ELSEWHERE}")
        results.finish()
        _remove_leftovers(folder)
        yield results


def read(folder: Path) -> tuple[Listing, dict[str, RecordFile]]:
    """The listing of a complete folder of results, and the record of each of its runs.

    Raises `RunError` for a folder without results or with a part of them, and `DocumentError` for files that do not fit the
    listing.
    """
    if not (folder / LISTING).exists():
        raise RunError(f"{folder} holds no results (no {LISTING}); make them with `trajtransfer reproduce`")
    listing = read_listing(folder, DAMAGED)
    if listing.pending is not None:  # a kill has interrupted its move
        with locked(folder, f"the folder {folder}"):
            Results(folder, read_listing(folder, DAMAGED)).finish()
        listing = read_listing(folder, DAMAGED)
    again = f"trajtransfer reproduce --profile {listing.profile} --output {folder}"
    if not listing.complete:
        raise RunError(f"{folder} is not complete (so far: {', '.join(listing.runs) or 'nothing'}); go on with `{again}`")
    for name, made in listing.runs.items():
        if damaged := _damaged(folder, made.files):
            command = f"trajtransfer run … --output {folder}" if listing.profile == OWN else f"{again} --only {name}"
            raise DocumentError(folder / damaged[0], "it is not as it was made", f"make it again with `{command}`")
    return listing, {name: read_json(folder / f"{name}.json", RecordFile, DAMAGED) for name in listing.runs}


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
        with partial.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())  # a power cut must not leave an empty file under the new name
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _refuse_sources(root: Path, folder: Path) -> None:
    place = folder.resolve()
    if any(place == (root / name).resolve() for name in RESULTS):
        return
    sources = [*((root / name).resolve() for name in SOURCES), Path(__file__).parents[2]]
    for source in sources:
        if place.is_relative_to(source):
            raise RunError(f"{folder} is among the sources of the project ({source}); choose another --output")


def _remove_leftovers(folder: Path) -> None:
    """Remove what killed writers left: under the lock no other is alive."""
    for work in (*folder.glob(f"{WORK}*-*"), *folder.glob(f"{READY}*")):
        if work.is_dir() and not work.is_symlink():
            shutil.rmtree(work, ignore_errors=True)
    for partial in folder.glob(f".{LISTING}.*.partial"):
        if partial.is_file():
            partial.unlink()


def _require_ours(folder: Path) -> Listing | None:
    """The listing of a folder; nothing for a new or empty one."""
    if not os.path.lexists(folder):
        return None
    if not folder.is_dir():
        raise RunError(f"{folder} is not a folder; choose another --output")
    if (folder / LISTING).is_file() and not (folder / LISTING).is_symlink():
        return read_listing(folder, f"so nothing says which files trajtransfer made here; {ELSEWHERE}")
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
