"""Measures of networks in the loss landscape: symmetry, barriers and basins."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import fmean

import pandas as pd

from trajtransfer.landscape import Interpolation
from trajtransfer.paper.measures.measure import Measures, measure

TUNED = {"FGMT+FT": "tuned", "permuted source": "permuted", "source as it is": "plain"}
TARGET = "trained target"
SOURCE = "Source*"


def of_basins(barriers: pd.DataFrame) -> Measures:
    """The barriers of the loss (nats) from each method to source and target, per pair."""
    measures: Measures = {}
    for method, mine in barriers.groupby("from", sort=False):
        for end, name in ((SOURCE, "source"), (TARGET, "target")):
            found = mine.loc[mine["to"] == end, "barrier"]
            measures[f"{method}-to-{name}"] = measure(found, text="{:.2f}")
    share = measure(_oracle_share(barriers), "ratios of means", "{:.0%}")
    return measures | {"oracle-over-fgmt": share}


def _oracle_share(barriers: pd.DataFrame) -> list[float]:
    """The mean barrier from Oracle to the trained target over that from FGMT.

    1 without any, infinite without FGMT's; none where one of the two was not run.
    """
    to_target = barriers[barriers["to"] == TARGET]
    means = to_target.groupby("from")["barrier"].agg(fmean)
    if not {"oracle", "fgmt"} <= set(means.index):
        return []
    if means["fgmt"]:
        return [means["oracle"] / means["fgmt"]]
    return [math.inf if means["oracle"] else 1.0]


def of_fine_tuned(barriers: pd.DataFrame) -> Measures:
    """The barriers of the loss (nats) and of the accuracy from the trained target, per pair."""
    measures: Measures = {}
    for end, name in TUNED.items():
        mine = barriers[barriers["to"] == end]
        measures[f"{name}-barrier"] = measure(mine["barrier"], text="{:.3f}")
        measures[f"{name}-accuracy-barrier"] = measure(mine["accuracy barrier"])
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
