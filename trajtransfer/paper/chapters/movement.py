"""What decides how well a movement transfers: recipe, width and samples, varied one at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Any, NamedTuple

import pandas as pd

from trajtransfer.paper.controls import trained
from trajtransfer.paper.lab import Lab
from trajtransfer.paper.measures import curves_of
from trajtransfer.paper.seeds import Seeds
from trajtransfer.paper.transfers import transfer
from trajtransfer.paper.unit_of_work import contents


class Variant(NamedTuple):
    """A laboratory in which one thing, what is `varied`, has another value than in the setting."""

    varied: str
    value: float
    lab: Lab


def of_recipe(lab: Lab, field: str, values: Sequence[float]) -> list[Variant]:
    """Networks that are trained otherwise; `field` is one of the recipe, such as ``"lr"``."""
    variants = []
    for value in values:
        change: dict[str, Any] = {field: value}
        recipe = replace(lab.setting.recipe, **change)
        variants.append(Variant(field, value, lab.of(replace(lab.setting, recipe=recipe))))
    return variants


def of_width(lab: Lab, values: Sequence[float]) -> list[Variant]:
    """Networks of other widths."""
    return [Variant("width", value, lab.of(lab.setting.with_width(value))) for value in values]


def of_transfer(lab: Lab, field: str, values: Sequence[int]) -> list[Variant]:
    """The same networks, transferred otherwise; `field` is one of the setting, as ``"steps"``."""
    variants = []
    for value in values:
        change: dict[str, Any] = {field: value}
        variants.append(Variant(field, value, lab.of(replace(lab.setting, **change))))
    return variants


def reached(
    variants: Sequence[Variant], methods: Sequence[str], pairs: Sequence[Seeds]
) -> pd.DataFrame:
    """The accuracy of each method at its chosen step, beside the networks that it had.

    One row per variant, pair and method, with the columns of `trained`.
    """
    wanted = list(product(variants, pairs, methods))
    steps = iter(contents([one.lab.unit(transfer, method, seeds) for one, seeds, method in wanted]))
    rows = []
    for variant in variants:
        about = {"varied": variant.varied, "value": variant.value}
        for network in trained(variant.lab, pairs).to_dict("records"):
            for method in methods:
                ((curve,),) = curves_of(pd.DataFrame(next(steps))).values()
                rows.append(about | network | {"method": method, "accuracy": curve.peak})
    return pd.DataFrame(rows)
