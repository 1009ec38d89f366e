"""What was tried, and what went wrong."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from trajtransfer.paper.storage.project import RunError

REFUSALS = (RunError, ValueError, TypeError, OSError)


@dataclass
class Tally:
    """What was tried in one part of the trial, what went well, and what did not."""

    part: str
    tried: int = 0
    well: int = 0
    wrong: list[str] = field(default_factory=list)

    def add(self, fine: bool, what: str) -> None:
        """Count one attempt."""
        self.tried += 1
        self.well += fine
        if not fine:
            self.wrong.append(what)

    def row(self) -> dict[str, object]:
        """The counts for a table."""
        return {
            "part": self.part,
            "tried": self.tried,
            "as it should be": self.well,
            "lost or wrong": len(self.wrong),
        }


def refused(call: Callable[[], object], words: str = "") -> bool:
    """Whether a call raises one of our errors, with these words."""
    try:
        call()
    except REFUSALS as error:
        return words in str(error)
    return False


@contextlib.contextmanager
def home(folder: Path) -> Iterator[None]:
    """Work in a project of one's own."""
    before = os.environ.get("TRAJTRANSFER_HOME")
    os.environ["TRAJTRANSFER_HOME"] = str(folder)
    try:
        yield
    finally:
        os.environ.pop("TRAJTRANSFER_HOME")
        if before is not None:
            os.environ["TRAJTRANSFER_HOME"] = before
