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
    model: nn.Module,
    data: Split,
    recipe: Recipe,
    *,
    seed: int,
    name: str,
    start: Checkpoint | None = None,
) -> Iterator[Checkpoint]:
    """Train a copy of a network by cross-entropy and yield a `Checkpoint` after each epoch.

    Raises `DivergedError` when the loss stops being finite, and ``ValueError`` when a batch is
    larger than the data.

    Args:
        model: The network; it is left as it was.
        data: The images with their labels.
        recipe: The optimiser, its schedule and its length.
        seed: Draws the order of the images, the augmentation and dropout, anew per epoch, so that
            what is continued gives the numbers of an uninterrupted run.
        name: What errors call the run.
        start: The checkpoint to continue from.
    """
    run = _prepared(model, data, recipe, name)
    first = 0
    if start is not None:
        _restore(run, start)
        first = start.epoch
    for epoch in range(first, recipe.epochs):
        loss = _mean_loss(run, seed, epoch)
        if not math.isfinite(loss):
            wrong = f"the run {name!r} diverged in epoch {epoch + 1} (loss {loss})"
            raise DivergedError(f"{wrong}; lower lr={recipe.lr}")
        yield Checkpoint(
            epoch=epoch + 1,
            params=_contiguous(parameters(run.model)),
            buffers=buffers(run.model),
            momentum=_contiguous(_momentum(run)),
            loss=loss,
        )


def snapshots(
    model: nn.Module,
    data: Split,
    recipe: Recipe,
    *,
    seed: int,
    name: str,
    every: int,
    iterations: int,
) -> list[Params]:
    """The weights at the start of `train`, then now and then during its first iterations.

    Raises ``ValueError`` when training is shorter than that.

    Args:
        model: The network; it is left as it was.
        data: The images with their labels.
        recipe: The optimiser, its schedule and its length.
        seed: As of `train`.
        name: What errors call the run.
        every: After how many iterations weights are taken again.
        iterations: How many iterations there are in all.
    """
    longest = recipe.epochs * math.ceil(len(data) / recipe.batch_size)
    if not 1 <= every <= iterations <= longest:
        raise ValueError(
            f"{name}: needs 1 <= every={every} <= iterations={iterations} <= {longest}, "
            "the length of its training"
        )
    run = _prepared(model, data, recipe, name)
    found = [_contiguous(parameters(run.model))]
    done = 0
    for epoch in range(recipe.epochs):
        with _drawn(data, seed, epoch) as generator:
            for _ in _iterations(run, epoch, generator):
                done += 1
                if done % every == 0:
                    found.append(_contiguous(parameters(run.model)))
                if done == iterations:
                    return found
    return found


class _Run(NamedTuple):
    """What training works on; `model` is changed in place."""

    model: nn.Module
    optimizer: torch.optim.SGD
    data: Split
    recipe: Recipe


def _prepared(model: nn.Module, data: Split, recipe: Recipe, name: str) -> _Run:
    """A copy of a model, in the memory format that convolutions like best, and its optimiser."""
    if recipe.batch_size > len(data):
        wrong = f"batch_size={recipe.batch_size} is larger than the training set of {len(data)}"
        raise ValueError(f"{name}: {wrong}")
    model = copy.deepcopy(model).train()
    for parameter in model.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=memory_format(model))
    optimizer = torch.optim.SGD(
        model.parameters(), lr=recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay
    )
    return _Run(model, optimizer, data, recipe)


@contextmanager
def _drawn(data: Split, seed: int, epoch: int) -> Iterator[torch.Generator]:
    """The generator of an epoch.

    Layers that draw from the global state, such as dropout, find it seeded too.
    """
    devices = [data.labels.device] if data.labels.is_cuda else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(_mix(seed, epoch))
        yield torch.Generator().manual_seed(_mix(seed, epoch))


def _mean_loss(run: _Run, seed: int, epoch: int) -> float:
    """The mean loss of an epoch of training."""
    total = torch.zeros((), device=run.data.labels.device)  # no synchronisation per batch
    with _drawn(run.data, seed, epoch) as generator:
        for part in _iterations(run, epoch, generator):
            total += part
    return float(total) / len(run.data)


def _iterations(run: _Run, epoch: int, generator: torch.Generator) -> Iterator[Tensor]:
    """One pass over the data in random order: the summed loss of each batch.

    The last batch may be incomplete.
    """
    model, optimizer, data, recipe = run
    layout = memory_format(model)
    batches = torch.randperm(len(data), generator=generator).split(recipe.batch_size)
    for number, indices in enumerate(batches):
        iteration = epoch * len(batches) + number
        optimizer.param_groups[0]["lr"] = recipe.learning_rate(iteration, len(batches))
        inputs, labels = data.subset(indices).tensors(recipe.augmentation, generator)
        optimizer.zero_grad()
        with torch.autocast(inputs.device.type, torch.bfloat16, enabled=recipe.fast):
            loss = F.cross_entropy(model(inputs.to(memory_format=layout)), labels)
        loss.backward()
        optimizer.step()
        yield loss.detach() * len(labels)


def _contiguous(params: Params) -> Params:
    return params.to(memory_format=torch.contiguous_format)


def _momentum(run: _Run) -> Params:
    """The momentum of each parameter that has one (none without momentum, or a gradient)."""
    held = {}
    for name, parameter in run.model.named_parameters():
        momentum = run.optimizer.state[parameter].get("momentum_buffer")
        if momentum is not None:
            held[name] = momentum.clone()
    return Params(held)


def _restore(run: _Run, checkpoint: Checkpoint) -> None:
    run.model.load_state_dict(dict(checkpoint.params | checkpoint.buffers))
    for name, parameter in run.model.named_parameters():
        if name in checkpoint.momentum:
            # With the memory format of the parameter.
            momentum = torch.empty_like(parameter, requires_grad=False)
            momentum.copy_(checkpoint.momentum[name])
            run.optimizer.state[parameter]["momentum_buffer"] = momentum


def _mix(seed: int, epoch: int) -> int:
    """A seed of its own for every epoch of every run."""
    return seed * 1_000_003 + epoch
