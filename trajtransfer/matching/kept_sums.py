"""Sums over pairs that are kept, each with what it was made for: how many pairs, and which
permutation.

Of a permutation only the entries of the axes matter that a sum depends on. Two sums are kept of
each thing: at the identity, where descents start, and at the latest permutation.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator
from typing import Generic, NamedTuple, TypeVar

import torch
from torch import Tensor

Entries = dict[int, Tensor]  # axis of a tensor -> the source entry of each of its entries
Thing = TypeVar("Thing", bound=Hashable)


class Sum(NamedTuple):
    """A sum over the first `pairs` pairs, made for a permutation with these `entries`."""

    value: Tensor
    entries: Entries
    pairs: int


class Move(NamedTuple):
    """The move of some entries of one axis, with the entries of all axes `before` and `after`."""

    axis: int
    where: Tensor
    before: Entries
    after: Entries


class KeptSums(Generic[Thing]):
    """Sums of several things."""

    def __init__(self) -> None:
        self._sums: dict[Thing, dict[bool, Sum]] = {}  # thing -> at the identity? -> its sum

    def nearest(self, thing: Thing, entries: Entries, most: float) -> Sum | None:
        """The sum of a thing with the fewest moved entries, if these are at most a share `most`."""
        nearest = None
        least = math.inf
        for kept in self._sums.get(thing, {}).values():
            share = _share_moved(kept.entries, entries)
            if share < least:
                nearest = kept
                least = share
        return nearest if least <= most else None

    def keep(self, thing: Thing, total: Sum) -> None:
        """Keep a sum in place of an earlier one."""
        kept = self._sums.setdefault(thing, {})
        kept[_at_home(total.entries)] = total

    def forget(self, thing: Thing, entries: Entries) -> None:
        """Give up the sum that `keep` would replace."""
        self._sums.get(thing, {}).pop(_at_home(entries), None)


def moves(before: Entries, after: Entries) -> Iterator[Move]:
    """From some entries to others, one axis at a time."""
    for axis in after:
        where = (before[axis] != after[axis]).nonzero().flatten()
        if len(where):
            reached = {**before, axis: after[axis]}
            yield Move(axis, where, before, reached)
            before = reached


def _share_moved(before: Entries, after: Entries) -> float:
    """The share of the entries that moved, summed over axes."""
    return sum(len(move.where) / max(1, len(after[move.axis])) for move in moves(before, after))


def _at_home(entries: Entries) -> bool:
    return all(torch.equal(own, torch.arange(len(own))) for own in entries.values())
