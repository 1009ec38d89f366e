"""A poorly pre-trained source and a well pre-trained target (section 4.3, Figure 8)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

import pandas as pd

from trajtransfer.paper import networks
from trajtransfer.paper.lab import Lab
from trajtransfer.paper.seeds import Seeds
from trajtransfer.paper.subsequent import STANDARD, history_rows, transferred
from trajtransfer.paper.unit_of_work import Need, joined, needing, starts, tables

Row = dict[str, Any]


def training(lab: Lab, poor: Lab, pairs: Sequence[Seeds]) -> pd.DataFrame:
    """The four curves of Figure 8: targets of either laboratory, after a transfer or alone.

    Beside them stands the movement of the poor source without a permutation. All are trained for
    as many epochs, so that their gaps can be compared; standard training keeps the learning rate of
    the source, the others have that of the next recipe, as in the paper.
    """
    frames = []
    for name, target in (("FGMT, part → all", lab), ("FGMT, part → part", poor)):
        frames.append(_moved(target, poor, "fgmt", pairs).assign(method=name))
    for name, target in (("standard, all", lab), ("standard, part", poor)):
        frames.append(tables(target.unit(alone, seeds) for seeds in pairs).assign(method=name))
    frames.append(_moved(lab, poor, "naive", pairs).assign(method="Naive, part → all"))
    return joined(frames)


def _moved(lab: Lab, origin: Lab, method: str, pairs: Sequence[Seeds]) -> pd.DataFrame:
    """The rows of `after_transfer` for all pairs."""
    return tables(lab.unit(after_transfer, seeds, origin, method) for seeds in pairs)


def _ends(lab: Lab, seeds: Seeds, origin: Lab, method: str) -> list[Need]:
    source = (networks.network, origin.setting, seeds.source)
    return [source, (networks.network, lab.setting, seeds.target)]


@needing(_ends)
def after_transfer(lab: Lab, seeds: Seeds, origin: Lab, method: str) -> list[Row]:
    """The history of a target after a transfer from a source of the laboratory `origin`."""
    trained, _ = transferred(lab, method, seeds, origin=origin)
    return history_rows(trained, method, seeds)


@needing(starts)
def alone(lab: Lab, seeds: Seeds) -> list[Row]:
    """The history of a target that is trained as after a transfer, without one."""
    recipe = replace(lab.setting.recipe, epochs=lab.setting.next_recipe.epochs)
    start = lab.start(seeds.target)
    return history_rows(lab.continued(recipe, start, seeds.target, STANDARD), STANDARD, seeds)


def pre_training(labs: Sequence[Lab], pairs: Sequence[Seeds]) -> pd.DataFrame:
    """Mean validation accuracy of the pre-trained targets of the pairs, on their own task."""
    rows = []
    for lab in labs:
        if parent := lab.setting.pretrained:
            trained = lab.of(parent).networks(seeds.target for seeds in pairs)
            accuracy = fmean(network.history[-1]["accuracy"] for network in trained)
            rows.append({"pre-trained on": parent.task(), "validation accuracy": accuracy})
    return pd.DataFrame(rows)
