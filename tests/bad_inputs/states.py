"""Sources, targets and models that a transfer refuses."""

from __future__ import annotations

import math

import torch
from torch import nn

from tests.bad_inputs.transfers import (
    NAN,
    as_type,
    network,
    spoiled,
    state,
    with_parameter,
    without,
)

STATES = [
    (
        "start with NaN",
        {"source": (spoiled(NAN), state(2))},
        "the start of the source holds NaN or infinite entries at '0.weight'",
    ),
    (
        "end with infinity",
        {"source": (state(1), spoiled(math.inf))},
        "the end of the source holds NaN or infinite entries",
    ),
    (
        "end with NaN in a bias",
        {"source": (state(1), spoiled(NAN, "2.bias"))},
        "entries at '2.bias'",
    ),
    (
        "target with NaN",
        {"target": spoiled(NAN)},
        "the target holds NaN or infinite entries at '0.weight'",
    ),
    (
        "target with minus infinity",
        {"target": spoiled(-math.inf)},
        "the target holds NaN or infinite entries",
    ),
    (
        "target without a tensor",
        {"target": without("2.bias")},
        "the target does not fit the model: it lacks ['2.bias'] (1)",
    ),
    (
        "target with another tensor",
        {"target": state(3) | {"3.bias": torch.zeros(2)}},
        "the target does not fit the model: it has besides ['3.bias'] (1)",
    ),
    (
        "target with a list",
        {"target": state(3) | {"0.bias": [0.0] * 6}},
        "the target does not fit the model: of another shape are ['0.bias'] (1)",
    ),
    (
        "target with an array",
        {"target": lambda: state(3) | {"0.bias": torch.zeros(6).numpy()}},
        "not a tensor",
    ),
    ("target that is a list", {"target": [1.0]}, "the target is a list; pass a state_dict"),
    (
        "target of another model",
        {"target": nn.Linear(2, 2)},
        "it lacks ['0.weight', '0.bias', '2.weight'] (4); it has besides ['bias', 'weight'] (2)",
    ),
    (
        "source that was not trained",
        {"source": (state(1), state(1))},
        "the start and the end of the source are the same",
    ),
    ("source that is one state", {"source": state(1)}, "source is a dict; pass (start, end)"),
    ("source of one", {"source": (state(1),)}, "source is a tuple of length 1; pass (start, end)"),
    (
        "source of three",
        {"source": (state(1),) * 3},
        "source is a tuple of length 3; pass (start, end)",
    ),
    (
        "source of numbers",
        {"source": (1, 2)},
        "the start of the source is a int; pass a state_dict",
    ),
    ("no source", {"source": None}, "source is a NoneType; pass (start, end)"),
    ("class for a model", {"model": lambda: nn.Linear}, "model is a type, not an nn.Module"),
    ("model without parameters", {"model": nn.ReLU()}, "ReLU has no parameters"),
    (
        "lazy model",
        {"model": lambda: nn.Sequential(nn.LazyLinear(2))},
        "'0.weight' has no values yet",
    ),
    (
        "model without values",
        {"model": lambda: network().to("meta")},
        "'0.weight' has no values yet",
    ),
    (
        "integer parameter",
        {"model": with_parameter(torch.arange(3))},
        "the parameter 'table' is of torch.int64 and cannot move",
    ),
    (
        "complex parameter",
        {"model": with_parameter(torch.ones(3) * 1j)},
        "'table' is of torch.complex64 and cannot move",
    ),
    (
        "integer end",
        {"source": (state(1), as_type(torch.int64))},
        "the end of the source has a tensor '0.weight' of torch.int64",
    ),
    (
        "bool target",
        {"target": as_type(torch.bool)},
        "of torch.bool, in which no network is trained; pass the weights",
    ),
]
