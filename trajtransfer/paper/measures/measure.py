"""A measure: the values that a claim is decided by, with what they are one per."""

from __future__ import annotations

import math
from collections.abc import Iterable
from statistics import fmean
from typing import NamedTuple

import pandas as pd

PAIRS = "pairs"
POINTS = "{points:.1f} points"  # of a difference of accuracies


class Measure(NamedTuple):
    """The `values` of a measure, one per what `counts` says; `text` formats their mean (`quote`).

    No value stands for what a run cannot tell. `error` is the standard error that all values share
    because they are measured on the same, finitely many images.
    """

    values: tuple[float, ...]
    counts: str
    text: str
    error: float = 0.0


Measures = dict[str, Measure]


def measure(
    values: Iterable[float], counts: str = PAIRS, text: str = "{:.1%}", error: float = 0.0
) -> Measure:
    """A measure of these values, as Python floats."""
    return Measure(tuple(float(value) for value in values), counts, text, float(error))


def sampling_error(images: int, *accuracies: Iterable[float]) -> float:
    """The standard error of an accuracy on so many `images`, or of a difference of accuracies.

    Each is given with its values, of which the mean counts. Networks that are right about the same
    images differ by less than this: it is an upper bound. Of none (curves of the paper) it is 0.
    """
    variance = sum(p * (1 - p) for p in map(fmean, accuracies))
    return math.sqrt(variance / images) if images else 0.0


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
