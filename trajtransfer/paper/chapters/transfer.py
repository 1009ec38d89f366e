"""What transferred trajectories are compared with: ordinary training (section 4.1)."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from trajtransfer.paper.lab import Lab
from trajtransfer.paper.seeds import Seeds
from trajtransfer.paper.work import epoch_work


def standard_training(lab: Lab, pairs: Sequence[Seeds]) -> pd.DataFrame:
    """Validation accuracy, work and seconds of ordinary training, one row per target and epoch."""
    work = epoch_work(len(lab.task.train), lab.sample_operations)
    targets = lab.networks(seeds.target for seeds in pairs)
    rows = []
    for seeds, target in zip(pairs, targets, strict=True):
        for epoch in target.history:
            about = {"pair": str(seeds), "epoch": epoch["epoch"], "accuracy": epoch["accuracy"]}
            rows.append(about | work | {"seconds": epoch["seconds"]})
    return pd.DataFrame(rows)


def landmarks(standard: pd.DataFrame) -> dict[int, float]:
    """Mean accuracy of standard training after 1, 4, 10 (as in Figure 5a) and all epochs."""
    means = standard.groupby("epoch")["accuracy"].mean()
    last = means.index.max()
    epochs = sorted({epoch for epoch in (1, 4, 10, last) if epoch <= last})
    return {int(epoch): float(means[epoch]) for epoch in epochs}
