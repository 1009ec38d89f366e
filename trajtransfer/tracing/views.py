"""Axes that were one: what a reshape has split stays one label until somebody asks for its parts.

The rows of queries, keys and values, ``(3 * heads * width)``, become three axes and are taken apart
by an index; labels of three independent axes could not say that the thirds move independently.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from trajtransfer.tracing.axis_labels import (
    Label,
    Piece,
    fixed,
    freeze,
    fresh,
    movable,
    put_inside,
    resolve,
    size_of,
    split,
    unify,
)


class Folded:
    """An axis with a label, folded into several of given `sizes`, the first of them outermost.

    `parts` are their own labels, once they had to be told.
    """

    __slots__ = ("label", "parts", "sizes")

    def __init__(self, label: Label, sizes: Sequence[int]):
        self.label = label
        self.sizes = tuple(sizes)
        self.parts: list[Label] | None = None

    def settle(self) -> list[Label]:
        """The labels of the single axes.

        What repeats along the first of them moves inside; else its units carry the rest as a block.
        """
        if self.parts is None:
            once = _repeated(resolve(self.label), self.sizes[0])
            if once is not None:
                inner = Folded(once, self.sizes[1:]).settle() if self.sizes[2:] else [once]
                self.parts = [fixed(self.sizes[0]), *inner]
            else:
                self.parts = self._blocks()
        return self.parts

    def larger(self) -> Label:
        """The label of the first axis, with entries of a second that stay free inside of it.

        Only for operations after which this is still true: those that sum over the second axis, or
        keep both as they are.
        """
        if self.parts is None and len(self.sizes) == 2:
            found = put_inside(self.label, self.sizes[0])
            if found is not None:
                return found
        return self.settle()[0]

    def _blocks(self) -> list[Label]:
        """Units of the first axis that carry the others as a block, where there can be such."""
        block = math.prod(self.sizes[1:])
        carrier = resolve(unify(self.label, fresh(self.sizes[0] * block, block)))
        parts = [fixed(n) for n in self.sizes]
        if all(_holds_blocks(piece, block) for piece in carrier):
            parts[0] = tuple(_narrowed(piece, block) for piece in carrier)
        else:
            freeze(self.label)
        return parts

    def taken(self, start: int, size: int) -> Folded:
        """The entries from `start` of the first axis on, so many, as an axis of their own."""
        block = math.prod(self.sizes[1:])
        behind = self.sizes[0] - start - size
        label = split(self.label, [start * block, size * block, behind * block])[1]
        return Folded(label, (size, *self.sizes[1:]))


class Part(NamedTuple):
    """One of the axes that another was folded into."""

    whole: Folded
    number: int


class Joined(NamedTuple):
    """Several axes that a reshape made one, as one that heads share with a batch."""

    axes: tuple[Label | Part, ...]
    sizes: tuple[int, ...]


Axis = Label | Part | Joined


def folded(label: Label, sizes: Sequence[int]) -> list[Label | Part]:
    """The axes of a label that is folded into several; one keeps the label."""
    if len(sizes) == 1:
        return [label]
    whole = Folded(label, sizes)
    return [Part(whole, number) for number in range(len(sizes))]


def unfolded(axes: Sequence[Axis]) -> Label | None:
    """The label of consecutive axes that are all parts of one, in their order; None for others."""
    if len(axes) == 1:
        return settled(axes[0])
    first = axes[0]
    if not isinstance(first, Part) or first.whole.parts is not None:
        return None
    every = [Part(first.whole, number) for number in range(len(first.whole.sizes))]
    return first.whole.label if list(axes) == every else None


def settled(axis: Axis) -> Label:
    """The label of an axis on its own."""
    if isinstance(axis, Joined):
        return merged([settled(one) for one in axis.axes], axis.sizes)
    return axis.whole.settle()[axis.number] if isinstance(axis, Part) else axis


def taken_apart(axis: Axis) -> Sequence[Label | Part]:
    """The axes that one was joined from."""
    return axis.axes if isinstance(axis, Joined) else [axis]


def length(axis: Axis) -> int:
    """How many entries an axis has."""
    if isinstance(axis, Joined):
        return math.prod(axis.sizes)
    return axis.whole.sizes[axis.number] if isinstance(axis, Part) else size_of(axis)


def merged(labels: Sequence[Label], sizes: Sequence[int]) -> Label:
    """One axis from several, of which one at most may move; others are its blocks and repeats."""
    movables = [d for d, label in enumerate(labels) if movable(label)]
    if len(movables) != 1:
        for label in labels:
            freeze(label)
        return fixed(math.prod(sizes))
    d = movables[0]
    for label in (*labels[:d], *labels[d + 1 :]):
        freeze(label)
    inner = math.prod(sizes[d + 1 :])
    once = tuple(Piece(p.units, p.size * inner, p.block * inner) for p in resolve(labels[d]))
    return once * math.prod(sizes[:d])


def _repeated(label: Label, times: int) -> Label | None:
    """What an axis repeats so many times; None where it does not, or nothing of it moves."""
    count, rest = divmod(len(label), times)
    once = label[:count]
    if rest or not count or once * times != label or once[0].units is None:
        return None
    return once


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
