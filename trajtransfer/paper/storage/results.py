"""Folders of results: what is ours stands in a listing with checksums; nothing else is touched.

A run is made in a work folder beside the results. When it is complete, the listing says that it is
on its way, with its checksums; its files take their places one by one; and the listing names the
run. A kill leaves the old run or the new one, whose move the next who opens the folder finishes.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from trajtransfer.paper.storage.documents import LISTING, DocumentError
from trajtransfer.paper.storage.files import checksum, damaged, is_plain, set_aside, write_text
from trajtransfer.paper.storage.folders import (
    ELSEWHERE,
    READY,
    WORK,
    refuse_sources,
    remove_leftovers,
    require_ours,
)
from trajtransfer.paper.storage.locks import BusyError, locked
from trajtransfer.paper.storage.outcomes import Listing, Made, Pending, RecordFile
from trajtransfer.paper.storage.progress import notice
from trajtransfer.paper.storage.project import RunError
from trajtransfer.paper.storage.reading import read_json, read_listing

OWN = "own"  # the profile of single runs with parameters of their own
DAMAGED = "move the folder away and make its results again, or take it from where it came from"


class Results:
    """A folder of results that this process alone writes, made by `opened`."""

    def __init__(self, folder: Path, listing: Listing):
        self.folder = folder
        self.listing = listing

    def require_room(self, name: str) -> None:
        """Raise `RunError` where a file that is no listed result is in the way of a run."""
        for path in (self.folder / f"{name}.ipynb", self.folder / f"{name}.json"):
            if os.path.lexists(path) and (path.is_symlink() or not self._checksums(path.name)):
                raise RunError(f"{path} is not a result that was made here; {ELSEWHERE}")

    @contextmanager
    def work(self, name: str) -> Iterator[Path]:
        """A folder to make a run in; it is gone afterwards."""
        prefix = f"{WORK}{os.getpid()}-{name}-"
        with tempfile.TemporaryDirectory(
            dir=self.folder, prefix=prefix, ignore_cleanup_errors=True
        ) as work:
            yield Path(work)

    def take(self, name: str, work: Path, origin: str = "") -> None:
        """Let the files in `work` take the place of the results of a run, made of `origin`.

        From the moment in which the listing says so, whatever happens, the run is the new one:
        whoever opens the folder next finishes the move. What stands in the way and is not as it was
        listed, such as a notebook that somebody went on with, is kept under another name. Raises
        ``ValueError`` for names that no listing can hold.
        """
        self.finish()
        shown = [path for path in sorted(work.iterdir()) if not path.name.startswith(".")]
        files = {path.name: checksum(path) for path in shown}
        pending = Pending(name=name, origin=origin, files=files)
        shutil.rmtree(self._ready(name), ignore_errors=True)
        work.rename(self._ready(name))
        self._write(pending=pending)
        self.finish()

    def finish(self) -> None:
        """Move what a complete run has not yet moved, and list it, if there is such a run."""
        pending = self.listing.pending
        if pending is None:
            return
        ready = self._ready(pending.name)
        for file in pending.files:
            if (ready / file).exists():
                self._make_way(self.folder / file)
                os.replace(ready / file, self.folder / file)
        before = self.listing.runs.get(pending.name, Made(origin="", files={})).files
        self._remove({name: was for name, was in before.items() if name not in pending.files})
        made = Made(origin=pending.origin, files=pending.files)
        self._write(runs={**self.listing.runs, pending.name: made}, pending=None)
        shutil.rmtree(ready, ignore_errors=True)

    def drop(self, names: Iterable[str]) -> None:
        """Remove the results of some runs, but for files that were changed since."""
        gone = set(names)
        for name, made in self.listing.runs.items():
            if name in gone:
                self._remove(made.files)
        left = {name: made for name, made in self.listing.runs.items() if name not in gone}
        self._write(runs=left)

    def state(
        self, profile: str, description: str, complete: bool, order: Iterable[str] = ()
    ) -> None:
        """Write what the folder is now; the runs are listed in this `order`."""
        known = self.listing.runs
        ordered = {name: known[name] for name in order if name in known}
        runs = {**ordered, **known}
        self._write(profile=profile, description=description, complete=complete, runs=runs)

    def holds(self, name: str, origin: str) -> bool:
        """Whether a run made of `origin` is here, whole and unchanged."""
        made = self.listing.runs.get(name)
        return made is not None and made.origin == origin and not damaged(self.folder, made.files)

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
        if is_plain(path) and checksum(path) in self._checksums(path.name):
            return
        free = set_aside(path, "kept")
        notice(f"{path} is not as it was made; it is kept as {free.name}")

    def _remove(self, files: Mapping[str, str]) -> None:
        """Remove files that have the checksums with which they were listed."""
        for name, listed in files.items():
            path = self.folder / name
            if is_plain(path) and checksum(path) == listed:
                path.unlink()

    def _write(self, **changes: object) -> None:
        self.listing = self.listing.model_copy(update=changes).signed()
        write_text(self.folder / LISTING, self.listing.model_dump_json(indent=1) + "\n")


@contextmanager
def opened(
    root: Path, folder: Path, profile: str = OWN, *, wait: bool = False
) -> Iterator[Results]:
    """The results of a `profile` in `folder` for writing, under a lock.

    What killed runs left of ours is removed. Raises `RunError` for a folder among the sources of
    the project at `root`, for one that is neither new nor empty nor ours, and for one that holds
    another profile; `BusyError` when another process writes there, unless told to `wait` for it.
    """
    refuse_sources(root, folder)
    require_ours(folder)
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(folder, f"the folder {folder}", wait=wait))
        except BusyError:
            raise
        except OSError as error:
            raise RunError(
                f"{folder} cannot be written ({error}); choose another --output"
            ) from error
        new = Listing(made_by="trajtransfer", profile=profile, complete=profile == OWN, runs={})
        results = Results(folder, require_ours(folder) or new)
        if results.listing.profile != profile:
            raise RunError(
                f"{folder} holds the profile {results.listing.profile}, not {profile}; {ELSEWHERE}"
            )
        results.finish()
        remove_leftovers(folder)
        yield results


def read(folder: Path) -> tuple[Listing, dict[str, RecordFile]]:
    """The listing of a complete folder of results, and the record of each of its runs.

    Raises `RunError` for a folder without results or with a part of them, and `DocumentError` for
    files that do not fit the listing.
    """
    if not (folder / LISTING).exists():
        raise RunError(
            f"{folder} holds no results (no {LISTING}); make them with `trajtransfer reproduce`"
        )
    listing = _finished(folder)
    if not listing.complete:
        runs = ", ".join(listing.runs) or "nothing"
        again = f"trajtransfer reproduce --profile {listing.profile} --output {folder}"
        raise RunError(f"{folder} is not complete (so far: {runs}); go on with `{again}`")
    for name, made in listing.runs.items():
        if wrong := damaged(folder, made.files):
            remedy = f"make it again with `{_command(listing, folder, name)}`"
            raise DocumentError(folder / wrong[0], "it is not as it was made", remedy)
    paths = {name: folder / f"{name}.json" for name in listing.runs}
    return listing, {name: read_json(path, RecordFile, DAMAGED) for name, path in paths.items()}


def _finished(folder: Path) -> Listing:
    """The listing of a folder, after the move of a run that a kill has interrupted."""
    listing = read_listing(folder, DAMAGED)
    if listing.pending is None:
        return listing
    with locked(folder, f"the folder {folder}"):
        Results(folder, read_listing(folder, DAMAGED)).finish()
    return read_listing(folder, DAMAGED)


def _command(listing: Listing, folder: Path, name: str) -> str:
    """What makes a run of a folder again."""
    if listing.profile == OWN:
        return f"trajtransfer run … --output {folder}"
    return f"trajtransfer reproduce --profile {listing.profile} --output {folder} --only {name}"
