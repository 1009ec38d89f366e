"""Points and state dicts of a model: what fits it, and under which names it keeps a tensor."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from trajtransfer.params import Params, require_tensor

State = Mapping[str, Tensor]


def named_tensors(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """All parameters and buffers of `model`; one that has several names comes under each."""
    yield from model.named_parameters(remove_duplicate=False)
    yield from model.named_buffers(remove_duplicate=False)


def first_names(model: nn.Module) -> dict[str, str]:
    """Every name of a parameter or buffer -> the first name of the same tensor."""
    first: dict[int, str] = {}
    for name, x in named_tensors(model):
        first.setdefault(id(x), name)
    return {name: first[id(x)] for name, x in named_tensors(model)}


def require_point(model: nn.Module, params: Params) -> None:
    """Raise unless `params` are the parameters of `model`, in its shapes, and perhaps buffers."""
    kind = type(model).__name__
    missing = [name for name, _ in model.named_parameters() if name not in params]
    if missing:
        raise ValueError(f"the point lacks the parameters {missing[:3]} of {kind}; add them")
    own = dict(named_tensors(model))
    for name, x in params.items():
        if name not in own:
            raise ValueError(f"{kind} has no tensor {name!r}; leave it out of the point")
        if x.shape != own[name].shape:
            raise ValueError(
                f"{name!r} has shape {tuple(x.shape)}, {kind} has {tuple(own[name].shape)}; "
                "take the point from a model of the same architecture"
            )


def trainable_device(model: nn.Module) -> torch.device:
    """Where the parameters of `model` are, if they can be moved along a trajectory at all."""
    kind = type(model).__name__
    if not isinstance(model, nn.Module):
        raise TypeError(f"model is a {kind}, not an nn.Module; pass an instance of your network")
    devices = []
    for name, p in model.named_parameters():
        if isinstance(p, nn.UninitializedParameter) or p.is_meta:
            raise ValueError(
                f"the parameter {name!r} has no values yet; run the model once on inputs first"
            )
        if not p.is_floating_point():
            raise ValueError(
                f"the parameter {name!r} is of {p.dtype} and cannot move along a trajectory; "
                "register it as a buffer"
            )
        devices.append(p.device)
    if not devices:
        raise ValueError(f"{kind} has no parameters; pass a network that can be trained")
    return devices[0]


def state_point(model: nn.Module, state: State, what: str) -> Params:
    """The parameters of a state dict, on the device of the model."""
    own = dict(model.named_parameters())
    first = first_names(model)
    wrong = [n for n, p in own.items() if getattr(state.get(n), "shape", None) != p.shape]
    wrong += sorted(state.keys() - model.state_dict().keys() - first.keys())
    if wrong:
        raise ValueError(
            f"{what} does not fit the model at {wrong[:3]}; "
            "pass a state_dict of the same architecture"
        )
    for name, p in own.items():
        _require_like(state[name], p, name, what)
    for name in state.keys() & first.keys():
        if first[name] in own and not torch.equal(state[name], state[first[name]]):
            raise ValueError(
                f"{what} holds different tensors {first[name]!r} and {name!r}, which are one in "
                "the model; pass a state_dict of the same architecture"
            )
    return Params({n: state[n].detach().to(p.device, copy=True) for n, p in own.items()})


def with_buffers(model: nn.Module, state: State) -> nn.Module:
    """A copy of `model` with the buffers of a state dict."""
    with torch.inference_mode(False):  # tensors made in that mode cannot be traced
        copied = copy.deepcopy(model)
    buffers = dict(copied.named_buffers())
    given = {name: x for name, x in state.items() if name in buffers}
    for name, x in given.items():
        if getattr(x, "shape", None) != buffers[name].shape:
            raise ValueError(
                f"the target does not fit the model at the buffer {name!r}; pass its own state_dict"
            )
        if not x.isfinite().all():
            raise ValueError(
                f"the target holds NaN or infinite entries in the buffer {name!r}; estimate it anew"
            )
    copied.load_state_dict(given, strict=False)
    return copied


def names_of_keys(model: nn.Module) -> dict[str, str]:
    """The name of the tensor behind each key of the state dict; tied weights have several keys."""
    first = first_names(model)
    return {key: first[key] for key in model.state_dict() if key in first}


def _require_like(x: Tensor, p: Tensor, name: str, what: str) -> None:
    """Raise unless `x` is a finite tensor of the type of the parameter `p`."""
    require_tensor(f"{name!r} of {what}", x)
    if x.dtype != p.dtype:
        raise ValueError(
            f"{what} has a tensor {name!r} of {x.dtype} and the model one of {p.dtype}; convert "
            f"one of them, e.g. model.to({x.dtype}), or x.to({p.dtype}) for each tensor of the "
            "state"
        )
    if not x.isfinite().all():
        raise ValueError(
            f"{what} holds NaN or infinite entries at {name!r}; "
            "check that the run it comes from did not diverge"
        )
