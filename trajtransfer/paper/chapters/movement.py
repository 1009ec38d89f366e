"""What decides how well a movement transfers: recipes, widths and samples, varied one at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import pandas as pd

from trajtransfer.paper.chapters.transfer import transfer
from trajtransfer.paper.controls import trained
from trajtransfer.paper.lab import Lab
from trajtransfer.paper.measures import curves_of
from trajtransfer.paper.seeds import Seeds
from trajtransfer.paper.storage.progress import progress


class Variant(NamedTuple):
    """A laboratory in which one thing is another than in the setting: what `varied`, and how."""

    varied: str
    value: float
    lab: Lab


def of_recipe(lab: Lab, name: str, values: Sequence[float]) -> list[Variant]:
    """Trained otherwise: `name` is a field of the recipe, such as ``"lr"``."""
    chosen = lab.setting
    recipes = {value: replace(chosen.recipe, **{name: value}) for value in values}
    return [
        Variant(name, value, lab.of(replace(chosen, recipe=recipe)))
        for value, recipe in recipes.items()
    ]


def of_width(lab: Lab, values: Sequence[float]) -> list[Variant]:
    """Networks of other widths."""
    return [Variant("width", value, lab.of(lab.setting.with_width(value))) for value in values]


def of_transfer(lab: Lab, name: str, values: Sequence[int]) -> list[Variant]:
    """The same networks, transferred otherwise: `name` is a field of the setting, as ``"steps"``."""
    return [Variant(name, value, lab.of(replace(lab.setting, **{name: value}))) for value in values]


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
                ((curve,),) = curves_of(steps).values()
                rows.append(about | row | {"method": method, "accuracy": curve.peak})
    return pd.DataFrame(rows)
