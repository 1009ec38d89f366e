"""The objective and the gains of `gains`, fast: summed once and kept, then brought up to date.

Each place (tensor, axis) of a group of units adds products of rows to its gains. They depend on the
permutations of the tensor's other axes only, so they are kept with the entries of these axes that
they were made for (`kept_sums`), and brought up to date by

- the products over the entries that moved since, if they are not too many, and
- the products of the pairs that were added since.

The objective is summed in float64 from the vectors, tensor by tensor, and again only for tensors
that moved.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor

from trajtransfer.matching.cuts import Cut, Index, changed, everything, take
from trajtransfer.matching.gains import VectorPair, side_by_side, unit_rows
from trajtransfer.matching.kept_sums import Entries, KeptSums, Sum, moves
from trajtransfer.params import Params, inner, slice_size
from trajtransfer.permutation import Permutation
from trajtransfer.specification import PermutationSpec

MANY = 0.85  # share of moved entries, summed over axes, up to which gains are mended, not made anew
Place = tuple[str, int]  # a tensor and one of its axes


class Arithmetic(NamedTuple):
    """Where and in which type products are computed, and whether the numbers come from bfloat16."""

    device: torch.device
    dtype: torch.dtype
    from_bfloat16: bool


class Site(NamedTuple):
    """Places of a group of units of which one sum is kept."""

    units: str
    places: tuple[Place, ...]


class GainCache:
    """The objective and the gains of a list of pairs, kept from call to call.

    `pairs` may grow between calls and must not change otherwise. `operations` counts the
    floating-point operations of all products so far that gave gains.
    """

    def __init__(
        self, spec: PermutationSpec, pairs: Sequence[VectorPair], arithmetic: Arithmetic
    ) -> None:
        self.spec = spec
        self.pairs = pairs
        self.arithmetic = arithmetic
        self.operations = 0
        self._objectives: KeptSums[str] = KeptSums()
        self._gains: KeptSums[Site] = KeptSums()
        self._slice = slice_size(arithmetic.device)

    def objective(self, pi: Permutation) -> float:
        """``sum_t <y_t, pi(x_t)>`` in float64."""
        return sum(float(self._share(name, pi.entries(name))) for name in self.pairs[0][0])

    def gains(self, units: str, pi: Permutation) -> Tensor:
        """The gains (n, n) of a group of units; to be read before the next call."""
        sites = self._sites(units, pi)
        if not sites:
            return self._nothing(units, {}).value
        first, *others = [self._contribution(site, beside) for site, beside in sites]
        return sum(others, start=first)

    def _share(self, name: str, entries: Entries) -> Tensor:
        """What one tensor adds to the objective."""
        total = torch.zeros((), dtype=torch.float64, device=self.arithmetic.device)
        count = 0
        kept = self._objectives.nearest(name, entries, 0.0)
        if kept is not None:
            total = kept.value
            count = kept.pairs
        like = self.pairs[0][0][name]
        axis = 0 if like.ndim else None
        for cut in everything(like, axis, entries, self._slice):
            for y, x in self.pairs[count:]:
                target = self._taken(y[name], cut.target)
                source = self._taken(x[name], cut.source)
                total = total + inner(target, source)
        self._objectives.keep(name, Sum(total, entries, len(self.pairs)))
        return total

    def _sites(self, units: str, pi: Permutation) -> list[tuple[Site, Entries]]:
        """Where the units stand, with the entries of the other axes of the tensor.

        Each place with other groups beside it is a site of its own; all those without are one.
        """
        sites = []
        alone = []
        for name, axis in self.spec.places[units]:
            if name not in self.pairs[0][0]:
                continue
            beside = pi.entries(name)
            del beside[axis]
            if beside:
                sites.append((Site(units, ((name, axis),)), beside))
            else:
                alone.append((name, axis))
        if alone:
            sites.append((Site(units, tuple(alone)), {}))
        return sites

    def _contribution(self, site: Site, beside: Entries) -> Tensor:
        """The gains from one site: what is kept, mended where entries moved, and the new pairs."""
        kept = self._gains.nearest(site, beside, MANY) or self._nothing(site.units, beside)
        total = self._mended(site, kept, beside)
        self._add_pairs(total, site, kept.pairs, beside)
        self._gains.keep(site, Sum(total, beside, len(self.pairs)))
        return total

    def _nothing(self, units: str, entries: Entries) -> Sum:
        """The gains of no pairs."""
        size = self.spec.sizes[units]
        arithmetic = self.arithmetic
        zeros = torch.zeros(size, size, dtype=arithmetic.dtype, device=arithmetic.device)
        return Sum(zeros, entries, 0)

    def _mended(self, site: Site, kept: Sum, beside: Entries) -> Tensor:
        """A kept sum with other entries: a copy if any moved, else the sum itself."""
        path = list(moves(kept.entries, beside))
        if not path:  # it is to grow: an interrupt must not leave half of it
            self._gains.forget(site, beside)
            return kept.value
        total = kept.value.clone()
        for move in path:
            cuts = changed(self._like(site), move, self._slice)
            self._add_products(total, site, self.pairs[: kept.pairs], cuts)
        return total

    def _add_pairs(self, total: Tensor, site: Site, count: int, beside: Entries) -> None:
        """Add the products of all pairs after the first `count`."""
        cuts = everything(self._like(site), min(beside, default=None), beside, self._slice)
        with _exact_products_of_bfloat16(self.arithmetic.from_bfloat16):
            self._add_products(total, site, self.pairs[count:], cuts)

    def _add_products(
        self, total: Tensor, site: Site, pairs: Sequence[VectorPair], cuts: Sequence[Cut]
    ) -> None:
        """Add the products of the rows of the units, cut by cut."""
        for y, x in pairs:
            for cut in cuts:
                columns = self._rows(x, site, cut.source)
                if cut.stale is not None:
                    columns = columns - self._rows(x, site, cut.stale)
                rows = self._rows(y, site, cut.target)
                total.addmm_(rows, columns.T)
                self.operations += 2 * rows.numel() * len(columns)

    def _rows(self, vector: Params, site: Site, index: Index) -> Tensor:
        """The entries of each unit as rows (n, entries), those of all places of a site side by
        side.

        One product of all places is faster than many: each product reads and writes all gains.
        """
        rows = []
        for name, number in site.places:
            axis = self.spec.axes[name][number]
            rows.append(unit_rows(self._taken(vector[name], index), number, axis, site.units))
        return side_by_side(rows)

    def _taken(self, x: Tensor, index: Index) -> Tensor:
        """The entries at an index, where and in the type that products are computed."""
        return take(x, index).to(device=self.arithmetic.device, dtype=self.arithmetic.dtype)

    def _like(self, site: Site) -> Tensor:
        """A tensor of the shape of those at the first place of a site."""
        name, _ = site.places[0]
        return self.pairs[0][0][name]


@contextmanager
def _exact_products_of_bfloat16(wanted: bool) -> Iterator[None]:
    """Let float32 products use what is faster, and still exact for numbers from bfloat16."""
    if not wanted:
        yield
        return
    precision = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        yield
    finally:
        torch.set_float32_matmul_precision(precision)
