"""Theorem 3.1: expected gradients of wide networks at initialisation, up to a permutation."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import pandas as pd
import torch
from scipy import stats
from torch import Tensor, nn

from trajtransfer.matching.descent import match
from trajtransfer.objective import gradient
from trajtransfer.paper.lab import Lab
from trajtransfer.paper.unit_of_work import tables
from trajtransfer.params import Params, parameters
from trajtransfer.permutation import Permutation
from trajtransfer.tracing.trace import permutation_spec

# What is switched: whether labels correlate with images (the theorem's condition), and the scale of
# the weights, uniform within scale / sqrt(fan_in): 1 is PyTorch's Kaiming-uniform default, sqrt(6)
# the He-uniform one for ReLU.
CONDITIONS = {
    "labels": (True, 1.0),
    "shuffled labels": (False, 1.0),
    "He scale": (True, math.sqrt(6)),
}
Row = dict[str, Any]


def distances(lab: Lab, widths: Sequence[int], draws: int, samples: int) -> pd.DataFrame:
    """The `gradient_distances` under all conditions and at all widths."""
    return tables(
        lab.unit(gradient_distances, condition, width, draws, samples)
        for condition in CONDITIONS
        for width in widths
    )


def gradient_distances(lab: Lab, condition: str, width: int, draws: int, samples: int) -> list[Row]:
    """Normalised distances of the expected gradients of two random networks, by draw and order.

    The networks are Linear-ReLU-Linear without biases and one output; the loss is the squared error
    to +1 for the upper half of the classes and -1 for the lower one, averaged over `samples`
    images. The distance is ``||a - b|| / sqrt(||a|| ||b||)`` (:eq:`theorem-distance`), after
    matching, and with the identity and a random permutation.
    """
    correlated, scale = CONDITIONS[condition]
    inputs, signs = _signed(lab, samples)
    rows = []
    for draw in range(1, draws + 1):
        generator = torch.Generator().manual_seed(draw)
        labels = signs
        if not correlated:
            labels = signs[torch.randperm(len(signs), generator=generator)]
        about = {"condition": condition, "width": width, "draw": draw}
        for order, distance in _distances(inputs, labels, width, scale, generator).items():
            rows.append(about | {"order": order, "distance": distance})
    return rows


def fits(distances: pd.DataFrame) -> pd.DataFrame:
    """Slope of log distance against log width by least squares, with its 95 % interval."""
    table = []
    for (condition, order), mine in distances.groupby(["condition", "order"], sort=False):
        if mine["width"].nunique() < 2 or len(mine) < 3:
            raise ValueError(
                "a slope with an interval needs at least two widths and three distances; "
                "give more widths or draws"
            )
        widths = [math.log(width) for width in mine["width"]]
        line = stats.linregress(widths, [math.log(distance) for distance in mine["distance"]])
        half = float(stats.t.ppf(0.975, len(mine) - 2) * line.stderr)
        slope = float(line.slope)
        about = {"condition": condition, "order": order, "slope": slope}
        interval = {"low": slope - half, "high": slope + half}
        table.append(about | interval | {"intercept": float(line.intercept)})
    return pd.DataFrame(table)


def _signed(lab: Lab, samples: int) -> tuple[Tensor, Tensor]:
    """Images as vectors, and the sign of the half that their class is in."""
    train = lab.task.train
    images, classes = train.subset(torch.arange(min(samples, len(train)))).tensors()
    upper = classes > classes.max() // 2
    return images.flatten(1), (2 * upper - 1).float()


def _distances(
    inputs: Tensor, labels: Tensor, width: int, scale: float, generator: torch.Generator
) -> dict[str, float]:
    model = _network(inputs.shape[1], width).to(inputs.device)
    spec = permutation_spec(model, inputs[:2])
    source = _gradient(model, scale, inputs, labels, generator)
    target = _gradient(model, scale, inputs, labels, generator)
    orders = {
        "matched": match([(target, source)], spec).permutation,
        "identity": Permutation.identity(spec),
        "random": Permutation.random(spec, generator),
    }
    size = math.sqrt(target.norm() * source.norm())
    return {order: (target - pi(source)).norm() / size for order, pi in orders.items()}


def _network(inputs: int, width: int) -> nn.Module:
    layers = OrderedDict(
        hidden=nn.Linear(inputs, width, bias=False),
        relu=nn.ReLU(),
        head=nn.Linear(width, 1, bias=False),
    )
    return nn.Sequential(layers)


def _gradient(
    model: nn.Module, scale: float, inputs: Tensor, labels: Tensor, generator: torch.Generator
) -> Params:
    """The gradient at weights that are drawn now."""
    drawn = _drawn(model, scale, generator)
    return gradient(model, drawn, (inputs, labels), loss=_squared_error, micro_batch=1000)


def _drawn(model: nn.Module, scale: float, generator: torch.Generator) -> Params:
    """Weights uniform within ``scale / sqrt(fan_in)``."""
    drawn = {}
    for name, x in parameters(model).items():
        unit = 2 * torch.rand(x.shape, generator=generator) - 1
        drawn[name] = (unit * scale / math.sqrt(x.shape[1])).to(x.device)
    return Params(drawn)


def _squared_error(outputs: Tensor, labels: Tensor) -> Tensor:
    return ((outputs.squeeze(1) - labels) ** 2).mean()
