"""SGD as a generator of checkpoints that can be resumed with the same numbers."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trajtransfer.objective import memory_format
from trajtransfer.paper.recipe import Recipe
from trajtransfer.params import Params, buffers, parameters

if TYPE_CHECKING:  # training takes any split, and works where no data set can be loaded
    from trajtransfer.paper.datasets.tasks import Split


class Checkpoint(NamedTuple):
    """The state after `epoch` epochs; `loss` is the mean training loss of the last one."""

    epoch: int
    params: Params
    buffers: Params
    momentum: Params
    loss: float


class DivergedError(ArithmeticError):
    """A run whose loss is not finite any more, by name and epoch."""


def train(
    model: nn.Module, data: Split, recipe: Recipe, *, seed: int, name: str, start: Checkpoint | None = None
) -> Iterator[Checkpoint]:
    """Train a copy of `model` on `data` by cross-entropy and yield a `Checkpoint` after each epoch.

    `seed` draws the order of the images, the augmentation and dropout, anew per epoch, so that continuing from the
    checkpoint `start` gives the numbers of an uninterrupted run. Raises `DivergedError` with the `name` of
    the run when its loss stops being finite, and ``ValueError`` when a batch is larger than the data.
    """
    model, optimizer = _prepared(model, data, recipe, name)
    if start is not None:
        _restore(model, optimizer, start)
    for epoch in range(start.epoch if start else 0, recipe.epochs):
        total = torch.zeros((), device=data.labels.device)  # stays on the device: no synchronisation per batch
        with _drawn(data, seed, epoch) as generator:
            for part in _iterations(model, optimizer, data, recipe, epoch, generator):
                total += part
        loss = float(total) / len(data)
        if not math.isfinite(loss):
            raise DivergedError(f"the run {name!r} diverged in epoch {epoch + 1} (loss {loss}); lower lr={recipe.lr}")
        weights, momentum = (_contiguous(x) for x in (parameters(model), _momentum(model, optimizer)))
        yield Checkpoint(epoch + 1, weights, buffers(model), momentum, loss)


def snapshots(
    model: nn.Module, data: Split, recipe: Recipe, *, seed: int, name: str, every: int, iterations: int
) -> list[Params]:
    """The weights at the start of `train` and after every `every` of its first `iterations` iterations.

    Raises ``ValueError`` when training is shorter than that.
    """
    longest = recipe.epochs * math.ceil(len(data) / recipe.batch_size)
    if not 1 <= every <= iterations <= longest:
        raise ValueError(f"{name}: needs 1 <= every={every} <= iterations={iterations} <= {longest}, the length of its training")
    model, optimizer = _prepared(model, data, recipe, name)
    found, done = [_contiguous(parameters(model))], 0
    for epoch in range(recipe.epochs):
        with _drawn(data, seed, epoch) as generator:
            for _ in _iterations(model, optimizer, data, recipe, epoch, generator):
                done += 1
                if done % every == 0:
                    found.append(_contiguous(parameters(model)))
                if done == iterations:
                    return found
    return found


def _prepared(model: nn.Module, data: Split, recipe: Recipe, name: str) -> tuple[nn.Module, torch.optim.SGD]:
    """A copy of a model in the memory format that convolutions like best, and its optimiser."""
    if recipe.batch_size > len(data):
        raise ValueError(f"{name}: batch_size={recipe.batch_size} is larger than the training set of {len(data)}")
    model = copy.deepcopy(model).train()
    for parameter in model.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=memory_format(model))
    optimizer = torch.optim.SGD(model.parameters(), lr=recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay)
    return model, optimizer


@contextmanager
def _drawn(data: Split, seed: int, epoch: int) -> Iterator[torch.Generator]:
    """The generator of an epoch; layers that draw from the global state, such as dropout, find it seeded too."""
    with torch.random.fork_rng([data.labels.device] if data.labels.is_cuda else []):
        torch.manual_seed(_mix(seed, epoch))
        yield torch.Generator().manual_seed(_mix(seed, epoch))


def _iterations(
    model: nn.Module, optimizer: torch.optim.SGD, data: Split, recipe: Recipe, epoch: int, generator: torch.Generator
) -> Iterator[Tensor]:
    """One pass over the data in random order, the last incomplete batch included; the summed loss of each batch."""
    batches, layout = torch.randperm(len(data), generator=generator).split(recipe.batch_size), memory_format(model)
    for number, indices in enumerate(batches):
        optimizer.param_groups[0]["lr"] = recipe.learning_rate(epoch * len(batches) + number, len(batches))
        inputs, labels = data.subset(indices).tensors(recipe.augmentation, generator)
        optimizer.zero_grad()
        with torch.autocast(inputs.device.type, torch.bfloat16, enabled=recipe.fast):
            loss = F.cross_entropy(model(inputs.to(memory_format=layout)), labels)
        loss.backward()
        optimizer.step()
        yield loss.detach() * len(labels)


def _contiguous(params: Params) -> Params:
    return params.to(memory_format=torch.contiguous_format)


def _momentum(model: nn.Module, optimizer: torch.optim.SGD) -> Params:
    """The momentum of each parameter that has one (none without momentum, or without a gradient)."""
    held = {name: optimizer.state[p].get("momentum_buffer") for name, p in model.named_parameters()}
    return Params({name: m.clone() for name, m in held.items() if m is not None})


def _restore(model: nn.Module, optimizer: torch.optim.SGD, checkpoint: Checkpoint) -> None:
    model.load_state_dict(dict(checkpoint.params | checkpoint.buffers))
    for name, parameter in model.named_parameters():
        if name in checkpoint.momentum:
            buffer = torch.empty_like(parameter, requires_grad=False)  # with the memory format of the parameter
            optimizer.state[parameter]["momentum_buffer"] = buffer.copy_(checkpoint.momentum[name])


def _mix(seed: int, epoch: int) -> int:
    """A seed of its own for every epoch of every run."""
    return seed * 1_000_003 + epoch
