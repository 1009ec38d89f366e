"""A measure: the values that a claim is decided by, with what they are one per."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import pandas as pd

PAIRS = "pairs"


class Measure(NamedTuple):
    """The `values` of a measure, one per what `counts` says; `text` formats their mean.

    No value stands for what a run cannot tell.
    """

    values: tuple[float, ...]
    counts: str
    text: str


Measures = dict[str, Measure]


def measure(values: Iterable[float], counts: str = PAIRS, text: str = "{:.1%}") -> Measure:
    """A measure of these values, as Python floats."""
    return Measure(tuple(float(value) for value in values), counts, text)


def apart(ours: pd.Series, theirs: pd.Series) -> list[float]:
    """The differences of two series of values at the same labels, in the order of ours.

    Raises ``ValueError`` where one has labels that the other lacks.
    """
    if not ours.index.sort_values().equals(theirs.index.sort_values()):
        raise ValueError(
            f"these values are of {sorted(ours.index)} and of {sorted(theirs.index)}; "
            "compare runs of the same pairs"
        )
    return [float(value - theirs[label]) for label, value in ours.items()]
