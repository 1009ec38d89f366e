"""Tracing rules of operations that give the entries of a tensor another shape."""

from __future__ import annotations

import math
from collections.abc import Sequence

from trajtransfer.tracing.axis_labels import (
    Label,
    Piece,
    fixed,
    freeze,
    fresh,
    movable,
    resolve,
    unify,
)
from trajtransfer.tracing.registry import Call, freeze_all, rule


@rule("permute")
def _permute(call: Call) -> tuple[Label, ...]:
    x, *order = call.args
    if not order:
        order = call.kwargs["dims"]
    elif not isinstance(order[0], int):
        order = order[0]
    return tuple(x.axes[d] for d in order)


@rule("transpose", "swapaxes")
def _transpose(call: Call) -> tuple[Label, ...]:
    axes = list(call.args[0].axes)
    a = call.option(1, "dim0")
    b = call.option(2, "dim1")
    axes[a], axes[b] = axes[b], axes[a]
    return tuple(axes)


@rule("view", "reshape", "flatten", "Flatten", "unflatten", "Unflatten", "squeeze", "unsqueeze")
def _reshape(call: Call) -> tuple[Label, ...]:
    """Walk both shapes together; each stretch of equal size splits one axis or merges several."""
    x = call.args[0]
    axes: list[Label] = []
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


def _regroup(labels: Sequence[Label], old: Sequence[int], new: Sequence[int]) -> list[Label]:
    """Labels of the new axes of one stretch; several axes into several others are frozen."""
    if sum(n > 1 for n in new) <= 1:
        merged = _merge(labels, old)
        return [merged if n > 1 else fixed(1) for n in new]
    axes = [fixed(n) for n in new]
    wide = [label for label, n in zip(labels, old, strict=True) if n > 1]
    if len(wide) > 1:
        freeze_all(labels)
        return axes
    # The units of the first wide axis carry the others as a block.
    lead = next(d for d, n in enumerate(new) if n > 1)
    block = math.prod(new[lead + 1 :])
    carrier = resolve(unify(wide[0], fresh(new[lead] * block, block)))
    if all(_holds_blocks(piece, block) for piece in carrier):
        axes[lead] = tuple(_narrowed(piece, block) for piece in carrier)
    else:
        freeze(wide[0])
    return axes


def _holds_blocks(piece: Piece, block: int) -> bool:
    """Whether a piece, and each of its units, is made of whole blocks."""
    if piece.size % block:
        return False
    return piece.units is None or piece.block % block == 0


def _narrowed(piece: Piece, block: int) -> Piece:
    """A piece of an axis of which every entry stands for a block."""
    if piece.units is None:
        return Piece(None, piece.size // block)
    return Piece(piece.units, piece.size // block, piece.block // block)


def _merge(labels: Sequence[Label], old: Sequence[int]) -> Label:
    """One axis from several, of which one at most may move; others are its blocks and repeats."""
    movables = [d for d, label in enumerate(labels) if movable(label)]
    if len(movables) != 1:
        freeze_all(labels)
        return fixed(math.prod(old))
    d = movables[0]
    inner = math.prod(old[d + 1 :])
    once = tuple(Piece(p.units, p.size * inner, p.block * inner) for p in resolve(labels[d]))
    return once * math.prod(old[:d])
