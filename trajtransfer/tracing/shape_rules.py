"""Tracing rules of operations that give the entries of a tensor another shape, or other axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from trajtransfer.tracing.axis_labels import Label, Piece, fixed, fresh, resolve, unify
from trajtransfer.tracing.registry import Call, Traced, Unsupported, freeze_all, rule
from trajtransfer.tracing.views import (
    Axis,
    Joined,
    Part,
    folded,
    length,
    merged,
    settled,
    taken_apart,
    unfolded,
)

RESHAPING = """
    view reshape _unsafe_view flatten unflatten squeeze unsqueeze view_as reshape_as ravel
""".split()


@rule("permute", shaping=True)
def _permute(call: Call) -> tuple[Axis, ...]:
    return tuple(call.x.axes[d] for d in call["dims"])


@rule("transpose", shaping=True)
def _transpose(call: Call) -> tuple[Axis, ...]:
    axes = list(call.x.axes)
    a = call["dim0"]
    b = call["dim1"]
    axes[a], axes[b] = axes[b], axes[a]
    return tuple(axes)


@rule("swapaxes", "swapdims", shaping=True)
def _swap(call: Call) -> tuple[Axis, ...]:
    a, b = (value for value in call.arguments.values() if isinstance(value, int))
    return _transpose(replace(call, arguments={"self": call.x, "dim0": a, "dim1": b}))


@rule("t", "mT", "mH", "adjoint", "numpy_T", shaping=True)
def _transposed(call: Call) -> tuple[Axis, ...]:
    axes = call.x.axes
    if call.name in ("t", "numpy_T"):
        return axes[::-1]
    return (*axes[:-2], axes[-1], axes[-2])


@rule("movedim", shaping=True)
def _movedim(call: Call) -> tuple[Axis, ...]:
    count = len(call.x.axes)
    moves = [call["source"], call["destination"]]
    sources, places = ([m] if isinstance(m, int) else list(m) for m in moves)
    taken = [d % count for d in sources]
    others = iter(d for d in range(count) if d not in taken)
    found = {place % count: d for place, d in zip(places, taken, strict=True)}
    return tuple(call.x.axes[found[d] if d in found else next(others)] for d in range(count))


@rule("expand", "expand_as", "broadcast_to", shaping=True)
def _expand(call: Call) -> tuple[Axis, ...]:
    """New entries of an axis are all alike, and move with anything."""
    return _widened(call["self"], call.shape)


@rule("broadcast_tensors", shaping=True)
def _broadcast(call: Call) -> list[tuple[Axis, ...]]:
    """Each as if it were expanded; they meet where they are used together."""
    return [_widened(x, shape) for x, shape in zip(call.tensors, call.shape, strict=True)]


def _widened(x: Traced, shape: Sequence[int]) -> tuple[Axis, ...]:
    added = len(shape) - len(x.shape)
    axes: list[Axis] = [fresh(n, idle=True) for n in shape[:added]]
    for axis, old, new in zip(x.axes, x.shape, shape[added:], strict=True):
        axes.append(axis if old == new else fresh(new, idle=True))
    return tuple(axes)


@rule("repeat", "tile")
def _repeat(call: Call) -> tuple[Label, ...]:
    """Copies of an axis behind each other move alike."""
    added = len(call.shape) - len(call.x.shape)
    axes = [fresh(n, idle=True) for n in call.shape[:added]]
    for label, old, new in zip(call.x.axes, call.x.shape, call.shape[added:], strict=True):
        axes.append(label * (new // old))
    return tuple(axes)


@rule("repeat_interleave")
def _interleave(call: Call) -> tuple[Label, ...]:
    """Each entry of an axis becomes a block of equal ones."""
    times = call["repeats"]
    if not isinstance(times, int) or call["dim"] is None:
        raise Unsupported("numbers of repeats that differ, or no axis")
    axes = list(call.x.axes)
    pieces = resolve(axes[call["dim"]])
    axes[call["dim"]] = tuple(Piece(p.units, p.size * times, p.block * times) for p in pieces)
    return tuple(axes)


@rule("pixel_shuffle")
def _pixel_shuffle(call: Call) -> tuple[Label, ...]:
    """Blocks of channels become pixels."""
    *stack, channels, height, width = call.x.axes
    freeze_all([height, width])
    sizes = (call.shape[-3], call["upscale_factor"] ** 2)
    outer, _ = map(settled, folded(channels, sizes))
    return (*stack, outer, *map(fixed, call.shape[-2:]))


@rule(*RESHAPING, shaping=True)
def _reshape(call: Call) -> tuple[Axis, ...]:
    """Walk both shapes together; each stretch of equal size splits one axis or merges several."""
    x = call["self"]
    axes: list[Axis] = []
    old = 0
    new = 0
    while old < len(x.shape) or new < len(call.shape):
        i, j = _stretch(x.shape, call.shape, old, new)
        axes += _regroup(x.axes[old:i], x.shape[old:i], call.shape[new:j])
        old = i
        new = j
    return tuple(axes)


def _stretch(before: Sequence[int], after: Sequence[int], old: int, new: int) -> tuple[int, int]:
    """The ends of the shortest stretches of both shapes from `old` and `new` that hold as much."""
    i = old
    j = new
    held = 1
    wanted = 1
    while held != wanted or (i == old and j == new):
        if (held <= wanted and i < len(before)) or j == len(after):
            held *= before[i]
            i += 1
        else:
            wanted *= after[j]
            j += 1
    return i, j


def _regroup(axes: Sequence[Axis], old: Sequence[int], new: Sequence[int]) -> list[Axis]:
    """The new axes of one stretch: old ones are taken apart where they have to be, and joined."""
    wide = [axis for axis, n in zip(axes, old, strict=True) if n > 1]
    wanted = [n for n in new if n > 1]
    if len(wide) == len(wanted) == 1:
        return [wide[0] if n > 1 else fixed(1) for n in new]
    before = [part for axis in wide for part in taken_apart(axis)]
    lengths = list(map(length, before))
    if before and (whole := unfolded(before)) is not None:
        before = [whole]
        lengths = [math.prod(lengths)]
    sizes = _refined(lengths, wanted)
    if sizes is None:
        freeze_all(axes)
        return list(map(fixed, new))
    parts: list[Label | Part] = []
    for axis, own in zip(before, _grouped(sizes, lengths), strict=True):
        parts += [axis] if len(own) == 1 else folded(settled(axis), own)
    rest = iter(parts)
    found = (_joined([next(rest) for _ in own], own) for own in _grouped(sizes, wanted))
    return [next(found) if n > 1 else fixed(1) for n in new]


def _refined(old: Sequence[int], new: Sequence[int]) -> list[int] | None:
    """The coarsest sizes of which both shapes are products of neighbours; None where none are."""
    ends = {math.prod(shape[k:]) for shape in (old, new) for k in range(len(shape) + 1)}
    marks = sorted(ends, reverse=True)
    if any(a % b for a, b in pairwise(marks)):
        return None
    return [a // b for a, b in pairwise(marks)]


def _grouped(sizes: Sequence[int], products: Sequence[int]) -> list[list[int]]:
    """Consecutive sizes for each product."""
    rest = iter(sizes)
    groups = []
    for product in products:
        group = [next(rest)]
        while math.prod(group) < product:
            group.append(next(rest))
        groups.append(group)
    return groups


def _joined(parts: Sequence[Label | Part], sizes: Sequence[int]) -> Axis:
    """One axis of several; what may be taken apart again waits until somebody asks."""
    if len(parts) == 1:
        return parts[0]
    whole = unfolded(parts)
    if whole is not None:
        return whole
    if any(isinstance(axis, Part) and axis.whole.parts is None for axis in parts):
        return Joined(tuple(parts), tuple(sizes))
    return merged([settled(axis) for axis in parts], sizes)


@rule("stack")
def _stack(call: Call) -> tuple[Label, ...]:
    """Tensors along a new axis."""
    tensors = call["tensors"]
    place = call["dim"] % len(call.shape)
    axes = list(tensors[0].axes)
    for x in tensors[1:]:
        axes = [unify(a, b) for a, b in zip(axes, x.axes, strict=True)]
    return (*axes[:place], fixed(len(tensors)), *axes[place:])


@rule("cat", "concat", "concatenate")
def _concatenation(call: Call) -> tuple[Label, ...]:
    tensors = [x for x in call["tensors"] if x.shape != (0,)]
    joined = call["dim"] % len(call.shape)
    axes = list(tensors[0].axes)
    for x in tensors[1:]:
        for d, label in enumerate(x.axes):
            if d != joined:
                axes[d] = unify(axes[d], label)
    axes[joined] = sum((x.axes[joined] for x in tensors), start=())
    return tuple(axes)


@rule("pad", "constant_pad_nd")
def _pad(call: Call) -> tuple[Label, ...]:
    """Constants beside an axis move with anything; what is reflected or repeated does not move."""
    x = call["self"]
    axes = list(x.axes)
    constant = call["mode"] in (None, "constant")
    for number in range(len(call["pad"]) // 2):
        before, behind = call["pad"][2 * number : 2 * number + 2]
        d = len(axes) - 1 - number
        if not before and not behind:
            continue
        if not constant or before < 0 or behind < 0:
            freeze_all([axes[d]])
            axes[d] = fixed(call.shape[d])
        else:
            axes[d] = fresh(before, idle=True) + axes[d] + fresh(behind, idle=True)
    return tuple(axes)
