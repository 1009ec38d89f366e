"""What a network takes and returns: a tensor, or several in tuples, lists and dictionaries."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

# One tensor, positional arguments, or arguments by name.
Inputs = Tensor | tuple[Tensor, ...] | Mapping[str, Tensor]


def arguments(inputs: Inputs) -> tuple[tuple[Tensor, ...], dict[str, Tensor]]:
    """The positional and the named arguments of a network.

    They are copies: a network that writes into them changes no data of the reader's.
    """
    if isinstance(inputs, Mapping):
        return (), {name: _copied(x) for name, x in inputs.items()}
    return tuple(map(_copied, inputs if isinstance(inputs, tuple) else (inputs,))), {}


def _copied(value: Any) -> Any:
    """A value with copies of the tensors in it, and everything else as it is."""
    if isinstance(value, Tensor):
        return value.clone()
    if type(value) in (list, tuple):
        return type(value)(map(_copied, value))
    return value


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


def of_each(function: Callable[[Tensor], Tensor], inputs: Inputs) -> Inputs:
    """A function of every tensor of some inputs."""
    if isinstance(inputs, Mapping):
        return {name: function(x) for name, x in inputs.items()}
    if isinstance(inputs, tuple):
        return tuple(map(function, inputs))
    return function(inputs)


def joined(parts: Sequence[Inputs]) -> Inputs:
    """Inputs of one structure below each other."""
    columns = zip(*map(tensors_in, parts), strict=True)
    return _filled(parts[0], [torch.cat(column) for column in columns])


def cut(inputs: Inputs, pieces: int) -> list[Inputs]:
    """Inputs in so many consecutive pieces of nearly equal size."""
    columns = [x.tensor_split(pieces) for x in tensors_in(inputs)]
    return [_filled(inputs, row) for row in zip(*columns, strict=True)]


def _filled(structure: Inputs, tensors: Sequence[Tensor]) -> Inputs:
    rest = iter(tensors)
    return of_each(lambda _: next(rest), structure)
