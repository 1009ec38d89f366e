"""Assumption (P): how far one permutation makes the updates of two training runs agree (section 3.2)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from statistics import fmean
from typing import Any

import torch

from trajtransfer.matching.descent import match
from trajtransfer.paper.experiment import Pair, specification
from trajtransfer.paper.networks import initialised, task_of
from trajtransfer.paper.settings import Setting
from trajtransfer.paper.storage.progress import progress
from trajtransfer.paper.training import snapshots
from trajtransfer.params import Params
from trajtransfer.permutation import Permutation, PermutationSpec

Row = dict[str, Any]


def similarity(
    settings: Sequence[Setting], pairs: Sequence[Pair], device: str, *, every: int, iterations: int, same_batches: bool
) -> tuple[list[Row], list[Row]]:
    """Cosines of source and target updates over `every` iterations each, as rows per iteration and rows per layer.

    One permutation per pair, the best one for :eq:`assumption_p-assumption`, solves equation 4 over all updates,
    ``min sum_t ||pi(d1_t) - d2_t||^2``; the identity and a random permutation are the controls. The cosine of a layer is
    that of all its updates taken together. Where the training of a setting is shorter than `iterations`, it is lengthened.
    With `same_batches` all runs see the same mini-batches in the same order; else each draws its own.
    """
    steps, layers = [], []
    for setting in progress(settings, "updates"):
        seeds = sorted({seed for pair in pairs for seed in pair})
        updates = {seed: _updates(setting, seed, 0 if same_batches else seed, device, every, iterations) for seed in seeds}
        spec = specification(setting, initialised(setting, pairs[0][0], device), device)
        for source, target in pairs:
            about: Row = {"network": setting.architecture, "width": setting.width, "data": setting.task()}
            about |= {"start": setting.pretrained.task() if setting.pretrained else "random"}
            about |= {"series": f"{setting.architecture} {setting.width:g}, {setting.route()}", "pair": f"{source}-{target}"}
            orders = _orders(updates[source], updates[target], spec, source)
            for order, moved in ((name, [pi(x) for x in updates[source]]) for name, pi in orders.items()):
                steps += [about | {"order": order} | row for row in _per_iteration(updates[target], moved, every)]
                layers += [about | {"order": order} | row for row in _per_layer(updates[target], moved)]
    return steps, layers


def _orders(source: list[Params], target: list[Params], spec: PermutationSpec, seed: int) -> dict[str, Permutation]:
    return {
        "permuted": match(list(zip(target, source, strict=True)), spec).permutation,
        "identity": Permutation.identity(spec),
        "random": Permutation.random(spec, torch.Generator().manual_seed(seed)),
    }


def _per_iteration(target: list[Params], moved: list[Params], every: int) -> list[Row]:
    pairs = enumerate(zip(target, moved, strict=True), 1)
    return [{"iteration": number * every, "cosine": _cosine([y], [x])} for number, (y, x) in pairs]


def _per_layer(target: list[Params], moved: list[Params]) -> list[Row]:
    names = [name for name in target[0] if target[0][name].ndim > 1]
    return [{"layer": n.removesuffix(".weight"), "cosine": _cosine(_layer(target, n), _layer(moved, n))} for n in names]


def summary(rows: Sequence[Row]) -> list[Row]:
    """Cosines per series, mean over its pairs: averaged over all iterations, and at the last one."""
    last, table = max(row["iteration"] for row in rows), []
    for name in dict.fromkeys(row["series"] for row in rows):
        line: Row = {"series": name}
        for order in ("permuted", "identity", "random"):
            mine = [row for row in rows if (row["series"], row["order"]) == (name, order)]
            line[f"{order}, mean"] = fmean(row["cosine"] for row in mine)
            line[f"{order}, last"] = fmean(row["cosine"] for row in mine if row["iteration"] == last)
        table.append(line)
    return table


def _updates(setting: Setting, seed: int, order: int, device: str, every: int, iterations: int) -> list[Params]:
    """The updates of the network of `seed`, on the mini-batches drawn by `order`."""
    model, data, name = initialised(setting, seed, device), task_of(setting, device).train, f"{setting.name}, seed {seed}"
    needed = math.ceil(iterations / math.ceil(len(data) / setting.recipe.batch_size))
    recipe = replace(setting.recipe, epochs=max(setting.recipe.epochs, needed))
    run = snapshots(model, data, recipe, seed=order, name=name, every=every, iterations=iterations)
    return [after - before for before, after in pairwise(run)]


def _layer(updates: Sequence[Params], name: str) -> list[Params]:
    return [Params({name: update[name]}) for update in updates]


def _cosine(a: Sequence[Params], b: Sequence[Params]) -> float:
    """The cosine of two lists of vectors, each read as one long vector."""
    inner = sum(x @ y for x, y in zip(a, b, strict=True))
    norms = sum(x @ x for x in a) * sum(y @ y for y in b)
    return inner / norms**0.5 if norms else 0.0
