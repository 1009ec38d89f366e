"""Pairs of vectors to be matched, with their gains summed over pairs and kept instead of computed again.

The gains of a group of units form a matrix: entry (i, j) is what ``sum_t <y_t, pi(x_t)>`` receives when unit i of the
target side meets unit j of the source side. Each place (tensor, axis) of the group contributes products of rows,
which depend on the permutations of the tensor's other axes only. So a contribution is kept with the entries of
those axes that it was made for: at the identity, where descents start, and at the latest permutation. It is brought
up to date by

- the products over the entries that moved since, if they are not too many, and
- the products of the pairs that were added since.

The objective is summed in float64 from the vectors, tensor by tensor, and again only for tensors that moved.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trajtransfer.params import Params, inner, slice_size
from trajtransfer.permutation import Permutation, PermutationSpec

Pair = tuple[Params, Params]
Place = tuple[str, int]  # a tensor and one of its axes
Entries = dict[int, Tensor]  # axis -> the source entry of each of its entries
Index = Tensor | slice
Picked = dict[int, Index]
Key = tuple[str, tuple[Place, ...]]  # a group of units and places, or a tensor and no places
CACHES: dict[str, dict[str, object]] = {"device": {}, "host": {"device": "cpu"}, "half": {"dtype": torch.bfloat16}}
MANY = 0.85  # the share of moved entries, summed over axes, up to which gains are mended rather than computed anew


class _Sum(NamedTuple):
    """A sum over the first `pairs` pairs, made for a permutation with these `entries`."""

    value: Tensor
    entries: Entries
    pairs: int


class _Pick(NamedTuple):
    """Which entries to take of the target and the source side, and of the source side to subtract."""

    target: Picked
    source: Picked
    before: Picked | None = None


class Pairs(Sequence[Pair]):
    """A growing list of pairs (target side, source side) for `match`; buffers are dropped.

    `cache` says how the vectors are kept: ``"device"`` as they come, ``"host"`` in main memory, or ``"half"`` as
    bfloat16, which is then what is matched. Products are computed on the device and in the type of the first
    vector. `bound` is ``sum_t ||y_t|| ||x_t||``; `prices` are those of the latest assignment of each group,
    and `operations` counts the floating-point operations of all products so far. Raises
    ``ValueError`` for an unknown `cache`, for tensors that do not fit `spec` or each other, and for vectors that
    are not finite.
    """

    def __init__(self, spec: PermutationSpec, pairs: Iterable[Pair] = (), *, cache: str = "device"):
        if cache not in CACHES:
            raise ValueError(f"unknown cache {cache!r}; known: {', '.join(CACHES)}")
        self.spec, self.bound, self._cache = spec, 0.0, cache
        self.operations = 0
        self.prices: dict[str, NDArray[np.float64] | None] = {}
        self._pairs: list[Pair] = []
        self._sums: dict[Key, dict[bool, _Sum]] = {}  # what -> at the identity? -> its sum
        for pair in pairs:
            self.append(pair)

    @overload
    def __getitem__(self, index: int) -> Pair: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Pair]: ...
    def __getitem__(self, index: int | slice) -> Pair | Sequence[Pair]:
        return self._pairs[index]

    def __len__(self) -> int:
        return len(self._pairs)

    def append(self, pair: Pair) -> None:
        """Add one pair."""
        if not isinstance(pair, tuple | list) or len(pair) != 2 or not all(isinstance(v, Mapping) for v in pair):
            raise TypeError("a pair holds two Params, (target side, source side); pass a tuple of both")
        parts = [Params({n: x.detach() for n, x in vector.items() if n not in self.spec.buffers}) for vector in pair]
        for part in parts:
            self.spec.check(part)
        if not self._pairs:
            first = next(iter(parts[0].values()), torch.zeros(()))
            self._device, self._dtype = first.device, torch.promote_types(first.dtype, torch.float32)
        y, x = (part.to(**CACHES[self._cache]) if CACHES[self._cache] else part for part in parts)
        if not y.keys() == x.keys() == (self._pairs or [(y, x)])[0][0].keys():
            names = sorted((y.keys() ^ x.keys()) or (y.keys() ^ self._pairs[0][0].keys()))
            raise ValueError(f"the vectors to be matched hold different tensors: {names}; give all sides the same ones")
        size = y.norm() * x.norm()
        if not math.isfinite(size):
            raise ValueError(_why_not_finite(len(self._pairs) + 1, y, x))
        self.bound += size
        self._pairs.append((y, x))

    def objective(self, pi: Permutation) -> float:
        """``sum_t <y_t, pi(x_t)>`` in float64."""
        return sum(float(self._value(name, pi.entries(name))) for name in self._pairs[0][0])

    def gains(self, units: str, pi: Permutation) -> Tensor:
        """The gains (n, n) of a group of units while all others stay as in `pi`; to be read before the next call."""
        alone: list[Place] = []
        parts: list[Tensor] = []
        for name, axis in self.spec.places[units]:
            beside = {other: entries for other, entries in pi.entries(name).items() if other != axis}
            if name in self._pairs[0][0] and beside:
                parts.append(self._contribution(units, [(name, axis)], beside))
            elif name in self._pairs[0][0]:
                alone.append((name, axis))
        if alone:
            parts.append(self._contribution(units, alone, {}))
        n = self.spec.sizes[units]
        if not parts:
            return torch.zeros(n, n, dtype=self._dtype, device=self._device)
        total = sum(parts[1:], start=parts[0])
        self._require_finite(units, total)
        return total

    def _require_finite(self, units: str, gains: Tensor) -> None:
        """Raise for gains that overflow; they are at most the bound, so most are known not to."""
        if self.bound > torch.finfo(self._dtype).max and not gains.isfinite().all():
            names = ", ".join(repr(name) for name, _ in self.spec.places[units])
            raise ValueError(
                f"the products of the vectors overflow {self._dtype} in the gains of units {units!r} "
                f"(from {names}); scale the loss down, or use float64"
            )

    def _value(self, name: str, entries: Entries) -> Tensor:
        """The part of one tensor in the objective."""
        what, first = (name, ()), self._pairs[0][0][name]
        total, _, count = self._nearest(what, entries, 0.0) or self._nothing((), torch.float64, entries)
        for pick in self._picks(first, 0 if first.ndim else None, entries):
            for y, x in self._pairs[count:]:
                total = total + inner(self._take(y[name], pick.target), self._take(x[name], pick.source))
        return self._keep(what, total, entries)

    def _contribution(self, units: str, places: list[Place], beside: Entries) -> Tensor:
        """The gains from one place with other groups beside it, or from all places that have none."""
        what, n = (units, tuple(places)), self.spec.sizes[units]
        total, before, count = self._nearest(what, beside, MANY) or self._nothing((n, n), self._dtype, beside)
        steps = list(_walk(before, beside))
        if steps:
            total = total.clone()
        else:
            self._sums.get(what, {}).pop(_at_home(beside), None)  # changed in place: an interrupt must not leave half a sum
        first = self._pairs[0][0][places[0][0]]
        for axis, where, old, new in steps:
            self._add(total, units, places, self._pairs[:count], self._picks(first, axis, new, where, old))
        with _exact_products_of_bfloat16(self._cache == "half"):
            self._add(total, units, places, self._pairs[count:], self._picks(first, min(beside, default=None), beside))
        return self._keep(what, total, beside)

    def _add(self, total: Tensor, units: str, places: list[Place], pairs: Sequence[Pair], picks: Sequence[_Pick]) -> None:
        """Products of the rows of units, picked along the other axes."""
        for y, x in pairs:
            for pick in picks:
                columns = self._rows(x, units, places, pick.source)
                if pick.before is not None:
                    columns = columns - self._rows(x, units, places, pick.before)
                rows = self._rows(y, units, places, pick.target)
                total.addmm_(rows, columns.T)
                self.operations += 2 * rows.numel() * len(columns)

    def _rows(self, vector: Params, units: str, places: list[Place], picked: Picked) -> Tensor:
        """The entries of each unit as rows (units, entries), those of all places side by side."""
        rows = []
        for name, axis in places:
            x, offset = self._take(vector[name], picked), 0
            for segment in self.spec.axes[name][axis]:
                if segment.units == units:
                    part = x.narrow(axis, offset, segment.size).movedim(axis, 0)
                    rows.append(part.reshape(segment.size // segment.block, -1))
                offset += segment.size
        return rows[0] if len(rows) == 1 else torch.cat(rows, 1)  # one product: each reads and writes the gains

    def _picks(
        self, like: Tensor, axis: int | None, entries: Entries, where: Tensor | None = None, before: Entries | None = None
    ) -> list[_Pick]:
        """Slices of an axis, or of the entries `where` of it, small enough for what is taken to stay in a processor's cache."""
        if axis is None:
            return [_Pick({}, {})]
        size = like.shape[axis]
        length = max(1, slice_size(self._device) * size // max(1, like.numel()))

        def at(part: Index, of: Entries) -> Picked:
            return {**of, axis: of[axis][part] if axis in of else part}

        if where is None:
            whole = (slice(start, min(start + length, size)) for start in range(0, size, length))
            return [_Pick({axis: part}, at(part, entries)) for part in whole]
        return [_Pick({axis: part}, at(part, entries), at(part, before) if before else None) for part in where.split(length)]

    def _take(self, x: Tensor, picked: Picked) -> Tensor:
        for axis, index in picked.items():
            if isinstance(index, slice):
                x = x.narrow(axis, index.start, index.stop - index.start)
            else:
                x = x.index_select(axis, index.to(x.device))
        return x.to(device=self._device, dtype=self._dtype)

    def _nearest(self, what: Key, entries: Entries, most: float) -> _Sum | None:
        """The kept sum with the fewest moved entries, if these are at most a share `most`."""
        shares = [(_share_moved(kept.entries, entries), kept) for kept in self._sums.get(what, {}).values()]
        share, kept = min(shares, key=lambda pair: pair[0], default=(math.inf, None))
        return kept if share <= most else None

    def _nothing(self, shape: tuple[int, ...], dtype: torch.dtype, entries: Entries) -> _Sum:
        return _Sum(torch.zeros(shape, dtype=dtype, device=self._device), entries, 0)

    def _keep(self, what: Key, value: Tensor, entries: Entries) -> Tensor:
        self._sums.setdefault(what, {})[_at_home(entries)] = _Sum(value, entries, len(self._pairs))
        return value


def _why_not_finite(number: int, y: Params, x: Params) -> str:
    for side, vector in (("target", y), ("source", x)):
        for name, entries in vector.items():
            if not entries.isfinite().all():
                return (
                    f"{name!r} holds NaN or infinite entries on the {side} side of pair {number}; "
                    "check that the run it comes from did not diverge"
                )
    return f"the product of the norms of pair {number} overflows float64; scale the vectors down"


@contextmanager
def _exact_products_of_bfloat16(wanted: bool) -> Iterator[None]:
    """Let products of float32 numbers use what is faster and still exact for numbers that came from bfloat16."""
    if not wanted:
        yield
        return
    precision = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        yield
    finally:
        torch.set_float32_matmul_precision(precision)


def _at_home(entries: Entries) -> bool:
    return all(torch.equal(e, torch.arange(len(e))) for e in entries.values())


def _share_moved(before: Entries, after: Entries) -> float:
    return sum(len(where) / max(1, len(after[axis])) for axis, where, _, _ in _walk(before, after))


def _walk(before: Entries, after: Entries) -> Iterator[tuple[int, Tensor, Entries, Entries]]:
    """From some entries to others one axis at a time: the axis, where it moves, the entries before and after."""
    for axis in after:
        where = (before[axis] != after[axis]).nonzero().flatten()
        if len(where):
            old, before = before, {**before, axis: after[axis]}
            yield axis, where, old, before
