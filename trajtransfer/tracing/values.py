"""What a model takes and returns: tensors, alone or in tuples, lists and dictionaries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

# One tensor, positional arguments, or arguments by name.
Inputs = Tensor | tuple[Tensor, ...] | Mapping[str, Tensor]


def arguments(inputs: Inputs) -> tuple[tuple[Tensor, ...], dict[str, Tensor]]:
    """The positional and the named arguments of a model."""
    if isinstance(inputs, Mapping):
        return (), dict(inputs)
    return (inputs if isinstance(inputs, tuple) else (inputs,)), {}


def tensors_in(value: Any) -> list[Tensor]:
    """All tensors of a value, in sequences and dictionaries at any depth."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, Mapping):
        value = list(value.values())
    found = []
    if isinstance(value, tuple | list):
        for part in value:
            found += tensors_in(part)
    return found
