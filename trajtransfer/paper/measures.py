"""Measures of curves: the numbers that claims speak of, computed by the same functions from our rows and the paper's."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from statistics import fmean
from typing import Any

from trajtransfer.paper import reported
from trajtransfer.paper.record import MISSING
from trajtransfer.paper.reported import panels

Row = Mapping[str, Any]
Measures = dict[str, list[float]]
STANDARD = "standard"
SHARES = (0.9, 0.95, 0.99)


@dataclass(frozen=True)
class Curve:
    """Accuracy in [0, 1] after steps t = 1..T on the validation split, and on the split that chooses a step."""

    accuracy: tuple[float, ...]
    selection: tuple[float, ...]

    @property
    def first(self) -> float:
        """Accuracy after the first step."""
        return self.accuracy[0]

    @property
    def final(self) -> float:
        """Accuracy after the last step."""
        return self.accuracy[-1]

    @property
    def peak(self) -> float:
        """Accuracy after the step that is best on the selection split."""
        return self.accuracy[self.selection.index(max(self.selection))]


Curves = Mapping[str, Sequence[Curve]]


def curves_of(rows: Sequence[Row]) -> dict[str, list[Curve]]:
    """Tidy rows of a transfer as method -> one curve per seed pair."""
    grouped: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        grouped.setdefault((row["method"], row["pair"]), []).append(row)
    curves: dict[str, list[Curve]] = {}
    for (method, _), mine in grouped.items():
        curve = Curve(tuple(r["accuracy"] for r in mine), tuple(r["selection_accuracy"] for r in mine))
        curves.setdefault(method, []).append(curve)
    return curves


def reported_curves(panel: str) -> dict[str, list[Curve]]:
    """The paper's mean curves of a panel; the paper chooses the step on the validation split itself."""
    means = {c["label"].lower(): tuple(y / 100 for y in c["mean"]) for c in panels()[panel]["curves"]}
    return {method: [Curve(mean, mean)] for method, mean in means.items()}


def transfer_measures(curves: Curves) -> Measures:
    """What the claims about Figure 5 speak of, one value per curve; differences are in accuracy.

    Of each method: its first, final and best accuracy (at the step chosen on the selection split), its rise from
    first to final and its fall from best to final; of each method against another: the three differences, and the
    ratio of the best.
    """
    measures: Measures = {}
    for method, ours in curves.items():
        measures |= {f"{method}-{name}": [getattr(c, name) for c in ours] for name in ("first", "final", "peak")}
        measures[f"{method}-rise"] = [c.final - c.first for c in ours]
        measures[f"{method}-fall"] = [c.peak - c.final for c in ours]
        for other in curves.keys() - {method}:
            for name in ("first", "final", "peak"):
                pairs = zip(ours, curves[other], strict=True)
                measures[f"{method}-{name}-minus-{other}"] = [getattr(a, name) - getattr(b, name) for a, b in pairs]
            best = zip(ours, curves[other], strict=True)
            measures[f"{method}-peak-over-{other}"] = [a.peak / b.peak for a, b in best if b.peak]
    return dict(sorted(measures.items()))


def panel_title(panel: str) -> str:
    """What a panel of the paper shows."""
    title: str = panels()[panel]["title"]
    return title


def method_table(curves: Curves, reported_: Curves) -> list[dict[str, Any]]:
    """First, best and last accuracy (%) per method, ours as mean ± std over pairs and the paper's mean."""
    table = []
    for method, ours in curves.items():
        row: dict[str, Any] = {"method": method}
        for name, which in (("first", "first"), ("best", "peak"), ("last", "final")):
            row[f"{name} step"] = percent([getattr(c, which) for c in ours])
            row[f"{name}, paper"] = percent([getattr(c, which) for c in reported_.get(method, [])])
        table.append(row)
    return table


def percent(values: Sequence[float]) -> str:
    """Fractions as ``mean ± std`` in per cent, or differences in points; a dash for none."""
    return mean_text([100 * value for value in values], 1) if values else MISSING


