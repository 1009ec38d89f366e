"""Points and state dicts of a model: what fits it, and under which names it keeps a tensor."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from trajtransfer.params import Params, require_tensor

State = Mapping[str, Tensor]
# Where checkpoints keep the state of a model, and what wrappers put before its names.
WRAPPED = ("state_dict", "model_state_dict", "model", "module")
PREFIXES = ("module.", "_orig_mod.", "model.")
TRAINED = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


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


def unwrapped(model: nn.Module) -> nn.Module:
    """The model inside `DataParallel`, `DistributedDataParallel` and ``torch.compile``."""
    while True:
        if isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
            model = cast(nn.Module, model.module)
        elif hasattr(model, "_orig_mod"):
            model = cast(nn.Module, model._orig_mod)
        else:
            return model


def state_of(model: nn.Module, given: Any, what: str) -> State:
    """The state dict of `model` in what a reader has: a module, a file, other prefixes."""
    if isinstance(given, str | os.PathLike):
        given = _read(Path(given), what)
    if isinstance(given, nn.Module):
        given = unwrapped(given).state_dict()
    if not isinstance(given, Mapping):
        kind = type(given).__name__
        raise TypeError(
            f"{what} is a {kind}; pass a state_dict, e.g. model.state_dict(), or a file"
        )
    own = model.state_dict().keys() | first_names(model).keys()
    while not own & given.keys():
        inner = next((given[n] for n in WRAPPED if isinstance(given.get(n), Mapping)), None)
        prefix = next((p for p in PREFIXES if all(str(n).startswith(p) for n in given)), None)
        if inner is not None:
            given = inner
        elif prefix is not None and given:
            given = {name.removeprefix(prefix): x for name, x in given.items()}
        else:
            break
    return given


def _read(path: Path, what: str) -> Any:
    """What a file of safetensors or of ``torch.save`` holds, on the CPU; no code in it is run."""
    try:
        if path.suffix != ".safetensors":
            return torch.load(path, map_location="cpu", weights_only=True)
        from safetensors.torch import load_file  # not among the core's requirements

        return load_file(path)
    except ModuleNotFoundError as error:
        raise ValueError(f"{what} is to be read from {path}: pip install safetensors") from error
    except FileNotFoundError as error:
        raise ValueError(f"{what} is to be read from {path}, which is no file") from error
    except Exception as error:  # of a dozen kinds, by the way in which a file is damaged
        raise ValueError(f"{what} cannot be read from {path}: {error}") from error


def precision(model: nn.Module, states: Iterable[State]) -> torch.dtype:
    """The type to compute in: float32, or float64 where the model or a state has weights in it.

    Gradients and their products lose too many digits in the half types.
    """
    held = [p.dtype for p in model.parameters()]
    weights = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    for state in states:
        found = (state[name] for name in weights & state.keys())
        held += [x.dtype for x in found if isinstance(x, Tensor)]
    return torch.float64 if torch.float64 in held else torch.float32


def like(state: State, model: nn.Module, point: Params) -> Params:
    """A point in the types of a state, or in those of the model where the state lacks a tensor.

    Raises ``ValueError`` where a number is too large for its type.
    """
    first = first_names(model)
    types = {first[name]: x.dtype for name, x in named_tensors(model)}
    types |= {name: x.dtype for name, x in _by_first_names(state, first).items()}
    found = {name: x.to(types[name]) for name, x in point.items()}
    for name, x in found.items():
        if not x.isfinite().all():
            raise ValueError(
                f"the result overflows {x.dtype} at {name!r}; pass the target in float32, e.g. "
                "{name: x.float() for name, x in state.items()}"
            )
    return Params(found)


def state_point(model: nn.Module, state: State, what: str) -> Params:
    """The parameters of a state dict, on the device of the model and in its types."""
    own = dict(model.named_parameters())
    first = first_names(model)
    state = {**_by_first_names(state, first), **state}
    _require_names(model, state, what)
    for name in own:
        require_weights(state[name], name, what)
    for name in state.keys() & first.keys():
        if first[name] in own and not torch.equal(state[name], state[first[name]]):
            raise ValueError(
                f"{what} holds different tensors {first[name]!r} and {name!r}, which are one in "
                "the model; pass a state_dict of the same architecture"
            )
    return Params({n: state[n].detach().to(p.device, p.dtype, copy=True) for n, p in own.items()})


def _by_first_names(state: State, first: Mapping[str, str]) -> State:
    """The tensors of a state under the first names of those that have several."""
    return {first[name]: x for name, x in state.items() if name in first}


def _require_names(model: nn.Module, state: State, what: str) -> None:
    """Raise unless a state has all parameters, in their shapes, and nothing else."""
    own = dict(model.named_parameters())
    missing = [name for name in own if name not in state]
    known = model.state_dict().keys() | first_names(model).keys()
    unknown = sorted(state.keys() - known)
    shapes = {name: getattr(state.get(name), "shape", None) for name in own}
    others = [name for name, p in own.items() if name in state and shapes[name] != p.shape]
    parts = {"it lacks": missing, "it has besides": unknown, "of another shape are": others}
    found = [f"{words} {names[:3]} ({len(names)})" for words, names in parts.items() if names]
    if found:
        raise ValueError(
            f"{what} does not fit the model: {'; '.join(found)}. Pass a state_dict of the same "
            "architecture: with names that differ by a prefix it is wrapped, with other shapes "
            "throughout it has another width; the target alone may have another head"
        )


def with_buffers(model: nn.Module, state: State, dtype: torch.dtype) -> nn.Module:
    """A copy of `model` in float32 or float64, with the buffers of a state dict."""
    with torch.inference_mode(False):  # tensors made in that mode cannot be traced
        copied = copy.deepcopy(model)
        copied = copied.double() if dtype is torch.float64 else copied.float()
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


def require_weights(x: Tensor, name: str, what: str) -> None:
    """Raise unless `x` is a finite tensor of one of the `TRAINED` types."""
    require_tensor(f"{name!r} of {what}", x)
    if x.dtype not in TRAINED:
        raise ValueError(
            f"{what} has a tensor {name!r} of {x.dtype}, in which no network is trained; pass the "
            "weights as they were before they were quantised"
        )
    if not x.isfinite().all():
        raise ValueError(
            f"{what} holds NaN or infinite entries at {name!r}; "
            "check that the run it comes from did not diverge"
        )
