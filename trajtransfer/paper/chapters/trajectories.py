"""Recorded and linear trajectories of one training run (section 3.4, Appendix E.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from trajtransfer.algorithms import Trajectory
from trajtransfer.paper import networks
from trajtransfer.paper.lab import Lab
from trajtransfer.paper.seeds import Seeds
from trajtransfer.paper.unit_of_work import Need, needing, tables

KINDS = ("recorded", "linear, uniform", "linear, cosine")
Row = dict[str, Any]


def transfers(lab: Lab, methods: Sequence[str], pairs: Sequence[Seeds]) -> pd.DataFrame:
    """The steps of `Lab.follow` along each of the `KINDS` of trajectories (Figures 4 and 9).

    All have as many steps as training had epochs.
    """
    steps = lab.of(replace(lab.setting, steps=lab.setting.recipe.epochs))
    return tables(
        steps.unit(transfer_along, kind, method, seeds)
        for kind in KINDS
        for seeds in pairs
        for method in methods
    )


def _ends(lab: Lab, kind: str, method: str, seeds: Seeds) -> list[Need]:
    """The source with all its epochs, whatever the kind: a training makes them once."""
    source = (networks.recorded, lab.setting, seeds.source)
    return [source, (networks.network, lab.setting, seeds.target)]


@needing(_ends)
def transfer_along(lab: Lab, kind: str, method: str, seeds: Seeds) -> list[Row]:
    """The rows of one method on one pair along one kind of trajectory."""
    line = _trajectory(lab, kind, seeds.source)
    return [{"trajectory": kind} | row for _, row in lab.follow(method, seeds, line)]


def _trajectory(lab: Lab, kind: str, seed: int) -> Trajectory:
    if kind == "recorded":
        return lab.recorded(seed)
    return lab.line(seed, kind.removeprefix("linear, "))
