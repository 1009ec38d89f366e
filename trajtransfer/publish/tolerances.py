"""By how much two numbers may differ: columns and measures have kinds, every kind one tolerance."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

from trajtransfer.algorithms import METHODS

HERE = "trajtransfer/publish/tolerances.py"
# How alike two machines are: same processor, threads and libraries; others; others for small
# networks whose training amplifies rounding, so that another processor gives other ones.
SAME = "same machine"
OTHER = "another machine"
ROUGH = "another machine, small ResNets"
ROUGH_NETWORKS = ("resnet10", "resnet18")
FACTORS = {SAME: 1.0, OTHER: 1.0, ROUGH: 4.0}
LAST_DIGIT = 1e-9  # the same code on the same machine gives the same numbers
FACTOR = 0.75  # the widest relative tolerance, a factor of four


class Tolerance(NamedTuple):
    """By how much two numbers of a kind may differ, and why; `relative` to the larger one."""

    size: float
    why: str
    relative: bool = False


# For other processors and libraries than those of the first run.
TOLERANCES = {
    "label": Tolerance(0, "texts and names"),
    "count": Tolerance(0, "follows from the parameters"),
    "rounding": Tolerance(1e-9, "follows from the parameters, but for float64 rounding"),
    "accuracy": Tolerance(0.12, "fractions of some hundred images, and differences of two"),
    "loss": Tolerance(1.0, "nats: what such a difference of accuracies means far from a minimum"),
    "agreement": Tolerance(0.12, "a matching objective over its bound"),
    "weight space": Tolerance(2.0, "lengths of movements, which are some tens"),
    "cosine": Tolerance(0.3, "of updates after many iterations, and differences of two"),
    "slope": Tolerance(0.3, "log-log, of distances that are means over draws"),
    "distance": Tolerance(0.3, "distances between gradients of length 1"),
    "ratio": Tolerance(0.5, "a quotient of two such numbers: a factor of two", relative=True),
    "share": Tolerance(1.0, "a quotient of differences of accuracy"),
    "epochs": Tolerance(8, "when a curve crosses a line: half of the training of a quick run"),
    "correlation": Tolerance(1.0, "of the ranks of a few accuracies, some of them alike"),
    "sweeps": Tolerance(0.5, "when a descent stops: a factor of two", relative=True),
    "work": Tolerance(0.5, "counted operations follow the sweeps", relative=True),
    "seconds": Tolerance(math.inf, "depends on what else the machine does: reported, not compared"),
}
# `TABLE/COLUMN` goes before `COLUMN`, which is of any table.
COLUMNS_OF_KINDS = {
    "label": (
        "condition, corner, data, from, layer, method, network, order, pair, pre-trained on, "
        "products, series, source, start, to, trajectory, varied"
    ),
    "count": (
        "T, draw, epoch, epochs per member, gradient pairs, gradient_pairs, group, iteration, "
        "members, number, permutation, s, samples, samples of training, sweep, "
        "sweeps per match at most, t, unit"
    ),
    "rounding": "change, difference, position, share, value, width",
    "accuracy": (
        "GMT, Naive, accuracy, accuracy barrier, accuracy of members, calibration error, "
        "disagreement, gap, peak, selection_accuracy, source accuracy, target accuracy, "
        "test_accuracy, validation accuracy"
    ),
    "loss": "barrier, loss, nll, rise",
    "agreement": "agreement, agreement_identity",
    "weight space": "control, distance, u, v, weight",
    "distance": "distances/distance",
    "ratio": "invariance/control, movement",
    "cosine": "cosine, effects/data, effects/network, effects/start, gradient_cosine, relative",
    "slope": "high, intercept, low, slope",
    "epochs": "epochs, saved",
    "sweeps": "assignments, sweeps",
    "work": "GFLOP, GFLOP of training, share of training",
    "seconds": (
        "shares/assignments, gradients, seconds, seconds of an epoch, seconds of assignments, "
        "seconds of gradients, seconds of the rest, seconds of training, the rest"
    ),
}
COLUMNS = {
    column: kind for kind, columns in COLUMNS_OF_KINDS.items() for column in columns.split(", ")
}
METHOD = f"({'|'.join([*METHODS, 'standard', 'short'])})"
MEASURES = {
    "count": "pairs",
    "rounding": "largest-change",
    "accuracy": "|".join(
        [
            f"{METHOD}-(first|final|peak)(-minus-{METHOD})?",
            f"{METHOD}-(rise|fall|test)",
            "(source|target)-accuracy",
            f"{METHOD}-(lead-over-{METHOD}|later-gain)",
            f"{METHOD}-(linear|cosine)-gain",
            f"{METHOD}-(recorded|linear|excess)-drop",
            f"{METHOD}-minus-full",
            "(accuracy|gap)-minus-(fgmt|standard|naive)-(part|all)|all-minus-part",
            "(plain|permuted|tuned)-accuracy-barrier",
            "bfloat16-minus-float32",
            "one-sweep-loss",
            "spread-of-accuracy",
            "pocket-[a-z-]+",
            "new-network",
            "old-network-fine-tuned",
            "the-movement-(transferred-by-FGMT|without-a-permutation)",
        ]
    ),
    "loss": "|".join(
        [
            f"{METHOD}-(rise-)?to-(source|target)|{METHOD}-rise-minus-oracle",
            "(plain|permuted|tuned)-barrier|barrier-(before|after)",
        ]
    ),
    "agreement": "spread-of-objective",
    "cosine": (
        f"{METHOD}-gradient-cosine|cosine|identity|permuted|excess|(network|start)-minus-data"
    ),
    "slope": "slope(-(wide|identity|shuffled|he))?",
    "share": f"{METHOD}-share-of-oracle",
    "correlation": f"{METHOD}-by-movement",
    "ratio": f"ratio|movement|{METHOD}-drift-over-(control|step)|control-change",
    "epochs": rf"{METHOD}-saved-\d+",
    "work": "f?gmt-(cost|share|largest-share)",
}


def kind_of_column(column: str, table: str = "") -> str:
    """The kind of a column. Raises ``ValueError`` for an unknown one."""
    if f"{table}/{column}" in COLUMNS:
        return COLUMNS[f"{table}/{column}"]
    if column not in COLUMNS:
        raise ValueError(
            f"no kind is known for the column {column!r}; add it to COLUMNS_OF_KINDS in {HERE}"
        )
    return COLUMNS[column]


def kind_of_measure(measure: str) -> str:
    """The kind of a measure. Raises ``ValueError`` for an unknown one."""
    for kind, pattern in MEASURES.items():
        if re.fullmatch(pattern, measure):
            return kind
    raise ValueError(f"no kind is known for the measure {measure!r}; add it to MEASURES in {HERE}")


def allowed(kind: str, first: float, second: float, likeness: str = OTHER) -> float:
    """By how much two finite numbers of a kind may differ, made on machines that are so alike."""
    size = TOLERANCES[kind].size
    if likeness == SAME and kind != "seconds":
        return min(size, LAST_DIGIT * max(1.0, abs(first), abs(second)))
    if not TOLERANCES[kind].relative:
        return size * FACTORS[likeness]
    return min(FACTOR, size * FACTORS[likeness]) * max(abs(first), abs(second))


def tolerance_text(kind: str, likeness: str) -> str:
    """A tolerance in words: its size and its kind."""
    if kind == "seconds":
        return "finite, not negative (seconds)"
    if TOLERANCES[kind].relative and likeness != SAME:
        return f"{allowed(kind, 1, 1, likeness):.0%} of the larger ({kind})"
    return f"{allowed(kind, 1, 1, likeness):g} ({kind})"
