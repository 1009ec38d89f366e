"""Measures of updates and gradients up to a permutation: Figure 3, Theorem 3.1, Lemma 3.2."""

from __future__ import annotations

import math
from itertools import combinations
from statistics import fmean

import pandas as pd

from trajtransfer.paper.measures.measure import Measures, apart, measure

COSINE = "{:.2f}"
ONE_PAIR = "points of one pair"


def of_updates(updates: pd.DataFrame) -> Measures:
    """Cosines at the last iteration of the widest network, per pair, and their excess."""
    last = updates["iteration"] == updates["iteration"].max()
    widest = updates["width"] == updates["width"].max()
    mine = updates[last & widest].set_index(["series", "pair"])
    permuted = mine.loc[mine["order"] == "permuted", "cosine"]
    identity = mine.loc[mine["order"] == "identity", "cosine"]
    return {
        "permuted": measure(permuted, text=COSINE),
        "identity": measure(identity, text=COSINE),
        "excess": measure(apart(permuted, identity), text=COSINE),
    }


def effects(updates: pd.DataFrame) -> dict[str, float]:
    """How much the mean permuted cosine changes with the network, the kind of start, and the data.

    Each effect is the mean absolute difference over all pairs of series that differ in that alone
    (NaN: there are none); widths are averaged.
    """
    mine = updates[updates["order"] == "permuted"]
    random = (mine["start"] == "random").rename("random")
    series = mine.groupby(["network", random, "data"], sort=False)["cosine"].agg(fmean)
    names = ("network", "start", "data")
    return {name: _effect(series, which) for which, name in enumerate(names)}


def _effect(series: pd.Series, which: int) -> float:
    apart = []
    for a, b in combinations(series.index, 2):
        if [i for i in range(3) if a[i] != b[i]] == [which]:
            apart.append(abs(series[a] - series[b]))
    return fmean(apart) if apart else math.nan


def of_effects(found: dict[str, float]) -> Measures:
    """How much more network and start change than the data do: one difference of means."""
    measures = {}
    for name in ("network", "start"):
        apart = found[name] - found["data"]
        known = [] if math.isnan(apart) else [apart]
        measures[f"{name}-minus-data"] = measure(known, "differences of means", COSINE)
    return measures


def of_distances(distances: pd.DataFrame, fits: pd.DataFrame) -> Measures:
    """The slopes of `fits`, and the mean distance of the widest networks over the narrowest."""
    by_name = fits.set_index(["condition", "order"])
    matched = by_name.loc[("labels", "matched")]
    slopes = {
        "slope": matched["slope"],
        "slope-high": matched["high"],
        "slope-identity": by_name.loc[("labels", "identity"), "slope"],
        "slope-shuffled": by_name.loc[("shuffled labels", "matched"), "slope"],
        "slope-he": by_name.loc[("He scale", "matched"), "slope"],
    }
    measures = {name: measure([slope], "fits", "{:.3f}") for name, slope in slopes.items()}
    ratio = measure([_narrow_to_wide(distances)], "ratios of means", COSINE)
    return measures | {"ratio": ratio}


def _narrow_to_wide(distances: pd.DataFrame) -> float:
    """Mean matched distance of the widest networks over that of the narrowest."""
    mine = distances[(distances["condition"] == "labels") & (distances["order"] == "matched")]
    means = mine.groupby("width")["distance"].agg(fmean)
    return float(means.iloc[-1] / means.iloc[0])


def of_drift(drift: pd.DataFrame) -> Measures:
    """How far earlier points move at a step, over a control and over their way; cosines for GMT."""
    measures = {}
    for method, label in (("gmt", "drift"), ("fgmt", "drift-fgmt")):
        mine = drift[drift["method"] == method]
        over_control = mine["distance"] / mine["control"]
        measures[f"{label}-over-control"] = measure(over_control, ONE_PAIR, "{:.0%}")
        measures[f"{label}-over-step"] = measure(mine["relative"], ONE_PAIR, "{:.0%}")
    cosines = drift.loc[drift["method"] == "gmt", "gradient_cosine"]
    return measures | {"gradient-cosine": measure(cosines, ONE_PAIR, COSINE)}
