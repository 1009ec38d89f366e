"""Which entries of two tensors to multiply at a time: few enough for the cache of a processor."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from trajtransfer.matching.kept_sums import Entries, Move

Part = Tensor | slice  # some entries of an axis
Index = dict[int, Part]  # axis of a tensor -> which of its entries to take


class Cut(NamedTuple):
    """What to take of the target and the source side, and what of the source side to subtract."""

    target: Index
    source: Index
    stale: Index | None = None


def everything(like: Tensor, axis: int | None, entries: Entries, most: int) -> list[Cut]:
    """All entries of tensors of the shape of `like`, cut along one axis if one is given.

    The source entries are those of `entries`. A cut takes about `most` entries, at least one of the
    axis.
    """
    if axis is None:
        return [Cut({}, {})]
    size = like.shape[axis]
    length = _length(like, axis, most)
    cuts = []
    for start in range(0, size, length):
        part = slice(start, min(start + length, size))
        cuts.append(Cut({axis: part}, _at(entries, axis, part)))
    return cuts


def changed(like: Tensor, move: Move, most: int) -> list[Cut]:
    """The entries that moved only; what the source side was before the move is `stale`."""
    cuts = []
    for part in move.where.split(_length(like, move.axis, most)):
        source = _at(move.after, move.axis, part)
        stale = _at(move.before, move.axis, part)
        cuts.append(Cut({move.axis: part}, source, stale))
    return cuts


def take(x: Tensor, index: Index) -> Tensor:
    """The entries of a tensor at an index."""
    for axis, part in index.items():
        if isinstance(part, slice):
            x = x.narrow(axis, part.start, part.stop - part.start)
        else:
            x = x.index_select(axis, part.to(x.device))
    return x


def _length(like: Tensor, axis: int, most: int) -> int:
    """How much of an axis holds about `most` entries of the tensor."""
    return max(1, most * like.shape[axis] // max(1, like.numel()))


def _at(entries: Entries, axis: int, part: Part) -> Index:
    """The source entries of all axes, but of one axis only a part."""
    index: Index = dict(entries)
    index[axis] = entries[axis][part] if axis in entries else part
    return index
