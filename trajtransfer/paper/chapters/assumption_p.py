"""Assumption (P): how far one permutation makes the updates of two runs agree (section 3.2)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise, product
from typing import Any

import pandas as pd
import torch

from trajtransfer.matching.descent import match
from trajtransfer.paper.lab import Lab
from trajtransfer.paper.seeds import Seeds
from trajtransfer.paper.training import snapshots
from trajtransfer.paper.unit_of_work import contents, needing, starts
from trajtransfer.params import Params
from trajtransfer.permutation import Permutation, PermutationSpec

Row = dict[str, Any]


def cosines(
    labs: Sequence[Lab], pairs: Sequence[Seeds], every: int, iterations: int, same_batches: bool
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The `update_cosines` of all pairs in all settings: rows per iteration, and rows per layer."""
    wanted = list(product(labs, pairs))
    how = (every, iterations, same_batches)
    units = [lab.unit(update_cosines, seeds, *how) for lab, seeds in wanted]
    steps = []
    layers = []
    for (lab, seeds), found in zip(wanted, contents(units), strict=True):
        about = _about(lab) | {"pair": str(seeds)}
        steps += [about | row for row in found["iterations"]]
        layers += [about | row for row in found["layers"]]
    return pd.DataFrame(steps), pd.DataFrame(layers)


def _about(lab: Lab) -> Row:
    chosen = lab.setting
    return {
        "network": chosen.architecture,
        "width": chosen.width,
        "data": chosen.task(),
        "start": chosen.pretrained.task() if chosen.pretrained else "random",
        "series": f"{chosen.architecture} {chosen.width:g}, {chosen.route()}",
    }


@needing(starts)
def update_cosines(
    lab: Lab, seeds: Seeds, every: int, iterations: int, same_batches: bool
) -> dict[str, list[Row]]:
    """Cosines of source and target updates over `every` iterations each.

    One permutation, the best one for :eq:`assumption_p-assumption`, solves equation 4 over every
    second update, ``min sum_t ||pi(d1_t) - d2_t||^2``; the others are held out, and cosines are
    those. The identity and a random permutation are the controls. The cosine of a layer is that of
    all its updates taken together. Where the training of a setting is shorter than `iterations`, it
    is lengthened. With `same_batches` both runs see the same mini-batches in the same order; else
    each draws its own. Raises ``ValueError`` for fewer than two updates.
    """
    if iterations < 2 * every:
        raise ValueError(
            f"{iterations} iterations hold {iterations // every} updates of {every}; two are "
            "needed, one to match and one to compare: choose more iterations, or a smaller every"
        )
    source, target = (
        _updates(lab, seed, 0 if same_batches else seed, every, iterations) for seed in seeds
    )
    held_out = target[::2]
    steps = []
    layers = []
    for order, pi in _orders(source[1::2], target[1::2], lab.spec, seeds.source).items():
        moved = [pi(update) for update in source[::2]]
        steps += [{"order": order} | row for row in _per_iteration(held_out, moved, every)]
        layers += [{"order": order} | row for row in _per_layer(held_out, moved)]
    return {"iterations": steps, "layers": layers}


def _orders(
    source: list[Params], target: list[Params], spec: PermutationSpec, seed: int
) -> dict[str, Permutation]:
    return {
        "permuted": match(list(zip(target, source, strict=True)), spec).permutation,
        "identity": Permutation.identity(spec),
        "random": Permutation.random(spec, torch.Generator().manual_seed(seed)),
    }


def _per_iteration(target: list[Params], moved: list[Params], every: int) -> list[Row]:
    """The cosine of each held-out update: the first, the third, the fifth, …"""
    pairs = enumerate(zip(target, moved, strict=True))
    return [
        {"iteration": (2 * number + 1) * every, "cosine": _cosine([y], [x])}
        for number, (y, x) in pairs
    ]


def _per_layer(target: list[Params], moved: list[Params]) -> list[Row]:
    rows = []
    for name in target[0]:
        if target[0][name].ndim > 1:
            cosine = _cosine(_layer(target, name), _layer(moved, name))
            rows.append({"layer": name.removesuffix(".weight"), "cosine": cosine})
    return rows


def _updates(lab: Lab, seed: int, order: int, every: int, iterations: int) -> list[Params]:
    """The updates of the network of `seed`, on the mini-batches drawn by `order`."""
    data = lab.task.train
    recipe = lab.setting.recipe
    needed = math.ceil(iterations / math.ceil(len(data) / recipe.batch_size))
    recipe = replace(recipe, epochs=max(recipe.epochs, needed))
    name = f"{lab.setting.name}, seed {seed}"
    model = lab.initialised(seed)
    run = snapshots(model, data, recipe, seed=order, name=name, every=every, iterations=iterations)
    return [after - before for before, after in pairwise(run)]


def _layer(updates: Sequence[Params], name: str) -> list[Params]:
    return [Params({name: update[name]}) for update in updates]


def _cosine(a: Sequence[Params], b: Sequence[Params]) -> float:
    """The cosine of two lists of vectors, each read as one long vector."""
    inner = sum(x @ y for x, y in zip(a, b, strict=True))
    norms = sum(x @ x for x in a) * sum(y @ y for y in b)
    return inner / norms**0.5 if norms else 0.0
