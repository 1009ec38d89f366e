"""Pairs of vectors to be matched: a list that grows, is checked, and kept where there is room."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trajtransfer.matching.gain_cache import Arithmetic, GainCache
from trajtransfer.matching.gains import VectorPair
from trajtransfer.params import Params
from trajtransfer.permutation import Permutation
from trajtransfer.specification import PermutationSpec

#: How vectors can be kept, and what `Params.to` is given for it.
CACHES: dict[str, dict[str, object]] = {
    "device": {},
    "host": {"device": "cpu"},
    "half": {"dtype": torch.bfloat16},
}


class Pairs(Sequence[VectorPair]):
    """A growing list of pairs (target side, source side) for `match`; buffers are dropped.

    `cache` says how the vectors are kept: ``"device"`` as they come, ``"host"`` in main memory, or
    ``"half"`` as bfloat16, which is then what is matched. Products are computed on the device and
    in the type of the first vector. `bound` is ``sum_t ||y_t|| ||x_t||``; `prices` are those of the
    latest assignment of each group, and `operations` counts the floating-point operations of all
    products so far. Raises ``ValueError`` for an unknown `cache`, for tensors that do not fit
    `spec` or each other, and for vectors that are not finite.
    """

    def __init__(
        self, spec: PermutationSpec, pairs: Iterable[VectorPair] = (), *, cache: str = "device"
    ) -> None:
        if cache not in CACHES:
            raise ValueError(f"unknown cache {cache!r}; known: {', '.join(CACHES)}")
        self.spec = spec
        self.bound = 0.0
        self.prices: dict[str, NDArray[np.float64] | None] = {}
        self._kept_as = cache
        self._pairs: list[VectorPair] = []
        self._sums = self._no_sums(torch.zeros(()))
        for pair in pairs:
            self.append(pair)

    def _no_sums(self, example: Tensor) -> GainCache:
        """Nothing computed yet; products will be where the example is, in float32 at least."""
        precise = torch.promote_types(example.dtype, torch.float32)
        arithmetic = Arithmetic(example.device, precise, self._kept_as == "half")
        return GainCache(self.spec, self._pairs, arithmetic)

    @property
    def operations(self) -> int:
        """The floating-point operations of all products so far."""
        return self._sums.operations

    @overload
    def __getitem__(self, index: int) -> VectorPair: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[VectorPair]: ...
    def __getitem__(self, index: int | slice) -> VectorPair | Sequence[VectorPair]:
        return self._pairs[index]

    def __len__(self) -> int:
        return len(self._pairs)

    def append(self, pair: VectorPair) -> None:
        """Add one pair."""
        _require_two(pair)
        y = self._fitting(pair[0])
        x = self._fitting(pair[1])
        if not self._pairs:
            self._sums = self._no_sums(next(iter(y.values()), torch.zeros(())))
        y = self._kept(y)
        x = self._kept(x)
        self._require_same_tensors(y, x)
        size = y.norm() * x.norm()
        if not math.isfinite(size):
            raise ValueError(_why_not_finite(len(self._pairs) + 1, y, x))
        self.bound += size
        self._pairs.append((y, x))

    def objective(self, pi: Permutation) -> float:
        """``sum_t <y_t, pi(x_t)>`` in float64."""
        return self._sums.objective(pi)

    def gains(self, units: str, pi: Permutation) -> Tensor:
        """The gains (n, n) of a group of units while all others stay as in `pi`.

        Entry (i, j) is what the objective receives when unit i of the target side meets unit j of
        the source side. To be read before the next call, which may change them. Raises
        ``ValueError`` where products overflow.
        """
        gains = self._sums.gains(units, pi)
        dtype = self._sums.arithmetic.dtype
        # Gains are at most the bound, so most are known to be finite without a look at them.
        if self.bound > torch.finfo(dtype).max and not gains.isfinite().all():
            names = ", ".join(repr(name) for name, _ in self.spec.places[units])
            raise ValueError(
                f"the products of the vectors overflow {dtype} in the gains of units {units!r} "
                f"(from {names}); scale the loss down, or use float64"
            )
        return gains

    def _fitting(self, vector: Params) -> Params:
        """A vector without its buffers, if it fits the specification."""
        tensors = {n: x.detach() for n, x in vector.items() if n not in self.spec.buffers}
        fitting = Params(tensors)
        self.spec.check(fitting)
        return fitting

    def _kept(self, vector: Params) -> Params:
        """A vector as it is kept."""
        changes = CACHES[self._kept_as]
        return vector.to(**changes) if changes else vector

    def _require_same_tensors(self, y: Params, x: Params) -> None:
        """Raise unless both sides hold the tensors that the first pair holds."""
        differing = y.keys() ^ x.keys()
        if self._pairs and not differing:
            differing = y.keys() ^ self._pairs[0][0].keys()
        if differing:
            raise ValueError(
                f"the vectors to be matched hold different tensors: {sorted(differing)}; "
                "give all sides the same ones"
            )


def _require_two(pair: Any) -> None:
    """Raise unless this is a pair of vectors."""
    two = isinstance(pair, tuple | list) and len(pair) == 2
    if not two or not all(isinstance(vector, Mapping) for vector in pair):
        raise TypeError("a pair holds two Params, (target side, source side); pass a tuple of both")


def _why_not_finite(number: int, y: Params, x: Params) -> str:
    """Which side of a pair is not finite, or that its size is not."""
    for side, vector in (("target", y), ("source", x)):
        for name, entries in vector.items():
            if not entries.isfinite().all():
                return (
                    f"{name!r} holds NaN or infinite entries on the {side} side of pair {number}; "
                    "check that the run it comes from did not diverge"
                )
    return f"the product of the norms of pair {number} overflows float64; scale the vectors down"
