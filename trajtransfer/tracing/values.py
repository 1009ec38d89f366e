"""What a model takes and returns: tensors, alone or in tuples, lists and dictionaries."""

from __future__ import annotations

from typing import Any

from torch import Tensor

Inputs = Tensor | tuple[Tensor, ...]  # one tensor, or positional arguments


def as_tuple(inputs: Inputs) -> tuple[Tensor, ...]:
    """The positional arguments of a model."""
    return inputs if isinstance(inputs, tuple) else (inputs,)


def tensors_in(value: Any) -> list[Tensor]:
    """All tensors of a value, in sequences and dictionaries at any depth."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    found = []
    if isinstance(value, tuple | list):
        for part in value:
            found += tensors_in(part)
    return found
