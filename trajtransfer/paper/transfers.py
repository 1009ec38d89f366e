"""What transfers reach: every step of every method, a unit of work for each pair of seeds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from trajtransfer.paper.lab import Lab
from trajtransfer.paper.seeds import Seeds
from trajtransfer.paper.unit_of_work import tables

Row = dict[str, Any]


def transfers(lab: Lab, methods: Sequence[str], pairs: Sequence[Seeds]) -> pd.DataFrame:
    """Every step of every method on every pair of seeds, one row each (see `Lab.follow`)."""
    return tables(lab.unit(transfer, method, seeds) for seeds in pairs for method in methods)


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