def percent_row(row: Row) -> dict[str, Any]:
    """A row with its lists of fractions as `percent`."""
    return {name: percent(value) if isinstance(value, list) else value for name, value in row.items()}


def trajectory_measures(rows: Sequence[Row]) -> Measures:
    """Of each gradient method, per pair: what linear trajectories gain over recorded ones, and cosine times over uniform.

    `gain` is the difference of final accuracies, `drop` the deepest fall between two steps.
    """
    kinds = {kind: curves_of([row for row in rows if row["trajectory"] == kind]) for kind in _values(rows, "trajectory")}
    measures: Measures = {}
    for method in ("gmt", "fgmt"):
        recorded, uniform, cosine = (kinds.get(k, {}).get(method, []) for k in ("recorded", "linear, uniform", "linear, cosine"))
        measures[f"{method}-linear-gain"] = [a.final - b.final for a, b in zip(uniform, recorded, strict=False)]
        measures[f"{method}-recorded-drop"] = [max((x - y for x, y in pairwise(c.accuracy)), default=0.0) for c in recorded]
        measures[f"{method}-linear-drop"] = [max((x - y for x, y in pairwise(c.accuracy)), default=0.0) for c in uniform]
        drops = zip(measures[f"{method}-recorded-drop"], measures[f"{method}-linear-drop"], strict=False)
        measures[f"{method}-excess-drop"] = [a - b for a, b in drops]
        measures[f"{method}-cosine-gain"] = [a.final - b.final for a, b in zip(cosine, uniform, strict=False)]
    return {name: values for name, values in measures.items() if values}


