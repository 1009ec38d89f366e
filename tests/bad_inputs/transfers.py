"""A small transfer that would work, and what can be wrong with its parts."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import trajtransfer as tt

NAN = math.nan


def network(seed: int = 0) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))


def state(seed: int, scale: float = 1.0) -> dict[str, Tensor]:
    return {name: scale * x.clone() for name, x in network(seed).state_dict().items()}


def spoiled(value: float, name: str = "0.weight") -> dict[str, Tensor]:
    """A state with one entry of one tensor replaced."""
    found = state(7)
    found[name].view(-1)[0] = value
    return found


def without(name: str) -> dict[str, Tensor]:
    return {key: x for key, x in state(7).items() if key != name}


def filled(value: float) -> dict[str, Tensor]:
    return {name: torch.full_like(x, value) for name, x in state(7).items()}


def batch(inputs: float | None = None, label: int | None = None) -> tuple[Tensor, Tensor]:
    """Eight samples, one input or one label of them replaced."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(8, 4, generator=generator)
    y = torch.arange(8) % 2
    if inputs is not None:
        x[3, 2] = inputs
    if label is not None:
        y[3] = label
    return x, y


def labels_as(dtype: torch.dtype) -> list[tuple[Tensor, Tensor]]:
    x, y = batch()
    return [(x, y.to(dtype))]


def inputs_as(dtype: torch.dtype) -> list[tuple[Tensor, Tensor]]:
    x, y = batch()
    return [(x.to(dtype), y)]


def transferred(**changes: Any) -> Callable[[Path], object]:
    """A transfer of two steps that would work, but for the changes."""

    def call(_: Path) -> object:
        given: dict[str, Any] = {
            "model": network(),
            "source": (state(1), state(2)),
            "target": state(3),
            "batches": [batch()],
            "steps": 2,
        }
        for name, x in changes.items():
            made_now = callable(x) and name != "loss" and not isinstance(x, nn.Module)
            given[name] = x() if made_now else x
        return tt.transfer(**given)

    return call


def with_parameter(values: Tensor) -> nn.Module:
    model = network()
    model.table = nn.Parameter(values, requires_grad=False)
    return model


def as_type(dtype: torch.dtype) -> dict[str, Tensor]:
    return {name: x.to(dtype) for name, x in state(3).items()}
