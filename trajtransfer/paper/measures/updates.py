"""Measures of updates and gradients up to a permutation: Figure 3, Theorem 3.1, Lemma 3.2."""

from __future__ import annotations

import math
from itertools import combinations
from statistics import fmean

import numpy as np
import pandas as pd

from trajtransfer.paper.measures.measure import Measures, measure

COSINE = "{:.2f}"
LAST = 0.8  # the end of a run is its last fifth


def of_updates(updates: pd.DataFrame) -> Measures:
    """Cosines at the end of the widest network, per pair, and their excess over the controls."""
    mine = excesses(updates[updates["width"] == updates["width"].max()])
    last = mine[mine["iteration"] > LAST * mine["iteration"].max()]
    means = last.groupby(["series", "pair"], sort=False).mean(numeric_only=True)
    names = ("permuted", "identity", "excess")
    return {name: measure(means[name], text=COSINE) for name in names}


def excesses(updates: pd.DataFrame) -> pd.DataFrame:
    """A row per series, pair and iteration: the cosine of each order, and the `excess`.

    That is of the permuted one over the larger of identity and random permutation, as far as they
    are there: on a plateau a random permutation makes the updates of two networks agree as well.
    """
    about = ["series", "network", "width", "start", "data", "pair", "iteration"]
    keys = [name for name in about if name in updates]
    wide = updates.pivot_table(index=keys, columns="order", values="cosine", sort=False)
    control = wide.drop(columns="permuted").max(axis=1)
    return wide.assign(excess=wide["permuted"] - control).reset_index()


def effects(updates: pd.DataFrame) -> pd.DataFrame:
    """How much the mean excess changes with the network, the kind of start, and the data, per pair.

    Each effect is the mean absolute difference over all pairs of series that differ in that alone
    (NaN: there are none); widths and iterations are averaged.
    """
    found = excesses(updates)
    found["random"] = found["start"] == "random"
    rows = []
    for pair, mine in found.groupby("pair", sort=False):
        series = mine.groupby(["network", "random", "data"], sort=False)["excess"].agg(fmean)
        names = ("network", "start", "data")
        each = {name: _effect(series, which) for which, name in enumerate(names)}
        rows.append({"pair": pair} | each)
    return pd.DataFrame(rows)


def _effect(series: pd.Series, which: int) -> float:
    differences = []
    for a, b in combinations(series.index, 2):
        if [i for i in range(3) if a[i] != b[i]] == [which]:
            differences.append(abs(series[a] - series[b]))
    return fmean(differences) if differences else math.nan


def of_effects(found: pd.DataFrame) -> Measures:
    """How much more network and start change than the data do, per pair."""
    more = {name: (found[name] - found["data"]).dropna() for name in ("network", "start")}
    return {f"{name}-minus-data": measure(values, text=COSINE) for name, values in more.items()}


def of_distances(distances: pd.DataFrame, fits: pd.DataFrame) -> Measures:
    """Log-log slopes of distance against width: of all draws together, and of each draw.

    `slope` is that of a draw over all widths, `slope-wide` over the upper half of them; `ratio` is
    the mean distance of the widest networks over that of the narrowest.
    """
    by_name = fits.set_index(["condition", "order"])
    together = {
        "slope-identity": by_name.loc[("labels", "identity"), "slope"],
        "slope-shuffled": by_name.loc[("shuffled labels", "matched"), "slope"],
        "slope-he": by_name.loc[("He scale", "matched"), "slope"],
    }
    measures = {name: measure([slope], "fits", "{:.3f}") for name, slope in together.items()}
    mine = distances[(distances["condition"] == "labels") & (distances["order"] == "matched")]
    wide = mine[mine["width"] >= mine["width"].median()]
    for name, rows in (("slope", mine), ("slope-wide", wide)):
        measures[name] = measure(_slopes(rows), "draws", "{:.3f}")
    return measures | {"ratio": measure([_narrow_to_wide(mine)], "ratios of means", COSINE)}


def _slopes(distances: pd.DataFrame) -> list[float]:
    """The slope of log distance against log width of each draw; none with one width."""
    if distances["width"].nunique() < 2:
        return []
    by_draw = distances.groupby("draw", sort=False)
    return [np.polyfit(np.log(d["width"]), np.log(d["distance"]), 1)[0] for _, d in by_draw]


def _narrow_to_wide(distances: pd.DataFrame) -> float:
    """Mean distance of the widest networks over that of the narrowest."""
    means = distances.groupby("width")["distance"].agg(fmean)
    return float(means.iloc[-1] / means.iloc[0])


def of_drift(drift: pd.DataFrame) -> Measures:
    """How far earlier points move at a step, over a control and over their way; cosines.

    Each is the mean over the points and steps of a pair.
    """
    measures = {}
    for method, mine in drift.groupby("method", sort=False):
        over_control = (mine["distance"] / mine["control"]).groupby(mine["pair"]).agg(fmean)
        measures[f"{method}-drift-over-control"] = measure(over_control, text="{:.0%}")
        means = mine.groupby("pair")[["relative", "gradient_cosine"]].agg(fmean)
        measures[f"{method}-drift-over-step"] = measure(means["relative"], text="{:.0%}")
        measures[f"{method}-gradient-cosine"] = measure(means["gradient_cosine"], text=COSINE)
    return measures
