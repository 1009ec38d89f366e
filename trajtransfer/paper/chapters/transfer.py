"""Transferred trajectories: all methods on all pairs of seeds (section 4.1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from trajtransfer.paper.lab import Lab, joined
from trajtransfer.paper.seeds import Seeds
from trajtransfer.paper.work import epoch_work

Row = dict[str, Any]


def transfers(lab: Lab, methods: Sequence[str], pairs: Sequence[Seeds]) -> pd.DataFrame:
    """Every step of every method on every pair of seeds, one row each (see `Lab.follow`)."""
    return joined([lab.table(transfer, method, seeds) for seeds in pairs for method in methods])


def transfer(lab: Lab, method: str, seeds: Seeds) -> list[Row]:
    """The rows of one method on one pair.

    The step that is best on the selection split has the accuracy on the test set as well.
    """
    rows = []
    best = 0
    for number, (step, row) in enumerate(lab.follow(method, seeds)):
        rows.append(row | {"test_accuracy": None})
        if not number or row["selection_accuracy"] > rows[best]["selection_accuracy"]:
            best = number
            chosen = step.params
    rows[best]["test_accuracy"] = lab.scores(chosen, "test")[0].accuracy
    return rows


def standard_training(lab: Lab, pairs: Sequence[Seeds]) -> pd.DataFrame:
    """Validation accuracy, work and seconds of ordinary training, one row per target and epoch."""
    work = epoch_work(len(lab.task.train), lab.sample_operations)
    rows = []
    for seeds in pairs:
        for epoch in lab.network(seeds.target).history:
            about = {"pair": str(seeds), "epoch": epoch["epoch"], "accuracy": epoch["accuracy"]}
            rows.append(about | work | {"seconds": epoch["seconds"]})
    return pd.DataFrame(rows)


def landmarks(standard: pd.DataFrame) -> dict[int, float]:
    """Mean accuracy of standard training after 1, 4, 10 (as in Figure 5a) and all epochs."""
    means = standard.groupby("epoch")["accuracy"].mean()
    last = means.index.max()
    epochs = sorted({epoch for epoch in (1, 4, 10, last) if epoch <= last})
    return {int(epoch): float(means[epoch]) for epoch in epochs}
