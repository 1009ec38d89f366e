"""Points and data that a loss refuses, and networks that cannot be built."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import trajtransfer as tt
from tests.bad_inputs.transfers import NAN, as_type, batch, network, state, without
from trajtransfer.paper import architectures


def measured(
    point: Mapping[str, Tensor] | None = None,
    data: Any = None,
    what: Callable = tt.evaluate,
    **options: Any,
):
    return lambda _: what(
        network(), tt.Params(point or state(1)), batch() if data is None else data, **options
    )


LOSSES = [
    (
        "point without a parameter",
        measured(without("0.bias")),
        "the point lacks the parameters ['0.bias']",
    ),
    (
        "gradient without a parameter",
        measured(without("0.bias"), what=tt.gradient),
        "the point lacks the parameters",
    ),
    (
        "statistics without a parameter",
        measured(without("0.bias"), what=tt.running_statistics),
        "the point lacks",
    ),
    (
        "point with another tensor",
        measured(state(1) | {"v": torch.zeros(1)}),
        "Sequential has no tensor 'v'",
    ),
    (
        "point of another shape",
        measured(state(1) | {"0.bias": torch.zeros(5)}),
        "'0.bias' has shape (5,), Sequential has (6,)",
    ),
    (
        "point of another type",
        measured(as_type(torch.float64)),
        "with weights of torch.float64 fails on inputs",
    ),
    (
        "data of none",
        measured(data=(batch()[0][:0], batch()[1][:0])),
        "no samples with a label each",
    ),
    ("data of three", measured(data=(*batch(), batch()[1])), "takes 2 positional arguments but 3"),
    ("micro-batches of 0", measured(micro_batch=0), "micro_batch=0 is not a positive whole number"),
    ("micro-batches of -5", measured(what=tt.gradient, micro_batch=-5), "micro_batch=-5 is not"),
    (
        "gradient of a label above",
        measured(data=batch(label=2), what=tt.gradient),
        "label 2 is none of the 2 classes",
    ),
    (
        "mini-batches that ran out",
        lambda _: tt.paired_gradients(network(), iter([]))(*[tt.Params(state(1))] * 2),
        "ran out",
    ),
]


def built(
    name: str = "mlp", shape: Any = (1, 4, 4), classes: Any = 3, width: Any = 5
) -> Callable[[Path], object]:
    return lambda _: architectures.build(name, shape, classes, width, 0)


NETWORKS = [
    (
        "fractional width",
        built(width=16.5),
        "a whole number of hidden units, got width=16.5; choose 16",
    ),
    ("width of NaN", built(width=NAN), "width=nan is not within"),
    ("width of infinity", built(width=math.inf), "width=inf is not within"),
    ("width of 0", built(width=0), "width=0 is not within"),
    ("width of -5", built(width=-5), "width=-5 is not within"),
    ("width of half a unit", built(width=0.5), "at least one hidden unit, got width=0.5"),
    ("width of 10**9", built(width=10**9), "width=1000000000 is not within"),
    ("width in words", built(width="wide"), "width='wide' is not a number"),
    (
        "conv8 with a fraction of a channel",
        built("conv8", (3, 32, 32), width=1.001),
        "in its largest layer; choose 1.001953125",
    ),
    (
        "resnet18 with a fraction of a channel",
        built("resnet18", (3, 32, 32), width=0.1),
        "choose 0.099609375",
    ),
    (
        "conv8 without channels",
        built("conv8", (3, 32, 32), width=0.01),
        "conv8 at width=0.01 has no channels left",
    ),
    ("conv8 of a million", built("conv8", (3, 32, 32), width=1e6), "is not within 0..100,000"),
    (
        "resnet18 of a thousand",
        built("resnet18", (3, 32, 32), width=1e3),
        "resnet18 at width=1000 does not fit",
    ),
    ("one class", built(classes=1), "classes=1 leaves nothing to tell apart"),
    ("no classes", built(classes=0), "classes=0 leaves nothing to tell apart"),
    ("two and a half classes", built(classes=2.5), "classes=2.5 leaves nothing to tell apart"),
    ("shape of two", built(shape=(28, 28)), "shape=(28, 28) is no shape of images"),
    ("shape with a 0", built(shape=(1, 0, 28)), "shape=(1, 0, 28) is no shape of images"),
    ("shape of fractions", built(shape=(1, 2.5, 28)), "is no shape of images"),
    (
        "new head for no layer",
        lambda _: architectures.reset_head(nn.Sequential(nn.ReLU()), 3, 0),
        "has no linear layer inside",
    ),
]
