"""Units of work: made once, and kept under an address of all that decides their numbers."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from trajtransfer.paper.storage.files import set_aside, write_text
from trajtransfer.paper.storage.locks import locked
from trajtransfer.paper.storage.progress import notice
from trajtransfer.paper.storage.project import home

REST = "the rest"  # of the time of a page, beside its units of work
LONGEST = 120  # characters of a readable name, well below what file systems take


class Kept(NamedTuple):
    """What a unit of work made, the seconds (wall clock) that this took, and where it is kept."""

    content: Any
    seconds: float
    place: str


class Clock:
    """How long it took to make what was handed out: units when they were made, the rest now."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self._units: dict[str, dict[str, float]] = {}  # kind -> place -> seconds
        self._apart = 0.0

    @contextmanager
    def apart(self) -> Iterator[None]:
        """Leave the time of a block out of the rest: a unit of work brings its own."""
        clock = time.perf_counter()
        try:
            yield
        finally:
            self._apart += time.perf_counter() - clock

    def add(self, kind: str, unit: Kept) -> None:
        """Count a unit of work, once however often it is asked for."""
        self._units.setdefault(kind, {})[unit.place] = unit.seconds

    def seconds(self) -> dict[str, float]:
        """Wall-clock seconds by kind of unit, and of everything else since the start."""
        found = {kind: sum(units.values()) for kind, units in self._units.items()}
        rest = time.perf_counter() - self._started - self._apart
        return {kind: round(value, 3) for kind, value in (found | {REST: rest}).items()}


def kept(name: str, address: Mapping[str, Any], make: Callable[[], Any]) -> Kept:
    """What is kept at an `address`: read back where it is, else made now and written atomically.

    `name` is the readable part of its place under ``runs/tables``; what decides its numbers is the
    `address`, which is JSON as the content is. While another process makes it, this one waits. A
    file that is damaged or holds something else is set aside, and its content made anew.
    """
    path = place(name, address)
    text = _text(address)
    if found := _read(path, text):
        return found
    with locked(path.parent, f"the table {path.parent.name}", wait=True):
        found = _read(path, text)  # somebody else may have made it meanwhile
        if found is None:
            _clear(path)
            found = _made(make, path)
            _write(path, text, found)
    return found


def present(name: str, address: Mapping[str, Any]) -> bool:
    """Whether something is kept at an `address`, and would be read back."""
    return _read(place(name, address), _text(address)) is not None


def place(name: str, address: Mapping[str, Any]) -> Path:
    """The file of what is kept at an address; its folder has a name of its own."""
    digest = hashlib.sha256(_text(address).encode()).hexdigest()[:8]
    readable = re.sub(r"[^A-Za-z0-9.,_-]+", "-", name)[:LONGEST].strip("-")
    return home() / "runs" / "tables" / f"{readable}-{digest}" / "table.json"


def _text(address: Mapping[str, Any]) -> str:
    """An address as it stands in a file."""
    return json.dumps(address, sort_keys=True)


def _made(make: Callable[[], Any], path: Path) -> Kept:
    clock = time.perf_counter()
    content = make()
    return Kept(content, round(time.perf_counter() - clock, 3), path.parent.name)


def _write(path: Path, address: str, made: Kept) -> None:
    about = {"address": address, "seconds": made.seconds, "content": made.content}
    write_text(path, json.dumps(about | {"sha256": _checksum(about)}))


def _read(path: Path, address: str) -> Kept | None:
    """What a file holds; nothing where it is not there, damaged, or of another address."""
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        checksum = about.pop("sha256")
        if checksum != _checksum(about) or about["address"] != address:
            return None
        return Kept(about["content"], about["seconds"], path.parent.name)
    except (
        FileNotFoundError,
        IsADirectoryError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
    ):
        return None


def _clear(path: Path) -> None:
    """Set aside what is in the way; needs the lock of its folder."""
    if path.exists():
        free = set_aside(path, "refused").name
        notice(f"{path} is damaged or holds something else; it is kept as {free}, and made anew")


def _checksum(about: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()
