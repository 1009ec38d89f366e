"""How many epochs a transferred start saves (section 4.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from trajtransfer.paper.lab import Lab
from trajtransfer.paper.seeds import Seeds
from trajtransfer.paper.subsequent import STANDARD, history_rows, standard, transferred
from trajtransfer.paper.unit_of_work import tables

Row = dict[str, Any]


def training(lab: Lab, methods: Sequence[str], pairs: Sequence[Seeds]) -> pd.DataFrame:
    """Validation accuracy after each epoch, by method and pair; standard training comes first."""
    wanted = [STANDARD, *methods]
    return tables(lab.unit(subsequent, method, seeds) for method in wanted for seeds in pairs)


def subsequent(lab: Lab, method: str, seeds: Seeds) -> list[Row]:
    """The rows of one method on one pair; epoch 0 is before any training."""
    if method == STANDARD:
        trained = standard(lab, seeds.target)
        first = lab.score(trained.start).accuracy
    else:
        trained, first = transferred(lab, method, seeds)
    start = {"method": method, "pair": str(seeds), "epoch": 0, "accuracy": first, "gap": None}
    return [start, *history_rows(trained, method, seeds)]
