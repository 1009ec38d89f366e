"""Loss, accuracy and gradients of a model at any point of weight space, and its running statistics.

A model is only ever read: weights are passed through ``torch.func.functional_call``, and its modes
are set on a copy that shares its tensors.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from trajtransfer.batches import Samples, labelled
from trajtransfer.forward import Loss, inputs_for, logits_of, loss_value, outputs_at
from trajtransfer.inputs import of_each
from trajtransfer.micro_batches import Data, fast_size, forward_size, micro_batches
from trajtransfer.params import Params, buffers
from trajtransfer.states import require_point


class Score(NamedTuple):
    """Mean loss, and accuracy in [0, 1] (NaN unless it is a classification)."""

    loss: float
    accuracy: float


def evaluate(
    model: nn.Module,
    params: Params,
    data: Data,
    *,
    loss: Loss = F.cross_entropy,
    micro_batch: int | None = None,
) -> Score:
    """Loss and accuracy of `model` at `params`, in evaluation mode.

    Raises ``ValueError`` for a point that is not one of `model`, for data on which the model or the
    loss fails, and for no data.

    Args:
        model: The structure of the network; it is only read.
        params: The point, perhaps with buffers: after an edit of a network with BatchNorm pass
            ``params | running_statistics(...)``. Buffers that are not given are those of `model`.
        data: Inputs (n, ...) with labels (n,) as `transfer` takes its batches, or what makes its
            own batches (`Samples`).
        loss: The mean ``loss(outputs, labels)`` of a mini-batch, or `own_loss`.
        micro_batch: How many samples are taken at a time (default: as many as is fast).
    """
    require_point(model, params)
    network = _share(model).eval()
    weights = _formatted(params, memory_format(model))
    total = 0.0
    correct = 0.0
    count = 0
    with torch.no_grad():
        for inputs, labels in micro_batches(data, micro_batch, forward_size(network)):
            found = outputs_at(network, weights, inputs_for(loss, inputs, labels))
            total += float(loss_value(loss, found, labels)) * len(labels)
            correct += _correct(logits_of(found), labels)
            count += len(labels)
    return Score(total / count, correct / count)


def outputs(model: nn.Module, params: Params, data: Samples) -> Tensor:
    """The outputs (n, ...) of `model` at `params` for the images of a split, in evaluation mode."""
    require_point(model, params)
    network = _share(model).eval()
    weights = _formatted(params, memory_format(model))
    found = []
    with torch.no_grad():
        for inputs, _ in data.batches(forward_size(network)):
            found.append(logits_of(outputs_at(network, weights, inputs)))
    return torch.cat(found)


def _correct(outputs: Tensor, labels: Tensor) -> float:
    """How many of a batch are classified correctly.

    NaN unless outputs are (n, classes) and labels (n,) indices.
    """
    if outputs.ndim != 2 or labels.ndim != 1 or labels.is_floating_point():
        return math.nan
    return float((outputs.argmax(1) == labels).sum())


def gradient(
    model: nn.Module,
    params: Params,
    data: Data,
    *,
    loss: Loss = F.cross_entropy,
    micro_batch: int | None = None,
) -> Params:
    """The gradient of the mean loss over `data` at `params`.

    It is summed over micro-batches, so `data` may be larger than memory allows at once. Dropout is
    off; BatchNorm normalises each micro-batch by its own statistics, and the running statistics of
    `model` are neither used nor changed. Works under ``torch.no_grad()`` and
    ``torch.inference_mode()``, too. Raises ``ValueError`` as `evaluate`, and for a loss that does
    not depend on the parameters.

    Args:
        model: The structure of the network; it is only read.
        params: The point at which the gradient is taken.
        data: Inputs (n, ...) with labels (n,) as `transfer` takes its batches, or what makes its
            own batches (`Samples`).
        loss: The mean ``loss(outputs, labels)`` of a mini-batch, or `own_loss`.
        micro_batch: The most samples at a time (default: what is fast, 64 for convolutions without
            BatchNorm on a CPU, else 256).
    """
    require_point(model, params)
    with torch.inference_mode(False), torch.enable_grad():
        return _gradient(model, params, data, loss, micro_batch)


def _gradient(
    model: nn.Module, params: Params, data: Data, loss: Loss, micro_batch: int | None
) -> Params:
    network = _with_batch_statistics(model)
    weights = _formatted(params, memory_format(model))
    leaves = {}
    for name, _ in model.named_parameters():
        leaves[name] = _recordable(weights[name].detach()).requires_grad_()
    samples = len(data) if isinstance(data, Samples) else len(labelled(data)[1])
    total: list[Tensor] = []
    for inputs, labels in micro_batches(data, micro_batch, fast_size(network)):
        given = of_each(_recordable, inputs_for(loss, inputs, labels))
        found = outputs_at(network, leaves, given)
        share = len(labels) / samples
        value = loss_value(loss, found, _recordable(labels)) * share
        if not value.requires_grad:
            raise ValueError(
                "the loss does not depend on the parameters, so it has no gradient; "
                "compute it from the outputs without detach(), .data or NumPy"
            )
        part = torch.autograd.grad(value, list(leaves.values()), materialize_grads=True)
        total = [a + b for a, b in zip(total, part, strict=True)] if total else list(part)
    return Params({name: part.contiguous() for name, part in zip(leaves, total, strict=True)})


def paired_gradients(
    model: nn.Module,
    batches: Iterator[Data],
    *,
    loss: Loss = F.cross_entropy,
    micro_batch: int | None = None,
) -> Callable[[Params, Params], tuple[Params, Params]]:
    """A function ``(target point, source point) -> (target gradient, source gradient)`` for
    `transfer`.

    Each call draws the next mini-batch and computes both gradients on it (Algorithms 1 and 2).

    Args:
        model: The structure of the network; it is only read.
        batches: An iterator over mini-batches that does not end.
        loss: The mean ``loss(outputs, labels)`` of a mini-batch, or `own_loss`.
        micro_batch: The most samples at a time, see `gradient`.
    """

    def gradients(target: Params, source: Params) -> tuple[Params, Params]:
        """Both gradients on the next mini-batch."""
        batch = next(batches, None)
        if batch is None:
            raise ValueError(
                "the mini-batches ran out; pass an iterator that does not end, e.g. itertools.cycle"
            )
        at_target = gradient(model, target, batch, loss=loss, micro_batch=micro_batch)
        at_source = gradient(model, source, batch, loss=loss, micro_batch=micro_batch)
        return at_target, at_source

    return gradients


def running_statistics(
    model: nn.Module, params: Params, data: Data, *, micro_batch: int = 256
) -> Params:
    """All buffers of `model`, with BatchNorm statistics estimated anew at `params` (as in REPAIR).

    Means and variances are cumulative averages over the micro-batches of `data`.

    Args:
        model: The structure of the network; its own statistics and momentum are left as they were.
        params: The point at which statistics are estimated.
        data: Inputs (n, ...) with labels (n,), or what makes its own batches (`Samples`).
        micro_batch: How many samples are taken at a time.
    """
    require_point(model, params)
    network = copy.deepcopy(model).eval()
    weights = {name: params[name] for name, _ in model.named_parameters()}
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    for norm in norms:
        norm.train()
        norm.reset_running_stats()
        norm.momentum = None  # PyTorch's way to ask for a cumulative average
    if norms:
        with torch.no_grad():
            for inputs, _ in micro_batches(data, micro_batch, micro_batch):
                outputs_at(network, weights, inputs)
    return buffers(network)


def _share(model: nn.Module) -> nn.Module:
    """A copy of the modules that shares all tensors with `model`."""
    shared = {id(x): x for x in (*model.parameters(), *model.buffers())}
    return copy.deepcopy(model, shared)


def _with_batch_statistics(model: nn.Module) -> nn.Module:
    """A copy in evaluation mode, but BatchNorm normalises by the batch and keeps no statistics."""
    network = _share(model).eval()
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            module.train()
            module.track_running_stats = False
    return network


def _recordable(x: Tensor) -> Tensor:
    """A tensor that autograd may record: a copy of one made in inference mode."""
    return x.clone() if x.is_inference() else x


def memory_format(model: nn.Module) -> torch.memory_format:
    """Channels last, which convolutions like best, unless a 1x1 one has fewer than eight input
    channels.

    In that format oneDNN's gradient of such weights was seen, on AVX2, to write out of bounds:
    crashes, or threads that wait.
    """
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d) and layer.kernel_size == (1, 1) and layer.in_channels < 8:
            return torch.contiguous_format
    return torch.channels_last


def _formatted(params: Params, layout: torch.memory_format) -> dict[str, Tensor]:
    """Weights of convolutions in a memory format; the rest as it is."""
    formatted = dict(params)
    for name, x in params.items():
        if x.ndim == 4:
            formatted[name] = x.contiguous(memory_format=layout)
    return formatted
