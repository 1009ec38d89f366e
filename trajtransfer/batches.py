"""Mini-batches as a reader has them: a list or a loader of (inputs, labels), checked one by one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

Batch = tuple[Tensor, Tensor]


@runtime_checkable
class Samples(Protocol):
    """Labelled samples that make mini-batches of themselves, such as a split of a data set."""

    def __len__(self) -> int: ...

    def batches(self, size: int) -> Iterator[Batch]:
        """Consecutive mini-batches of at most `size` samples."""


def require_batches(what: str, batches: Any) -> None:
    """Raise for what holds no batches.

    `selection` is looked at once and has to end, so it is no iterator.
    """
    iterable = hasattr(batches, "__iter__") or hasattr(batches, "__getitem__")
    endless = what == "selection" and isinstance(batches, Iterator)
    if not iterable or endless or isinstance(batches, Tensor | str | Mapping | type):
        kind = type(batches).__name__
        raise TypeError(f"{what} is a {kind}; pass a list of (inputs, labels) or a DataLoader")


def endless_batches(batches: Iterable[Batch], device: torch.device) -> Iterator[Batch]:
    """The batches on the device of the model, again and again."""
    first = None
    while True:
        empty = True
        for number, batch in enumerate(batches, 1):
            current = _to(batch, device, f"batch {number} of batches", first)
            if first is None:
                first = current
            empty = False
            yield current
        if empty:
            raise ValueError(
                "batches is empty or cannot be started again; "
                "pass a list or a DataLoader, not an iterator"
            )


def selected(selection: Iterable[Batch] | None, first: Batch) -> list[Batch]:
    """The batches that steps are chosen on, checked and on the device of the first."""
    if selection is None:
        return [first]
    device = first[0].device
    chosen = []
    for number, batch in enumerate(selection, 1):
        chosen.append(_to(batch, device, f"batch {number} of selection", first))
    if not chosen:
        raise ValueError(
            "selection is empty; pass at least one (inputs, labels), or None for the first of "
            "batches"
        )
    shapes = {(inputs.shape[1:], labels.shape[1:]) for inputs, labels in chosen}
    if len(shapes) > 1:
        found = ", ".join(str(tuple(inputs.shape)) for inputs, _ in chosen[:3])
        raise ValueError(
            f"the batches of selection have inputs of shapes {found}; pass samples of one shape"
        )
    return chosen


def labelled(data: Any) -> Batch:
    """Inputs and as many labels."""
    two = isinstance(data, tuple | list) and len(data) == 2
    if not two or not all(isinstance(x, Tensor) for x in data):
        raise TypeError(
            "data must be a Split or a pair of tensors (inputs, labels), "
            f"got {_kind(data)}; pass one of these"
        )
    inputs, labels = data
    if not inputs.ndim or not labels.ndim or len(inputs) != len(labels) or not len(labels):
        raise ValueError(
            f"inputs of shape {tuple(inputs.shape)} and labels of shape {tuple(labels.shape)} are "
            "no samples with a label each; pass as many labels as inputs, at least one"
        )
    return inputs, labels


def _to(batch: Any, device: torch.device, what: str, first: Batch | None) -> Batch:
    """A checked batch on a device; `first` is one that it has to resemble."""
    try:
        inputs, labels = labelled(batch)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{what}: {error}") from error
    for part, x in (("inputs", inputs), ("labels", labels)):
        if not x.isfinite().all():
            raise ValueError(
                f"{what}: the {part} hold NaN or infinite entries; remove these samples"
            )
    if first and inputs.is_floating_point() and inputs.dtype != first[0].dtype:
        raise ValueError(
            f"{what} has inputs of {inputs.dtype} and the first batch of {first[0].dtype}; "
            "convert them to one type, that of the model"
        )
    return inputs.to(device), labels.to(device)


def _kind(data: Any) -> str:
    """What data are, in words."""
    kind = f"a {type(data).__name__}"
    if not isinstance(data, tuple | list):
        return kind
    if len(data) != 2:
        return f"{kind} of {len(data)}"
    inputs, labels = (type(x).__name__ for x in data)
    return f"{kind} of {inputs} and {labels}"
