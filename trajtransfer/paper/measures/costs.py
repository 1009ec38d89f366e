"""Measures of what a transfer costs, and of how much coordinate descent it needs."""

from __future__ import annotations

import pandas as pd

from trajtransfer.algorithms import METHODS
from trajtransfer.paper.measures.measure import POINTS, Measures, apart, measure
from trajtransfer.paper.work import WORK, share_of_training


def cost_of_transfers(steps: pd.DataFrame, standard: pd.DataFrame) -> pd.DataFrame:
    """Mean work of one transfer per gradient method, beside that of training the target instead.

    Both are counted, so the share is the same on a busy machine. Seconds are reported too: training
    as its number of epochs times their median, so that one pause does not stand out.
    """
    count = steps["pair"].nunique()
    epochs = len(standard) / count
    training = {f"{name} of training": x for name, x in _per_pair(standard, count).items()}
    training["seconds of training"] = float(standard["seconds"].median() * epochs)
    rows = []
    for method in (name for name, known in METHODS.items() if known.knows == "gradients"):
        mine = steps[steps["method"] == method]
        if len(mine):
            work = _per_pair(mine, count) | {"seconds": float(mine["seconds"].sum() / count)}
            share = share_of_training(work, training)
            rows.append({"method": method, **share, **work, **training})
    return pd.DataFrame(rows)


def _per_pair(rows: pd.DataFrame, count: int) -> dict[str, float]:
    """The mean work of `count` pairs; whole numbers stay whole."""
    found = {}
    for name in WORK:
        if name in rows:
            total = rows[name].sum().item()
            found[name] = total / count if total % count else total // count
    return found


def of_transfer_costs(steps: pd.DataFrame, standard: pd.DataFrame) -> Measures:
    """The share of training that a transfer costs by counted work, per pair."""
    shares: dict[str, list[float]] = {}
    for pair, mine in steps.groupby("pair", sort=False):
        costs = cost_of_transfers(mine, standard[standard["pair"] == pair])
        for row in costs.to_dict("records"):
            shares.setdefault(row["method"], []).append(row["share of training"])
    return {f"{method}-cost": measure(values) for method, values in shares.items()}


def of_costs(costs: pd.DataFrame) -> Measures:
    """The share of training per network and length, and the largest of them."""
    measures: Measures = {}
    for method, mine in costs.groupby("method", sort=False):
        shares = mine["share of training"]
        measures[f"{method}-largest-share"] = measure([shares.max()], "largest of all")
        measures[f"{method}-share"] = measure(shares, "networks and lengths")
    return measures


def of_precision(precision: pd.DataFrame) -> Measures:
    """What bfloat16 products change in the final accuracy, per network."""
    by_network = precision.set_index(["network", "width"])
    accuracies = {name: mine["accuracy"] for name, mine in by_network.groupby("products")}
    changes = apart(accuracies["bfloat16"], accuracies["float32"])
    return {"bfloat16-minus-float32": measure(changes, "networks", POINTS)}


def of_sweeps(limits: pd.DataFrame) -> Measures:
    """Accuracy at the last step with the most sweeps minus that with the fewest, per pair."""
    by_limit = limits.set_index(["sweeps per match at most", "pair"])["accuracy"]
    few, many = (f(limits["sweeps per match at most"]) for f in (min, max))
    loss = apart(by_limit[many], by_limit[few])
    return {"one-sweep-loss": measure(loss, text=POINTS)}


def of_restarts(solutions: pd.DataFrame) -> Measures:
    """How far the best and the worst of the optima of one match lie apart."""
    agreement = solutions["agreement"]
    accuracy = solutions["accuracy"]
    spread = 1 - agreement.min() / agreement.max()
    return {
        "spread-of-objective": measure([spread], "matches"),
        "spread-of-accuracy": measure([accuracy.max() - accuracy.min()], "matches", POINTS),
    }
