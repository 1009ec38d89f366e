"""Points of weight space: named tensors that behave as one vector."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from numbers import Real
from typing import Any

import torch
from torch import Tensor, nn


class Params(Mapping[str, Tensor]):
    """Named tensors as one immutable vector: ``x + y``, ``x - y``, ``0.5 * x``, ``x @ y``, ``x |
    y``.

    ``x @ y`` is the inner product over all tensors, summed in float64 and returned as a Python
    float. ``x | y`` joins names (``y`` wins), for instance parameters with running statistics.
    Tensors are never changed in place. Arithmetic between vectors with different names, shapes or
    devices raises ``ValueError``; what is no tensor, or no number to multiply with, raises
    ``TypeError``.
    """

    __slots__ = ("_tensors",)

    def __init__(self, tensors: Mapping[str, Tensor]):
        self._tensors = dict(tensors)
        for name, x in self._tensors.items():
            require_tensor(repr(name), x)

    def __getitem__(self, name: str) -> Tensor:
        return self._tensors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    def __add__(self, other: Params) -> Params:
        self._require_same_space(other)
        return Params({name: x + other[name] for name, x in self.items()})

    def __sub__(self, other: Params) -> Params:
        self._require_same_space(other)
        return Params({name: x - other[name] for name, x in self.items()})

    def __mul__(self, scale: float) -> Params:
        if not isinstance(scale, Real | Tensor):
            raise TypeError(
                f"Params times {type(scale).__name__} is not defined; "
                "multiply with a number, or take the inner product x @ y"
            )
        return Params({name: x * scale for name, x in self.items()})

    __rmul__ = __mul__

    def __neg__(self) -> Params:
        return self * -1.0

    def __matmul__(self, other: Params) -> float:
        self._require_same_space(other)
        return float(sum(inner(x, other[name]) for name, x in self.items()))

    def __or__(self, other: Params) -> Params:
        return Params({**self._tensors, **other._tensors})

    def norm(self) -> float:
        """Euclidean norm, accumulated in float64."""
        return (self @ self) ** 0.5

    def to(self, *args: Any, **kwargs: Any) -> Params:
        """Every tensor through ``Tensor.to``: another device or dtype."""
        return Params({name: x.to(*args, **kwargs) for name, x in self.items()})

    def __repr__(self) -> str:
        count = sum(x.numel() for x in self.values())
        return f"Params({len(self)} tensors, {count:,} numbers)"

    def _require_same_space(self, other: Params) -> None:
        if not isinstance(other, Params):
            kind = type(other).__name__
            raise TypeError(
                f"expected Params, got {kind}; wrap a dict of tensors as Params(tensors)"
            )
        if self.keys() != other.keys():
            differing = sorted(self.keys() ^ other.keys())
            raise ValueError(f"these points have different tensors: {differing}")
        for name, x in self.items():
            y = other[name]
            if x.shape != y.shape:
                raise ValueError(f"{name!r} has shapes {tuple(x.shape)} and {tuple(y.shape)}")
            if x.ndim and x.device != y.device:
                raise ValueError(
                    f"{name!r} is on {x.device} and on {y.device}; "
                    "move one of the points, e.g. point.to(device)"
                )


def inner(x: Tensor, y: Tensor) -> Tensor:
    """``<x, y>`` of two tensors as a float64 scalar on their device.

    Float32 sums over millions of terms lose the small differences between sweeps that a matching
    has to see. Float64 copies are made slice by slice: whole ones would take longer than the sum.
    """
    size = slice_size(x.device)
    slices = zip(x.flatten().split(size), y.flatten().split(size), strict=True)
    return torch.stack([torch.dot(a.double(), b.double()) for a, b in slices]).sum()


def slice_size(device: torch.device) -> int:
    """How many numbers to work on at a time: on a CPU as many as stay in its cache."""
    return 2**18 if device.type == "cpu" else 2**26


def parameters(model: nn.Module) -> Params:
    """A copy of the trainable state of `model`: its parameters, detached, without buffers."""
    return Params({name: p.detach().clone() for name, p in model.named_parameters()})


def buffers(model: nn.Module) -> Params:
    """A copy of the buffers of `model`, such as the running statistics of BatchNorm."""
    return Params({name: b.detach().clone() for name, b in model.named_buffers()})


def require_tensor(what: str, x: object) -> None:
    """Raise unless `x`, which is called `what`, is a tensor."""
    if not isinstance(x, Tensor):
        kind = type(x).__name__
        raise TypeError(f"{what} is a {kind}, not a tensor; convert it, e.g. torch.as_tensor(x)")
