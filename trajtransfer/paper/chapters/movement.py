"""What decides how well a movement transfers: recipes, widths and samples, varied one at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import pandas as pd

from trajtransfer.paper.controls import trained
from trajtransfer.paper.lab import Lab
from trajtransfer.paper.seeds import Seeds
from trajtransfer.paper.storage.progress import progress
from trajtransfer.paper.transfers import transfer


class Variant(NamedTuple):
    """A laboratory in which one thing is another than in the setting: what `varied`, and how."""

    varied: str
    value: float
    lab: Lab


def of_recipe(lab: Lab, name: str, values: Sequence[float]) -> list[Variant]:
    """Trained otherwise: `name` is a field of the recipe, such as ``"lr"``."""
    chosen = lab.setting
    found = []
    for value in values:
        change: dict[str, Any] = {name: value}
        recipe = replace(chosen.recipe, **change)
        found.append(Variant(name, value, lab.of(replace(chosen, recipe=recipe))))
    return found


def of_width(lab: Lab, values: Sequence[float]) -> list[Variant]:
    """Networks of other widths."""
    return [Variant("width", value, lab.of(lab.setting.with_width(value))) for value in values]


def of_transfer(lab: Lab, name: str, values: Sequence[int]) -> list[Variant]:
    """The same networks, transferred otherwise: `name` is a field of the setting."""
    changes: list[dict[str, Any]] = [{name: value} for value in values]
    labs = [lab.of(replace(lab.setting, **change)) for change in changes]
    return [Variant(name, value, other) for value, other in zip(values, labs, strict=True)]


def reached(
    variants: Sequence[Variant], methods: Sequence[str], pairs: Sequence[Seeds]
) -> pd.DataFrame:
    """The accuracy of each method at its chosen step, beside how far the source had moved.

    One row per variant, pair and method.
    """
    rows = []
    for variant in progress(variants, "variants"):
        about = {"varied": variant.varied, "value": variant.value}
        for row in trained(variant.lab, pairs).to_dict("records"):
            (seeds,) = [one for one in pairs if str(one) == row["pair"]]
            for method in methods:
                steps = variant.lab.table(transfer, method, seeds)
                chosen = steps.loc[steps["selection_accuracy"].idxmax()]
                rows.append(about | row | {"method": method, "accuracy": chosen["accuracy"]})
    return pd.DataFrame(rows)
