"""Mini-batches as a reader has them: a list or a loader of samples with labels, checked each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from trajtransfer.inputs import Inputs, joined, of_each, tensors_in

Batch = tuple[Inputs, Tensor]
LABELS = ("labels", "label")  # what a dictionary calls them


@runtime_checkable
class Samples(Protocol):
    """Labelled samples that make mini-batches of themselves, such as a split of a data set."""

    def __len__(self) -> int: ...

    def batches(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Consecutive mini-batches of at most `size` samples."""


def require_batches(what: str, batches: Any) -> None:
    """Raise for what holds no batches.

    They are gone through again and again, which an iterator is not for.
    """
    iterable = hasattr(batches, "__iter__") or hasattr(batches, "__getitem__")
    once = isinstance(batches, Iterator)
    if not iterable or once or isinstance(batches, Tensor | str | Mapping | type):
        kind = type(batches).__name__
        raise TypeError(f"{what} is a {kind}; pass a list of (inputs, labels) or a DataLoader")


def endless_batches(
    batches: Iterable[Batch], device: torch.device, dtype: torch.dtype
) -> Iterator[Batch]:
    """The batches on a device, their floating numbers in a type, again and again."""
    while True:
        empty = True
        for number, batch in enumerate(batches, 1):
            empty = False
            yield _to(batch, device, dtype, f"batch {number} of batches")
        if empty:
            raise ValueError(
                "batches is empty or cannot be started again; "
                "pass a list or a DataLoader, not an iterator"
            )


def selected(selection: Iterable[Batch] | None, first: Batch, dtype: torch.dtype) -> list[Batch]:
    """The batches that steps are chosen on, checked and on the device of the first."""
    if selection is None:
        return [first]
    device = first[1].device
    chosen = []
    for number, batch in enumerate(selection, 1):
        chosen.append(_to(batch, device, dtype, f"batch {number} of selection"))
    if not chosen:
        raise ValueError(
            "selection is empty; pass at least one (inputs, labels), or None for the first of "
            "batches"
        )
    shapes = {tuple(x.shape[1:] for x in tensors_in(batch)) for batch in chosen}
    if len(shapes) > 1:
        found = ", ".join(str(tuple(tensors_in(batch)[0].shape)) for batch in chosen[:3])
        raise ValueError(
            f"the batches of selection have inputs of shapes {found}; pass samples of one shape"
        )
    return chosen


def together(batches: Iterable[Batch]) -> Batch:
    """Several batches as one."""
    inputs, labels = zip(*batches, strict=True)
    return joined(inputs), torch.cat(labels)


def labelled(data: Any) -> Batch:
    """Inputs and as many labels, of what a loader yields.

    That is (inputs, labels) with inputs alone, in a tuple or in a dictionary; several inputs with
    the labels behind them; or a dictionary with an entry ``"labels"``. NumPy arrays become tensors.
    """
    inputs, labels = _taken_apart(data)
    tensors = tensors_in(inputs)
    if not tensors or not isinstance(labels, Tensor):
        raise TypeError(
            "data must be a Split or a pair (inputs, labels) of tensors, or a dictionary with "
            f"labels, got {_kind(data)}; pass one of these"
        )
    counts = {len(x) if x.ndim else 0 for x in (*tensors, labels)}
    if len(counts) > 1 or not all(counts):
        shapes = ", ".join(str(tuple(x.shape)) for x in tensors)
        raise ValueError(
            f"inputs of shape {shapes} and labels of shape {tuple(labels.shape)} are "
            "no samples with a label each; pass as many labels as inputs, at least one"
        )
    return inputs, labels


def _taken_apart(data: Any) -> tuple[Any, Any]:
    """Inputs and labels; None where there are none."""
    if isinstance(data, Mapping):
        names = [name for name in LABELS if name in data]
        rest = {name: _tensor(x) for name, x in data.items() if name not in names}
        return rest, _tensor(data[names[0]]) if names else None
    if not isinstance(data, tuple | list) or len(data) < 2:
        return None, None
    *inputs, labels = data
    alone = inputs[0] if len(inputs) == 1 else tuple(inputs)
    if isinstance(alone, Mapping):
        return {name: _tensor(x) for name, x in alone.items()}, _tensor(labels)
    if isinstance(alone, tuple | list):
        return tuple(map(_tensor, alone)), _tensor(labels)
    return _tensor(alone), _tensor(labels)


def _tensor(x: Any) -> Any:
    """An array as a tensor; anything else as it is."""
    return torch.from_numpy(x) if isinstance(x, np.ndarray) else x


def _to(batch: Any, device: torch.device, dtype: torch.dtype, what: str) -> Batch:
    """A checked batch on a device; classes and tokens, which are whole numbers, stay in theirs."""
    try:
        inputs, labels = labelled(batch)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{what}: {error}") from error

    def moved(x: Tensor) -> Tensor:
        return x.to(device, dtype if x.is_floating_point() else x.dtype)

    inputs = of_each(moved, inputs)
    labels = moved(labels)
    for part, tensors in (("inputs", tensors_in(inputs)), ("labels", [labels])):
        if not all(x.isfinite().all() for x in tensors):
            raise ValueError(
                f"{what}: the {part} hold NaN or infinite entries; remove these samples"
            )
    return inputs, labels


def _kind(data: Any) -> str:
    """What data are, in words."""
    kind = f"a {type(data).__name__}"
    if isinstance(data, Mapping):
        return f"{kind} with {', '.join(map(str, data))}"
    if not isinstance(data, tuple | list):
        return kind
    if len(data) != 2:
        return f"{kind} of {len(data)}"
    inputs, labels = (type(x).__name__ for x in data)
    return f"{kind} of {inputs} and {labels}"
