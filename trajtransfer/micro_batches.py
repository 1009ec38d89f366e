"""How many samples go through a network at a time: few enough for memory, and fast."""

from __future__ import annotations

import math
from collections.abc import Iterator
from numbers import Integral

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from trajtransfer.batches import Batch, Samples, labelled
from trajtransfer.inputs import cut

Data = Samples | Batch


def forward_size(network: nn.Module) -> int:
    """How many samples to evaluate at a time: their feature maps should fit into a CPU's cache."""
    return 250 if _on_cpu(network) and _has(network, _ConvNd) else 1000


def fast_size(network: nn.Module) -> int:
    """The same for gradients. Where BatchNorm is, the size decides the result: the usual one."""
    convolution = _has(network, _ConvNd) and not _has(network, _BatchNorm)
    return 64 if _on_cpu(network) and convolution else 256


def micro_batches(data: Data, size: int | None, fast: int) -> Iterator[Batch]:
    """Consecutive mini-batches of at most `size` samples, by default of the size that is `fast`."""
    if size is None:
        size = fast
    if not isinstance(size, Integral) or size < 1:
        raise ValueError(
            f"micro_batch={size!r} is not a positive whole number; leave it out for a fast one"
        )
    if isinstance(data, Samples):
        return data.batches(size)
    inputs, labels = labelled(data)
    # Of nearly equal size: a small rest would weigh as much as the others.
    pieces = math.ceil(len(labels) / size)
    return zip(cut(inputs, pieces), labels.tensor_split(pieces), strict=True)


def _on_cpu(network: nn.Module) -> bool:
    return next(network.parameters()).device.type == "cpu"


def _has(network: nn.Module, kind: type[nn.Module]) -> bool:
    return any(isinstance(layer, kind) for layer in network.modules())
