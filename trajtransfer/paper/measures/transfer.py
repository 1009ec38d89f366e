"""Measures of transferred trajectories (Figures 4, 5 and 9): one value per pair of seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import pandas as pd

from trajtransfer.paper.measures.measure import Measures, measure
from trajtransfer.paper.reported import panels
from trajtransfer.paper.seeds import Seeds

NAMES = ("first", "final", "peak")


@dataclass(frozen=True)
class Curve:
    """Accuracy in [0, 1] after steps t = 1..T: on validation, and on the split that chooses one."""

    accuracy: tuple[float, ...]
    selection: tuple[float, ...]
    pair: str = "mean"

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

    @property
    def drop(self) -> float:
        """The deepest fall of the accuracy from one step to the next."""
        return max((before - after for before, after in pairwise(self.accuracy)), default=0.0)


Curves = Mapping[str, Sequence[Curve]]


def curves_of(steps: pd.DataFrame) -> dict[str, list[Curve]]:
    """Steps of transfers as method -> one curve per pair of seeds."""
    curves: dict[str, list[Curve]] = {}
    for (method, pair), mine in steps.groupby(["method", "pair"], sort=False):
        curve = Curve(tuple(mine["accuracy"]), tuple(mine["selection_accuracy"]), str(pair))
        curves.setdefault(str(method), []).append(curve)
    return curves


def reported_curves(panel: str) -> dict[str, list[Curve]]:
    """The paper's mean curves of a panel; it chooses the step on the validation split itself."""
    found = {}
    for curve in panels()[panel]["curves"]:
        mean = tuple(y / 100 for y in curve["mean"])
        found[curve["label"].lower()] = [Curve(mean, mean)]
    return found


def of_pairs(pairs: Sequence[Seeds]) -> Measures:
    """How many pairs of seeds a run has, for captions to quote."""
    return {"pairs": measure([len(pairs)], "runs", "{:.0f}")}


def of_transfer(curves: Curves) -> Measures:
    """What the claims about Figure 5 speak of; differences are in accuracy.

    Of each method: its first, final and best accuracy (at the step chosen on the selection split),
    its rise from first to final and its fall from best to final; of each method against another:
    the three differences, and the ratio of the best.
    """
    measures: Measures = {}
    for method, ours in curves.items():
        for name in NAMES:
            measures[f"{method}-{name}"] = measure(getattr(curve, name) for curve in ours)
        measures[f"{method}-rise"] = measure(curve.final - curve.first for curve in ours)
        measures[f"{method}-fall"] = measure(curve.peak - curve.final for curve in ours)
        for other in curves.keys() - {method}:
            measures |= _against(method, ours, other, curves[other])
    return dict(sorted(measures.items()))


def _against(method: str, ours: Sequence[Curve], other: str, theirs: Sequence[Curve]) -> Measures:
    both = _paired(ours, theirs)
    found = {}
    for name in NAMES:
        apart = (getattr(a, name) - getattr(b, name) for a, b in both)
        found[f"{method}-{name}-minus-{other}"] = measure(apart)
    ratios = (a.peak / b.peak for a, b in both if b.peak)
    found[f"{method}-peak-over-{other}"] = measure(ratios)
    return found


def of_trajectories(steps: pd.DataFrame) -> Measures:
    """Of each gradient method: what linear trajectories gain over recorded, cosine over uniform.

    `gain` is the difference of final accuracies, `drop` the deepest fall between two steps.
    """
    kinds = {kind: curves_of(mine) for kind, mine in steps.groupby("trajectory", sort=False)}
    measures: Measures = {}
    for method in ("gmt", "fgmt"):
        recorded = kinds.get("recorded", {}).get(method, [])
        uniform = kinds.get("linear, uniform", {}).get(method, [])
        cosine = kinds.get("linear, cosine", {}).get(method, [])
        found = {
            "linear-gain": _gains(uniform, recorded),
            "recorded-drop": [curve.drop for curve in recorded],
            "linear-drop": [curve.drop for curve in uniform],
            "excess-drop": [a.drop - b.drop for a, b in _of_both(recorded, uniform)],
            "cosine-gain": _gains(cosine, uniform),
        }
        measures |= {
            f"{method}-{name}": measure(values) for name, values in found.items() if values
        }
    return measures


def _gains(ours: Sequence[Curve], theirs: Sequence[Curve]) -> list[float]:
    return [a.final - b.final for a, b in _of_both(ours, theirs)]


def _of_both(ours: Sequence[Curve], theirs: Sequence[Curve]) -> list[tuple[Curve, Curve]]:
    """The curves of each pair; none where one kind of trajectory was not run."""
    return _paired(ours, theirs) if ours and theirs else []


def _paired(ours: Sequence[Curve], theirs: Sequence[Curve]) -> list[tuple[Curve, Curve]]:
    """Our curve and theirs of each pair. Raises ``ValueError`` for other pairs."""
    if sorted(curve.pair for curve in ours) != sorted(curve.pair for curve in theirs):
        raise ValueError("these curves are of other pairs; compare runs of the same pairs")
    left = list(theirs)
    both = []
    for curve in ours:
        other = next(one for one in left if one.pair == curve.pair)
        left.remove(other)
        both.append((curve, other))
    return both
