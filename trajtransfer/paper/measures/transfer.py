"""Measures of transferred trajectories (Figures 4, 5 and 9): one value per pair of seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

import pandas as pd

from trajtransfer.paper.measures.measure import POINTS, Measure, Measures, measure, sampling_error
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
    def deepest(self) -> tuple[float, float]:
        """The accuracies before and after the deepest fall from one step to the next."""
        falls = list(pairwise(self.accuracy)) or [(self.final, self.final)]
        return max(falls, key=lambda fall: fall[0] - fall[1])

    @property
    def drop(self) -> float:
        """The deepest fall of the accuracy from one step to the next."""
        before, after = self.deepest
        return before - after


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


def of_tests(steps: pd.DataFrame, images: int = 0) -> Measures:
    """Of each method: the accuracy on so many test images at the step chosen on another split."""
    tested = steps.dropna(subset="test_accuracy")
    return {
        f"{method}-test": measure(values, error=sampling_error(images, values))
        for method, values in tested.groupby("method", sort=False)["test_accuracy"]
    }


def of_networks(trained: pd.DataFrame, images: int = 0) -> Measures:
    """What gates ask for: accuracies on so many images, and how far sources moved (a ratio)."""
    found = {}
    for name in ("source", "target"):
        values = trained[f"{name} accuracy"]
        found[f"{name}-accuracy"] = measure(values, error=sampling_error(images, values))
    for name in ("movement", "cosine"):
        found[name] = measure(trained[name], text="{:.2f}")
    return found


def of_transfer(curves: Curves, images: int = 0) -> Measures:
    """What the claims about Figure 5 speak of; differences are in accuracy on so many `images`.

    Of each method: its first, final and best accuracy (at the step chosen on the selection split),
    its rise from first to final and its fall from best to final; of each method against another:
    the three differences, and how much of the way from Naive to Oracle it goes by best steps.
    """
    measures: Measures = {}
    for method, ours in curves.items():
        at = {name: [getattr(curve, name) for curve in ours] for name in NAMES}
        for name, values in at.items():
            measures[f"{method}-{name}"] = measure(values, error=sampling_error(images, values))
        measures[f"{method}-rise"] = _difference(at["final"], at["first"], images)
        measures[f"{method}-fall"] = _difference(at["peak"], at["final"], images)
        for other in curves.keys() - {method}:
            measures |= _against(method, ours, other, curves[other], images)
    if {"naive", "oracle"} <= curves.keys():
        measures |= _shares(curves, images)
    return dict(sorted(measures.items()))


def _difference(ours: Sequence[float], theirs: Sequence[float], images: int) -> Measure:
    apart = [a - b for a, b in zip(ours, theirs, strict=True)]
    return measure(apart, text=POINTS, error=sampling_error(images, ours, theirs))


def _against(
    method: str, ours: Sequence[Curve], other: str, theirs: Sequence[Curve], images: int
) -> Measures:
    both = _paired(ours, theirs)
    found = {}
    for name in NAMES:
        a, b = ([getattr(curve, name) for curve in side] for side in zip(*both, strict=True))
        found[f"{method}-{name}-minus-{other}"] = _difference(a, b, images)
    return found


def _shares(curves: Curves, images: int) -> Measures:
    """``(method - Naive) / (Oracle - Naive)`` per pair: 0 is as bad as Naive, 1 as good as Oracle.

    None where Oracle is no better than Naive in a pair; a gate has to ask for more.
    """
    found = {}
    lows, highs = (
        [curve.peak for curve in _in_order(curves[name], curves["naive"])]
        for name in ("naive", "oracle")
    )
    gap = fmean(highs) - fmean(lows)
    for method in curves.keys() - {"naive", "oracle"}:
        ours = [curve.peak for curve in _in_order(curves[method], curves["naive"])]
        each = zip(ours, lows, highs, strict=True)
        values = [(a - low) / (high - low) for a, low, high in each if high > low]
        error = sampling_error(images, ours, lows, highs) / gap if gap > 0 else 0.0
        text = "{:.0%}"
        found[f"{method}-share-of-oracle"] = measure(values, text=text, error=error)
    return found


def _in_order(ours: Sequence[Curve], theirs: Sequence[Curve]) -> list[Curve]:
    """Our curves in the order of the pairs of theirs."""
    return [mine for _, mine in _paired(theirs, ours)]


def of_movement(reached: pd.DataFrame) -> Measures:
    """Spearman's rank correlation of a method's accuracy with how far its source had moved.

    One value per pair, over its runs, each counted once. A pair whose accuracies or movements are
    all alike has none.
    """
    measures: Measures = {}
    for method, mine in reached.groupby("method", sort=False):
        found = []
        for _, of_pair in mine.groupby("pair", sort=False)[["movement", "accuracy"]]:
            ranks = of_pair.drop_duplicates().rank()
            if ranks.nunique().min() > 1:
                found.append(ranks["movement"].corr(ranks["accuracy"]))
        measures[f"{method}-by-movement"] = measure(found, text="{:.2f}")
    return measures


def of_trajectories(steps: pd.DataFrame, images: int = 0) -> Measures:
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
            "linear-gain": _gains(uniform, recorded, images),
            "recorded-drop": _drops(recorded, images),
            "linear-drop": _drops(uniform, images),
            "excess-drop": _excess(recorded, uniform, images),
            "cosine-gain": _gains(cosine, uniform, images),
        }
        measures |= {f"{method}-{name}": one for name, one in found.items() if one.values}
    return measures


def _drops(curves: Sequence[Curve], images: int) -> Measure:
    if not curves:
        return measure([])
    before, after = zip(*(curve.deepest for curve in curves), strict=True)
    return _difference(before, after, images)


def _excess(ours: Sequence[Curve], theirs: Sequence[Curve], images: int) -> Measure:
    """How much deeper ours fall than theirs; an error of four accuracies."""
    both = _of_both(ours, theirs)
    error = math.hypot(_drops(ours, images).error, _drops(theirs, images).error)
    return measure((a.drop - b.drop for a, b in both), text=POINTS, error=error)


def _gains(ours: Sequence[Curve], theirs: Sequence[Curve], images: int) -> Measure:
    both = _of_both(ours, theirs)
    if not both:
        return measure([])
    return _difference([a.final for a, _ in both], [b.final for _, b in both], images)


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
