"""What a notebook lacks, written down for others to make.

An engine that spreads work over machines executes a notebook with the variable `ASKED` in its
environment. Units of work and networks that are not there are then not made on the spot: they are
written to the file that the variable names, and the notebook ends. When others have made them, it
is executed again.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from pydantic.dataclasses import dataclass

from trajtransfer.paper.setting import Setting
from trajtransfer.paper.storage.files import write_text

ASKED = "TRAJTRANSFER_ASKED"


class AskedError(Exception):
    """A notebook ended here, since others are to make what it lacks."""


@dataclass(frozen=True)
class Argument:
    """An argument of a unit: plain JSON, a pair of seeds, or the setting of a laboratory."""

    plain: Any = None
    seeds: str = ""
    setting: Setting | None = None


@dataclass(frozen=True)
class Request:
    """A network or a unit of work: the function that makes it, for which setting, on what.

    `key` is the name of the folder in which it will be kept: all that decides its numbers is in it.
    `made_by` is the name of a function with its module. `threads` are those of a CPU that PyTorch
    uses: like the kind of `device` they decide the last digits. It `needs` networks that were not
    there when it was asked for; who makes it without them makes them on the way.
    """

    key: str
    made_by: str
    setting: Setting
    device: str
    threads: int
    arguments: tuple[Argument, ...]
    needs: tuple[Request, ...] = ()


_MANY = TypeAdapter(tuple[Request, ...])


def asking() -> bool:
    """Whether what is missing is asked for instead of made."""
    return ASKED in os.environ


def ask(wanted: Iterable[Request]) -> None:
    """Write down what is wanted and raise `AskedError`, unless nothing is."""
    requests = tuple(wanted)
    if requests:
        write(Path(os.environ[ASKED]), requests)
        raise AskedError(f"{len(requests)} units of work are asked for, {requests[0].key} first")


def write(path: Path, requests: Iterable[Request]) -> None:
    """Write requests to a file, atomically."""
    write_text(path, _MANY.dump_json(tuple(requests), indent=1).decode())


def read(path: Path) -> tuple[Request, ...]:
    """The requests of a file. Raises ``ValueError`` for one that holds something else."""
    return _MANY.validate_json(path.read_bytes())