def epochs_to_reach(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Epochs until a share of the final accuracy of standard training is reached, per method and pair, and epochs saved.

    0 means before any training. A run that never gets there counts as one epoch more than it was trained for.
    """
    table = []
    for pair in _values(rows, "pair"):
        mine = [row for row in rows if row["pair"] == pair]
        paths = {m: [(r["epoch"], r["accuracy"]) for r in mine if r["method"] == m] for m in _values(mine, "method")}
        for share in SHARES:
            goal = share * paths[STANDARD][-1][1]
            reached = {m: next((e for e, a in path if a >= goal), path[-1][0] + 1) for m, path in paths.items()}
            table += [
                {"method": m, "pair": pair, "share": share, "epochs": epochs, "saved": reached[STANDARD] - epochs}
                for m, epochs in reached.items()
            ]
    return table


def epochs_table(reached: Sequence[Row]) -> list[dict[str, Any]]:
    """The rows of `epochs_to_reach` as one line per method: mean ± std over the pairs."""
    return [
        {"method": m}
        | {
            f"epochs to {100 * share:.0f} %": mean_text(
                [r["epochs"] for r in reached if (r["method"], r["share"]) == (m, share)], 1
            )
            for share in SHARES
        }
        for m in _values(reached, "method")
    ]


def mean_columns(rows: Sequence[Row], columns: Sequence[str]) -> dict[str, str]:
    """``mean ± std`` of some columns."""
    return {column: mean_text([row[column] for row in rows], 3) for column in columns}


def mean_text(values: Sequence[float], digits: int) -> str:
    """``mean ± std`` with so many decimals, the mean alone for a single value."""
    spread = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{fmean(values):.{digits}f}{spread}"


def training_measures(rows: Sequence[Row]) -> Measures:
    """Of each method: epochs saved at each share, and its lead over standard training and over Naive after one epoch."""
    measures: Measures = {}
    for row in epochs_to_reach(rows):
        measures.setdefault(f"{row['method']}-saved-{100 * row['share']:.0f}", []).append(row["saved"])
    first = {m: [r["accuracy"] for r in rows if r["method"] == m and r["epoch"] == 1] for m in _values(rows, "method")}
    for method, other in ((m, o) for m in first for o in (STANDARD, "naive") if o in first and o != m):
        measures[f"{method}-lead-over-{other}"] = [a - b for a, b in zip(first[method], first[other], strict=True)]
    return measures


def generalization_measures(rows: Sequence[Row]) -> Measures:
    """Final accuracy of the transfer from the poor source to the good target against the other curves, and of its gap."""
    last = max(row["epoch"] for row in rows)
    final = {m: [r for r in rows if r["method"] == m and r["epoch"] == last] for m in _values(rows, "method")}
    ours = final["FGMT, part → all"]
    names = {"FGMT, part → part": "fgmt-part", "standard, all": "standard-all", "standard, part": "standard-part"}
    return {
        f"{what}-minus-{short}": [a[what] - b[what] for a, b in zip(ours, final[name], strict=True)]
        for name, short in names.items()
        for what in ("accuracy", "gap")
    }


def ensemble_measures(rows: Sequence[Row]) -> Measures:
    """Accuracy of the ensembles of each method minus that of the full one, per group."""
    full = {row["group"]: row["accuracy"] for row in rows if row["method"] == "full"}
    return {
        f"{method}-minus-full": [r["accuracy"] - full[r["group"]] for r in rows if r["method"] == method]
        for method in _values(rows, "method")
        if method != "full"
    }


def at_the_end(rows: Sequence[Row]) -> Measures:
    """Cosines at the last iteration of the widest network, per pair, and how far the permuted one lies above the identity."""
    last, widest = max(row["iteration"] for row in rows), max(row["width"] for row in rows)
    mine = [row for row in rows if (row["iteration"], row["width"]) == (last, widest)]
    found = {order: [row["cosine"] for row in mine if row["order"] == order] for order in ("permuted", "identity")}
    return found | {"excess": [a - b for a, b in zip(found["permuted"], found["identity"], strict=True)]}


def effects(rows: Sequence[Row]) -> dict[str, float]:
    """How much the mean permuted cosine changes with the network, with the kind of start, and with the data, all else equal.

    Each effect is the mean absolute difference over all pairs of series that differ in that alone (NaN: there are none);
    widths are averaged.
    """
    series: dict[tuple[Any, ...], list[float]] = {}
    for row in (row for row in rows if row["order"] == "permuted"):
        series.setdefault((row["network"], row["start"] == "random", row["data"]), []).append(row["cosine"])

    def effect(which: int) -> float:
        apart = [(a, b) for a, b in combinations(series, 2) if [i for i in range(3) if a[i] != b[i]] == [which]]
        return fmean(abs(fmean(series[a]) - fmean(series[b])) for a, b in apart) if apart else math.nan

    return {name: effect(which) for which, name in enumerate(("network", "start", "data"))}


def reported_measures(panel: str) -> Measures:
    """The measures of a panel of the paper: of its Figures 3a, 4, 5, 6 and 8, and of its table of ensembles."""
    if panel.startswith("ensemble"):
        table = panels()["ensemble-table"][panel.removeprefix("ensemble ")]
        return {f"{name.lower()}-minus-full": [(table[name][0] - table["Full"][0]) / 100] for name in ("GMT", "FGMT")}
    return _FIGURES[panel[0]](panel)


def reported_training_rows(panel: str) -> list[dict[str, Any]]:
    """The mean curves of a panel of the paper's Figure 6 as rows like ours, without an epoch 0."""
    return reported.training_rows(panel)


def _values(rows: Sequence[Row], column: str) -> list[Any]:
    return list(dict.fromkeys(row[column] for row in rows))


_FIGURES = {
    "3": lambda panel: at_the_end(reported.similarity_rows(panel)),
    "4": lambda panel: trajectory_measures(reported.trajectory_rows(panel)),
    "5": lambda panel: transfer_measures(reported_curves(panel)),
    "6": lambda panel: training_measures(reported.training_rows(panel)),
    "8": lambda panel: generalization_measures(reported.generalization_rows(panel)),
}
