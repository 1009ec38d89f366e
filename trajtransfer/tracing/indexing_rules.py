"""Tracing rules of operations that take parts of a tensor."""

from __future__ import annotations

from trajtransfer.tracing.axis_labels import Label, fixed, freeze, split
from trajtransfer.tracing.registry import Call, Traced, Unsupported, freeze_all, rule
from trajtransfer.tracing.views import Axis, Folded, Part, settled

Axes = tuple[Axis, ...]


@rule("slice", "narrow", shaping=True)
def _slice(call: Call) -> Axes:
    x = call["self"]
    dim = (call["dim"] or 0) % len(x.axes)
    size = x.shape[dim]
    end = call["start"] + call["length"] if call.name == "narrow" else call["end"]
    start, stop, step = slice(call["start"], end, call["step"]).indices(size)
    if step != 1:
        freeze_all([x.axes[dim]])
        return _replaced(x, dim, fixed(len(range(start, stop, step))))
    return _taken(x, dim, start, max(0, stop - start))


@rule("select", shaping=True)
def _select(call: Call) -> Axes:
    x = call["self"]
    return _entry(x, call["dim"] % len(x.axes), call["index"])


@rule("unbind", shaping=True)
def _unbind(call: Call) -> list[Axes]:
    x = call["self"]
    dim = (call["dim"] or 0) % len(x.axes)
    return [_entry(x, dim, index) for index in range(x.shape[dim])]


@rule("chunk", "split", "split_with_sizes", "tensor_split", shaping=True)
def _parts(call: Call) -> list[Axes]:
    x = call["self"]
    dim = (call["dim"] or 0) % len(x.axes)
    found = []
    start = 0
    for shape in call.shape:
        found.append(_taken(x, dim, start, shape[dim]))
        start += shape[dim]
    return found


def _taken(x: Traced, dim: int, start: int, size: int) -> Axes:
    """The axes of so many entries of one of them."""
    if size == x.shape[dim]:
        return x.axes
    whole = _outermost(x, dim)
    if whole is not None and size:
        return _with_parts(x, whole, whole.taken(start, size))
    label = settled(x.axes[dim])
    behind = x.shape[dim] - start - size
    return _replaced(x, dim, split(label, [start, size, behind])[1])


def _entry(x: Traced, dim: int, index: int) -> Axes:
    """The axes of a single entry of one of them, which is gone."""
    whole = _outermost(x, dim)
    if whole is None:
        freeze(settled(x.axes[dim]))
        return (*x.axes[:dim], *x.axes[dim + 1 :])
    taken = whole.taken(index % x.shape[dim], 1)
    inner = Folded(taken.label, taken.sizes[1:])
    axes = []
    for axis in x.axes[:dim] + x.axes[dim + 1 :]:
        own = isinstance(axis, Part) and axis.whole is whole
        axes.append(_inner(inner, axis.number - 1) if own else axis)
    return tuple(axes)


def _inner(inner: Folded, number: int) -> Axis:
    return Part(inner, number) if len(inner.sizes) > 1 else inner.label


def _outermost(x: Traced, dim: int) -> Folded | None:
    """What an axis is the outermost part of, unless its parts have been told already."""
    axis = x.axes[dim]
    if isinstance(axis, Part) and axis.number == 0 and axis.whole.parts is None:
        return axis.whole
    return None


def _with_parts(x: Traced, old: Folded, new: Folded) -> Axes:
    axes = []
    for axis in x.axes:
        own = isinstance(axis, Part) and axis.whole is old
        axes.append(Part(new, axis.number) if own else axis)
    return tuple(axes)


def _replaced(x: Traced, dim: int, axis: Axis) -> Axes:
    return (*x.axes[:dim], axis, *x.axes[dim + 1 :])


@rule("index_select")
def _index_select(call: Call) -> tuple[Label, ...]:
    x = call["self"]
    dim = call["dim"] % len(x.axes)
    freeze_all([x.axes[dim], *call["index"].axes])
    return (*x.axes[:dim], fixed(call.shape[dim]), *x.axes[dim + 1 :])


@rule("index")
def _index(call: Call) -> tuple[Label, ...]:
    """Axes that tensors index do not move; they stand together, or the result has them in front."""
    x = call["self"]
    indices = list(call["indices"])
    places = [d for d, index in enumerate(indices) if index is not None]
    if any(len(indices[d].shape) != len(indices[places[0]].shape) for d in places):
        raise Unsupported("indices of different shapes")
    for d in places:
        freeze_all([x.axes[d], *indices[d].axes])
    kept = [label for d, label in enumerate(x.axes) if d not in places]
    together = places == list(range(places[0], places[-1] + 1))
    front = places[0] if together else 0
    count = len(call.shape) - len(kept)
    new = call.shape[front : front + count]
    return (*kept[:front], *map(fixed, new), *kept[front:])


@rule("unfold")
def _windows(call: Call) -> tuple[Label, ...]:
    """Overlapping parts of an axis, which does not move."""
    x = call["self"]
    dim = call["dimension"] % len(x.axes)
    freeze_all([x.axes[dim]])
    return (*x.axes[:dim], fixed(call.shape[dim]), *x.axes[dim + 1 :], fixed(call.shape[-1]))
