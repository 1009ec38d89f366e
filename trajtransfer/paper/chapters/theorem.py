"""Theorem 3.1: expected gradients of wide two-layer networks at initialisation, up to a permutation."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from statistics import fmean
from typing import Any

import torch
from scipy import stats
from torch import Tensor, nn

from trajtransfer.matching.descent import match
from trajtransfer.objective import gradient
from trajtransfer.paper.datasets.tasks import Split
from trajtransfer.params import Params, parameters
from trajtransfer.permutation import Permutation
from trajtransfer.tracing.trace import permutation_spec

Row = dict[str, Any]
# What is switched: whether labels correlate with images (the theorem's condition), and the scale of the weights,
# uniform within scale / sqrt(fan_in): 1 is PyTorch's Kaiming-uniform default, sqrt(6) the He-uniform one for ReLU.
CONDITIONS = {"labels": (True, 1.0), "shuffled labels": (False, 1.0), "He scale": (True, math.sqrt(6))}


def gradient_distances(split: Split, widths: Sequence[int], draws: int, *, samples: int) -> list[Row]:
    """Normalised distances of the expected gradients of two random networks, one row per draw, condition and order.

    The networks are Linear-ReLU-Linear without biases and one output; the loss is the squared error to +1 for the
    upper half of the classes and -1 for the lower one, averaged over `samples` images. The distance is
    ``||a - b|| / sqrt(||a|| ||b||)`` (:eq:`theorem-distance`), after matching, and with the identity and a random permutation.
    """
    images, classes = split.subset(torch.arange(min(samples, len(split)))).tensors()
    inputs, signs = images.flatten(1), (2 * (classes > classes.max() // 2) - 1).float()
    rows = []
    for name, (correlated, scale) in CONDITIONS.items():
        for width in widths:
            for draw in range(1, draws + 1):
                generator = torch.Generator().manual_seed(draw)
                labels = signs if correlated else signs[torch.randperm(len(signs), generator=generator)]
                found = _distances(inputs, labels, width, scale, generator)
                rows += [{"condition": name, "width": width, "draw": draw, "order": o, "distance": d} for o, d in found.items()]
    return rows


def fits(rows: Sequence[Row]) -> list[Row]:
    """Slope of log distance against log width by least squares, with its 95 % interval, per condition and order."""
    table = []
    for condition, order in dict.fromkeys((row["condition"], row["order"]) for row in rows):
        mine = [row for row in rows if (row["condition"], row["order"]) == (condition, order)]
        if len({row["width"] for row in mine}) < 2 or len(mine) < 3:
            raise ValueError("a slope with an interval needs at least two widths and three distances; give more widths or draws")
        line = stats.linregress([math.log(row["width"]) for row in mine], [math.log(row["distance"]) for row in mine])
        half = float(stats.t.ppf(0.975, len(mine) - 2) * line.stderr)
        slope = float(line.slope)
        table.append({"condition": condition, "order": order, "slope": slope, "low": slope - half, "high": slope + half,
                      "intercept": float(line.intercept)})  # fmt: skip
    return table


def narrow_to_wide(rows: Sequence[Row]) -> float:
    """Mean matched distance of the widest networks over that of the narrowest, under the conditions of the theorem."""
    mine = [row for row in rows if (row["condition"], row["order"]) == ("labels", "matched")]
    narrow, wide = (f(row["width"] for row in mine) for f in (min, max))
    return fmean(r["distance"] for r in mine if r["width"] == wide) / fmean(r["distance"] for r in mine if r["width"] == narrow)


def _distances(inputs: Tensor, labels: Tensor, width: int, scale: float, generator: torch.Generator) -> dict[str, float]:
    layers = OrderedDict(
        hidden=nn.Linear(inputs.shape[1], width, bias=False), relu=nn.ReLU(), head=nn.Linear(width, 1, bias=False)
    )
    model = nn.Sequential(layers).to(inputs.device)
    spec = permutation_spec(model, inputs[:2])
    source, target = (
        gradient(model, _drawn(model, scale, generator), (inputs, labels), loss=_squared_error, micro_batch=1000)
        for _ in range(2)
    )
    orders = {
        "matched": match([(target, source)], spec).permutation,
        "identity": Permutation.identity(spec),
        "random": Permutation.random(spec, generator),
    }
    return {order: (target - pi(source)).norm() / math.sqrt(target.norm() * source.norm()) for order, pi in orders.items()}


def _drawn(model: nn.Module, scale: float, generator: torch.Generator) -> Params:
    """Weights uniform within ``scale / sqrt(fan_in)``."""
    return Params({
        name: ((2 * torch.rand(x.shape, generator=generator) - 1) * scale / math.sqrt(x.shape[1])).to(x.device)
        for name, x in parameters(model).items()
    })  # fmt: skip


def _squared_error(outputs: Tensor, labels: Tensor) -> Tensor:
    return ((outputs.squeeze(1) - labels) ** 2).mean()
