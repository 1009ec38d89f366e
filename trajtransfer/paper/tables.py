"""Tables as a reader sees them: means with their spread over the pairs, fractions in per cent."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean
from typing import Any

import pandas as pd

from trajtransfer.paper.measures.measure import Measures
from trajtransfer.paper.measures.training import epochs_to_reach
from trajtransfer.paper.measures.transfer import Curves
from trajtransfer.paper.presentation import mean_text, percent

Row = dict[str, Any]
ORDERS = ("permuted", "identity", "random")
OF_TRAJECTORIES = {
    "gain of linear": "linear-gain",
    "deepest fall, recorded": "recorded-drop",
    "deepest fall, linear": "linear-drop",
    "gain of cosine times": "cosine-gain",
}


def methods(curves: Curves, reported: Curves) -> list[Row]:
    """First, best and last accuracy (%) per method, ours and, where there are any, the paper's."""
    table = []
    for method, ours in curves.items():
        row: Row = {"method": method}
        for name, which in (("first", "first"), ("best", "peak"), ("last", "final")):
            row[f"{name} step"] = percent([getattr(curve, which) for curve in ours])
            if reported:
                theirs = [getattr(curve, which) for curve in reported.get(method, [])]
                row[f"{name}, paper"] = percent(theirs)
        table.append(row)
    return table


def trajectories(measures: Measures) -> list[Row]:
    """The differences of `measures.of_trajectories` in points of accuracy, a line per method."""
    table = []
    for method in ("gmt", "fgmt"):
        if f"{method}-linear-gain" in measures:
            row = {"method": method}
            for name, measure in OF_TRAJECTORIES.items():
                found = measures.get(f"{method}-{measure}")
                row[name] = percent(found.values if found else [])
            table.append(row)
    return table


def epochs(training: pd.DataFrame) -> list[Row]:
    """The rows of `measures.epochs_to_reach` as one line per method."""
    table: dict[str, Row] = {}
    reached = epochs_to_reach(training)
    for (method, share), mine in reached.groupby(["method", "share"], sort=False):
        row = table.setdefault(method, {"method": method})
        row[f"epochs to {100 * share:.0f} %"] = mean_text(mine["epochs"].tolist(), 1)
    return list(table.values())


def differences(ours: Measures, paper: Measures) -> list[Row]:
    """Differences in points of accuracy, ours and those that the paper has."""
    return [
        {
            "difference": name.replace("-", " "),
            "ours (points)": percent(measure.values),
            "paper": percent(paper[name].values if name in paper else []),
        }
        for name, measure in ours.items()
    ]


def series(updates: pd.DataFrame) -> list[Row]:
    """Cosines per series, mean over its pairs: of all iterations, and at the last one."""
    last = updates["iteration"] == updates["iteration"].max()
    table = []
    for name, mine in updates.groupby("series", sort=False):
        row: Row = {"series": name}
        for order in ORDERS:
            found = mine[mine["order"] == order]
            row[f"{order}, mean"] = fmean(found["cosine"])
            row[f"{order}, last"] = fmean(found.loc[last, "cosine"])
        table.append(row)
    return table


def barriers(rows: pd.DataFrame) -> list[Row]:
    """The barriers of each kind of segment, and how far it rises above its end, over the pairs."""
    return [
        {
            "from": start,
            "to": end,
            "barrier (nats)": mean_text(mine["barrier"].tolist(), 3),
            "rise above the end (nats)": mean_text(mine["rise"].tolist(), 3),
            "barrier of accuracy (points)": percent(mine["accuracy barrier"].tolist()),
        }
        for (start, end), mine in rows.groupby(["from", "to"], sort=False)
    ]


def sweeps(rows: pd.DataFrame, limit: str) -> list[Row]:
    """What transfers with a bound on the sweeps of a match reach, over the pairs."""
    table = []
    for most, mine in rows.groupby(limit, sort=False):
        row: Row = {limit: most}
        for column in ("sweeps", "agreement", "accuracy", "peak"):
            row[column] = mean_text(mine[column].tolist(), 3)
        table.append(row)
    return table


def variants(rows: pd.DataFrame) -> list[Row]:
    """What was reached with each value of each thing that was varied, over the pairs."""
    table = []
    for (varied, value), mine in rows.groupby(["varied", "value"], sort=False):
        of_pairs = mine.drop_duplicates("pair")
        row: Row = {"varied": varied, "value": f"{value:g}"}
        row["movement"] = mean_text(of_pairs["movement"].tolist(), 2)
        for column in ("source accuracy", "target accuracy"):
            row[column] = percent(of_pairs[column].tolist())
        for method, reached in mine.groupby("method", sort=False):
            row[str(method)] = percent(reached["accuracy"].tolist())
        table.append(row)
    return table


def rounded(rows: pd.DataFrame) -> list[Row]:
    """Rows of costs: seconds, shares and operations with three digits."""
    return [{name: _short(value) for name, value in row.items()} for row in rows.to_dict("records")]


def accuracies(found: Mapping[str, float]) -> list[Row]:
    """Accuracies of single networks by name."""
    return [{"": name, "accuracy (%)": f"{100 * value:.1f}"} for name, value in found.items()]


def _short(value: Any) -> Any:
    return f"{value:.3g}" if isinstance(value, float) else value
