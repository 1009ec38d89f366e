"""Points of weight space: named tensors that behave as one vector."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from numbers import Real

import torch
from torch import Tensor, nn


class Params(Mapping[str, Tensor]):
    """Named tensors as one immutable vector: ``x + y``, ``x - y``, ``0.5 * x``, ``x @ y``, ``x | y``.

    ``x @ y`` is the inner product over all tensors, summed in float64 and returned as a Python float.
    ``x | y`` joins names (``y`` wins), for instance parameters with running statistics. Tensors are never
    changed in place. Arithmetic between vectors with different names, shapes or devices raises ``ValueError``;
    what is no tensor, or no number to multiply with, raises ``TypeError``.
    """

    __slots__ = ("_tensors",)

    def __init__(self, tensors: Mapping[str, Tensor]):
        self._tensors = dict(tensors)
        for name, x in self._tensors.items():
            if not isinstance(x, Tensor):
                raise TypeError(
                    f"{name!r} is a {type(x).__name__}, not a tensor; convert it, e.g. torch.as_tensor(x)",
                )

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
                f"Params times {type(scale).__name__} is not defined; multiply with a number, or take the inner product x @ y",
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

    def to(self, *args: object, **kwargs: object) -> Params:
        """Every tensor through ``Tensor.to``: another device or dtype."""
        return Params({name: x.to(*args, **kwargs) for name, x in self.items()})  # type: ignore[call-overload]

    def __repr__(self) -> str:
        count = sum(x.numel() for x in self.values())
        return f"Params({len(self)} tensors, {count:,} numbers)"

    def _require_same_space(self, other: Params) -> None:
        if not isinstance(other, Params):
            raise TypeError(f"expected Params, got {type(other).__name__}; wrap a dict of tensors as Params(tensors)")
        if self.keys() != other.keys():
            raise ValueError(f"these points have different tensors: {sorted(self.keys() ^ other.keys())}")
        for name, x in self.items():
            if x.shape != other[name].shape:
                raise ValueError(f"{name!r} has shapes {tuple(x.shape)} and {tuple(other[name].shape)}")
            if x.ndim and x.device != other[name].device:
                raise ValueError(
                    f"{name!r} is on {x.device} and on {other[name].device}; move one of the points, e.g. point.to(device)",
                )


def inner(x: Tensor, y: Tensor) -> Tensor:
    """``<x, y>`` of two tensors as a float64 scalar on their device.

    Float32 sums over millions of terms lose the small differences between sweeps that a matching has to see.
    Float64 copies are made slice by slice: whole ones would take longer than the sum.
    """
    slices = zip(x.flatten().split(slice_size(x.device)), y.flatten().split(slice_size(x.device)), strict=True)
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


def require_point(model: nn.Module, params: Params) -> None:
    """Raise unless `params` holds every parameter of `model`, in its shape, and otherwise buffers only."""
    own = dict((*model.named_parameters(), *model.named_buffers()))
    missing = [name for name, _ in model.named_parameters() if name not in params]
    if missing:
        raise ValueError(f"the point lacks the parameters {missing[:3]} of {type(model).__name__}; add them")
    aliases = dict(model.named_parameters(remove_duplicate=False)) | dict(model.named_buffers(remove_duplicate=False))
    for name, x in params.items():
        if name not in aliases:
            raise ValueError(f"{type(model).__name__} has no tensor {name!r}; leave it out of the point")
        if name in own and x.shape != own[name].shape:
            raise ValueError(
                f"{name!r} has shape {tuple(x.shape)}, {type(model).__name__} has {tuple(own[name].shape)}; "
                "take the point from a model of the same architecture"
            )


def trainable_device(model: nn.Module) -> torch.device:
    """Where the parameters of `model` are, if they can be moved along a trajectory at all."""
    if not isinstance(model, nn.Module):
        raise TypeError(f"model is a {type(model).__name__}, not an nn.Module; pass an instance of your network")
    for name, p in model.named_parameters():
        if isinstance(p, nn.UninitializedParameter) or p.is_meta:
            raise ValueError(f"the parameter {name!r} has no values yet; run the model once on inputs first")
        if not p.is_floating_point():
            raise ValueError(
                f"the parameter {name!r} is of {p.dtype} and cannot move along a trajectory; register it as a buffer"
            )
    devices = [p.device for p in model.parameters()]
    if not devices:
        raise ValueError(f"{type(model).__name__} has no parameters; pass a network that can be trained")
    return devices[0]


def state_point(model: nn.Module, state: Mapping[str, Tensor], what: str) -> Params:
    """The parameters of a state dict, on the device of the model."""
    every = (*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False))
    unknown = state.keys() - model.state_dict().keys() - {name for name, _ in every}
    own = dict(model.named_parameters())
    wrong = [n for n, p in own.items() if n not in state or getattr(state[n], "shape", None) != p.shape]
    wrong += sorted(unknown)
    if wrong:
        raise ValueError(f"{what} does not fit the model at {wrong[:3]}; pass a state_dict of the same architecture")
    for name, p in own.items():
        _require_like(state[name], p, name, what)
    first = first_names(model)
    for name in state.keys() & first.keys():
        if first[name] in own and not torch.equal(state[name], state[first[name]]):
            raise ValueError(
                f"{what} holds different tensors {first[name]!r} and {name!r}, which are one in the model; "
                "pass a state_dict of the same architecture"
            )
    return Params({n: state[n].detach().to(p.device, copy=True) for n, p in own.items()})


def _require_like(x: Tensor, p: Tensor, name: str, what: str) -> None:
    """Raise unless `x` is a finite tensor of the type of the parameter `p`."""
    if not isinstance(x, Tensor):
        raise TypeError(f"{name!r} of {what} is a {type(x).__name__}, not a tensor; convert it, e.g. torch.as_tensor(x)")
    if x.dtype != p.dtype:
        raise ValueError(
            f"{what} has a tensor {name!r} of {x.dtype} and the model one of {p.dtype}; convert one of them, "
            f"e.g. model.to({x.dtype}), or x.to({p.dtype}) for each tensor of the state"
        )
    if not x.isfinite().all():
        raise ValueError(f"{what} holds NaN or infinite entries at {name!r}; check that the run it comes from did not diverge")


def first_names(model: nn.Module) -> dict[str, str]:
    """Every name of a parameter or buffer -> the first name of the same tensor."""
    every = (*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False))
    first: dict[int, str] = {}
    for name, x in every:
        first.setdefault(id(x), name)
    return {name: first[id(x)] for name, x in every}
