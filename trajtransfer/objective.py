"""Loss, accuracy and gradients of a model at any point of weight space, and its running statistics.

A model is only ever read: weights are passed through ``torch.func.functional_call``, and its modes are set on
a copy that shares its tensors.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from numbers import Integral
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from trajtransfer.batches import Batch, Samples, labelled
from trajtransfer.params import Params, buffers, require_point

Loss = Callable[[Any, Tensor], Tensor]
Data = Samples | Batch
FAILURES = (RuntimeError, ValueError, IndexError)  # of PyTorch for tensors that do not fit
IGNORED = -100  # the label that PyTorch's cross-entropy does not count


class Score(NamedTuple):
    """Mean loss, and accuracy in [0, 1] (NaN unless it is a classification)."""

    loss: float
    accuracy: float


def evaluate(
    model: nn.Module, params: Params, data: Data, *, loss: Loss = F.cross_entropy, micro_batch: int | None = None
) -> Score:
    """Loss and accuracy of `model` at `params`, in evaluation mode, over micro-batches of a size that is fast by default.

    `data` is a tuple (inputs (n, ...), labels (n,)), or makes its own batches (`Samples`). `params` may hold buffers too: after an
    edit of a network with BatchNorm pass ``params | running_statistics(...)``; buffers that are not given are
    those of `model`. Raises ``ValueError`` for a point that is not one of `model`, for data on which the model
    or the loss fails, and for no data.
    """
    require_point(model, params)
    network, weights = _share(model).eval(), _formatted(params, memory_format(model))
    total, correct, count = 0.0, 0.0, 0
    with torch.no_grad():
        for inputs, labels in _micro_batches(data, _forward_size(network) if micro_batch is None else micro_batch):
            outputs = _called(network, weights, inputs)
            total += float(_loss_value(loss, outputs, labels)) * len(labels)
            correct += _correct(outputs, labels)
            count += len(labels)
    return Score(total / count, correct / count)


def outputs(model: nn.Module, params: Params, data: Samples) -> Tensor:
    """The outputs (n, ...) of `model` at `params` for the images of a split, in evaluation mode."""
    require_point(model, params)
    network, weights = _share(model).eval(), _formatted(params, memory_format(model))
    with torch.no_grad():
        batches = data.batches(_forward_size(network))
        return torch.cat([_called(network, weights, inputs) for inputs, _ in batches])


def _correct(outputs: Tensor, labels: Tensor) -> float:
    """How many of a batch are classified correctly; NaN unless outputs are (n, classes) and labels (n,) indices."""
    if outputs.ndim != 2 or labels.ndim != 1 or labels.is_floating_point():
        return math.nan
    return float((outputs.argmax(1) == labels).sum())


def gradient(
    model: nn.Module, params: Params, data: Data, *, loss: Loss = F.cross_entropy, micro_batch: int | None = None
) -> Params:
    """The gradient of the mean loss over `data` at `params`.

    Computed over micro-batches of at most `micro_batch` samples and summed, so `data` may be larger than memory allows
    at once; the default is what is fast, 64 for convolutions without BatchNorm on a CPU, else 256. Dropout is off;
    BatchNorm normalises each micro-batch by its own statistics, and the running statistics of `model` are
    neither used nor changed. Works under ``torch.no_grad()`` and ``torch.inference_mode()``, too. Raises
    ``ValueError`` as `evaluate`, and for a loss that does not depend on the parameters.
    """
    require_point(model, params)
    with torch.inference_mode(False), torch.enable_grad():
        return _gradient(model, params, data, loss, micro_batch)


def _gradient(model: nn.Module, params: Params, data: Data, loss: Loss, micro_batch: int | None) -> Params:
    network = _share(model).eval()
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            module.train()
            module.track_running_stats = False
    weights = _formatted(params, memory_format(network))
    names = [name for name, _ in model.named_parameters()]
    leaves = {name: _recordable(weights[name].detach()).requires_grad_() for name in names}
    samples = len(data if isinstance(data, Samples) else labelled(data)[1])
    total: list[Tensor] = []
    for inputs, labels in _micro_batches(data, _fast_size(network) if micro_batch is None else micro_batch):
        outputs = _called(network, leaves, _recordable(inputs))
        value = _loss_value(loss, outputs, _recordable(labels)) * (len(labels) / samples)
        if not value.requires_grad:
            raise ValueError(
                "the loss does not depend on the parameters, so it has no gradient; "
                "compute it from the outputs without detach(), .data or NumPy"
            )
        part = torch.autograd.grad(value, list(leaves.values()), materialize_grads=True)
        total = [a + b for a, b in zip(total, part, strict=True)] if total else list(part)
    return Params({name: part.contiguous() for name, part in zip(leaves, total, strict=True)})


def paired_gradients(
    model: nn.Module, batches: Iterator[Data], *, loss: Loss = F.cross_entropy, micro_batch: int | None = None
) -> Callable[[Params, Params], tuple[Params, Params]]:
    """A function ``(target point, source point) -> (target gradient, source gradient)`` for `transfer`.

    Each call draws the next mini-batch from `batches` and computes both gradients on it (Algorithms 1 and 2).
    """

    def gradients(target: Params, source: Params) -> tuple[Params, Params]:
        """Both gradients on the next mini-batch."""
        batch = next(batches, None)
        if batch is None:
            raise ValueError("the mini-batches ran out; pass an iterator that does not end, e.g. itertools.cycle")
        at_target, at_source = (gradient(model, x, batch, loss=loss, micro_batch=micro_batch) for x in (target, source))
        return at_target, at_source

    return gradients


def running_statistics(model: nn.Module, params: Params, data: Data, *, micro_batch: int = 256) -> Params:
    """All buffers of `model`, with BatchNorm statistics estimated anew at `params` (as in REPAIR).

    Means and variances are cumulative averages over the micro-batches of `data`. `model`, with its own
    statistics and momentum, is left as it was.
    """
    network = copy.deepcopy(model).eval()
    require_point(model, params)
    weights = {name: params[name] for name, _ in model.named_parameters()}
    norms = [m for m in network.modules() if isinstance(m, _BatchNorm)]
    for norm in norms:
        norm.train()
        norm.reset_running_stats()
        norm.momentum = None  # PyTorch's way to ask for a cumulative average
    if norms:
        with torch.no_grad():
            for inputs, _ in _micro_batches(data, micro_batch):
                _called(network, weights, inputs)
    return buffers(network)


def _called(network: nn.Module, weights: Mapping[str, Tensor], inputs: Tensor) -> Any:
    """The outputs of a network, or an error that says what it was given; out of memory stays what it is."""
    try:
        return functional_call(network, dict(weights), (inputs,))
    except FAILURES as error:
        if type(error) not in FAILURES:
            raise
        types = sorted({str(x.dtype) for x in weights.values() if x.is_floating_point()})
        raise ValueError(
            f"{type(network).__name__} with weights of {', '.join(types)} fails on inputs of shape "
            f"{tuple(inputs.shape)} and {inputs.dtype}: {error}. Pass inputs of the shape and type that the "
            "model takes, or convert the model, e.g. model.double()"
        ) from error


def _loss_value(loss: Loss, outputs: Any, labels: Tensor) -> Tensor:
    """The loss of a micro-batch: one number, or an error that says what the loss was given."""
    if not callable(loss):
        raise TypeError(f"loss is a {type(loss).__name__}; pass a function (outputs, labels) -> mean loss")
    if loss is F.cross_entropy and isinstance(outputs, Tensor):
        _require_classes(outputs, labels)
    try:
        value = loss(outputs, labels)
    except FAILURES as error:
        if type(error) not in FAILURES:
            raise
        raise ValueError(
            f"the loss fails on outputs {_described(outputs)} and labels {_described(labels)}: {error}. "
            "Pass labels that fit it, or another loss"
        ) from error
    if not isinstance(value, Tensor) or value.numel() != 1:
        raise ValueError(f"the loss returned {_described(value)}; return the mean over the batch, a tensor of one number")
    return value


def _require_classes(outputs: Tensor, labels: Tensor) -> None:
    """Raise unless labels are probabilities or indices of classes; on a GPU cross-entropy would end the process."""
    if labels.is_floating_point() and labels.shape == outputs.shape:
        return
    if labels.dtype not in (torch.int64, torch.uint8):
        raise ValueError(f"cross-entropy takes labels of int64, got {labels.dtype}; convert them, labels.long()")
    classes = outputs.shape[1] if outputs.ndim > 1 else len(outputs)
    wrong = labels[(labels != IGNORED) & ((labels < 0) | (labels >= classes))]
    if len(wrong):
        raise ValueError(
            f"label {int(wrong[0])} is none of the {classes} classes of the model; "
            f"number classes from 0, and mark what is not to count with {IGNORED}"
        )


def _described(value: Any) -> str:
    return f"{tuple(value.shape)} of {value.dtype}" if isinstance(value, Tensor) else f"a {type(value).__name__}"


def _recordable(x: Tensor) -> Tensor:
    """A tensor that autograd may record: a copy of one made in inference mode."""
    return x.clone() if x.is_inference() else x


def _share(model: nn.Module) -> nn.Module:
    """A copy of the modules that shares all tensors with `model`."""
    return copy.deepcopy(model, {id(x): x for x in (*model.parameters(), *model.buffers())})


def memory_format(model: nn.Module) -> torch.memory_format:
    """Channels last, which convolutions like best, unless a 1x1 convolution has fewer than eight input channels.

    In that format oneDNN's gradient of such weights was seen, on AVX2, to write out of bounds: crashes, or threads that wait.
    """
    pointwise = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d) and layer.kernel_size == (1, 1)]
    return torch.contiguous_format if any(layer.in_channels < 8 for layer in pointwise) else torch.channels_last


def _formatted(params: Params, layout: torch.memory_format) -> dict[str, Tensor]:
    """Weights of convolutions in a memory format; the rest as it is."""
    return {n: x.contiguous(memory_format=layout) if x.ndim == 4 else x for n, x in params.items()}


def _forward_size(network: nn.Module) -> int:
    """Samples of a forward pass: feature maps of convolutions should fit into the cache of a processor."""
    on_cpu = next(network.parameters()).device.type == "cpu"
    return 250 if on_cpu and any(isinstance(layer, _ConvNd) for layer in network.modules()) else 1000


def _fast_size(network: nn.Module) -> int:
    """Feature maps of more samples do not fit into the cache of a processor. Where BatchNorm is, the size decides the result."""
    on_cpu, layers = next(network.parameters()).device.type == "cpu", list(network.modules())
    batch_norm, convolution = (any(isinstance(layer, kind) for layer in layers) for kind in (_BatchNorm, _ConvNd))
    return 64 if on_cpu and convolution and not batch_norm else 256


def _micro_batches(data: Data, size: int) -> Iterator[Batch]:
    if not isinstance(size, Integral) or size < 1:
        raise ValueError(f"micro_batch={size!r} is not a positive whole number; leave it out for a fast one")
    if isinstance(data, Samples):
        return data.batches(size)
    inputs, labels = labelled(data)
    pieces = math.ceil(len(labels) / size)  # of nearly equal size: a small rest would weigh as much as the others
    return zip(inputs.tensor_split(pieces), labels.tensor_split(pieces), strict=True)
