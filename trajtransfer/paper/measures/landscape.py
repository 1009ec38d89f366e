"""Measures of networks in the loss landscape: symmetry, barriers and basins."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from trajtransfer.landscape import Interpolation
from trajtransfer.paper.measures.measure import POINTS, Measures, apart, measure, sampling_error

TUNED = {"FGMT+FT": "tuned", "permuted source": "permuted", "source as it is": "plain"}
TARGET = "trained target"
SOURCE = "Source*"


def of_basins(barriers: pd.DataFrame) -> Measures:
    """From each method to source and target, per pair: the barrier and the rise of the loss (nats).

    `rise-minus-oracle` is how much higher the loss rises on the way from a method to the trained
    target than on that from Oracle. No record has the spread of losses over images, so that these
    measures have no error of theirs.
    """
    measures: Measures = {}
    rises = {}
    for method, mine in barriers.groupby("from", sort=False):
        for end, name in ((SOURCE, "source"), (TARGET, "target")):
            there = mine[mine["to"] == end].set_index("pair")
            measures[f"{method}-to-{name}"] = measure(there["barrier"], text="{:.2f}")
            measures[f"{method}-rise-to-{name}"] = measure(there["rise"], text="{:.2f}")
            rises[str(method), name] = there["rise"]
    for method, name in rises:
        if name == "target" and method != "oracle" and ("oracle", name) in rises:
            more = apart(rises[method, name], rises["oracle", name])
            measures[f"{method}-rise-minus-oracle"] = measure(more, text="{:.2f}")
    return measures


def of_fine_tuned(barriers: pd.DataFrame, images: int = 0) -> Measures:
    """The barriers of the loss (nats) and of the accuracy from the trained target, per pair.

    Accuracies are those on so many `images`; a barrier is a difference of two of about .9.
    """
    measures: Measures = {}
    for end, name in TUNED.items():
        mine = barriers[barriers["to"] == end]
        measures[f"{name}-barrier"] = measure(mine["barrier"], text="{:.3f}")
        error = sampling_error(images, 1 - mine["accuracy barrier"], [1])
        fall = measure(mine["accuracy barrier"], text=POINTS, error=error)
        measures[f"{name}-accuracy-barrier"] = fall
    return measures


def of_symmetry(changes: pd.DataFrame) -> Measures:
    """The largest change of an output per random permutation, and that of the control."""
    return {
        "largest-change": measure(changes["change"], "permutations", "{:.0e}"),
        "control-change": measure(changes["control"], "permutations", "{:.2f}"),
    }


def of_matching(profiles: Mapping[str, Interpolation]) -> Measures:
    """The barrier between two trained networks (nats), before and after matching."""
    return {
        "barrier-before": measure([profiles["as trained"].barrier], text="{:.3f}"),
        "barrier-after": measure([profiles["matched"].barrier], text="{:.3f}"),
    }


def of_accuracies(accuracies: Mapping[str, float], prefix: str = "") -> Measures:
    """Accuracies of single networks by name."""
    return {
        prefix + name.replace(",", "").replace(" ", "-"): measure([value], "networks")
        for name, value in accuracies.items()
    }
