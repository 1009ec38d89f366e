"""Inputs of the library that have to be refused in words of its own, for tests and campaigns.

``call(folder)`` of a case has to raise a ValueError, TypeError or OSError whose message contains
its `words`; `folder` is an empty one to write files into. Each call takes less than 0.3 seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tests.bad_inputs.data import DATA
from tests.bad_inputs.files import FILES
from tests.bad_inputs.networks import LOSSES, NETWORKS
from tests.bad_inputs.points import INVARIANCES, POINTS
from tests.bad_inputs.states import STATES
from tests.bad_inputs.transfers import transferred

Call = Callable[[Path], object]


class BadInput(NamedTuple):
    """A call that has to be refused in these words."""

    name: str
    call: Call
    words: str


def of_transfers(rows: Sequence[tuple[str, dict[str, Any], str]]) -> list[BadInput]:
    """Transfers that would work, but for the changes."""
    return [
        BadInput(f"transfer: {name}", transferred(**changes), words)
        for name, changes, words in rows
    ]


def of_calls(kind: str, rows: Sequence[tuple[str, Call, str]]) -> list[BadInput]:
    return [BadInput(f"{kind}: {name}", call, words) for name, call, words in rows]


CASES = [
    *of_transfers(STATES),
    *of_transfers(DATA),
    *of_calls("points", POINTS),
    *of_calls("invariance", INVARIANCES),
    *of_calls("losses", LOSSES),
    *of_calls("networks", NETWORKS),
    *of_calls("files", FILES),
]
