"""The group of hidden-unit permutations of a network, and its action on weights.

It is the product of the symmetric groups of all groups of units of a specification (section 2.2 of
the paper, equation 1).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from trajtransfer.params import Params
from trajtransfer.specification import Axis, AxisPart, PermutationSpec

__all__ = ["Axis", "AxisPart", "Permutation", "PermutationSpec"]


@dataclass(frozen=True)
class Permutation:
    """An element of the group (:eq:`permutation_symmetry-action`).

    Unit i of ``pi(x)`` is unit ``pi.indices[g][i]`` of ``x``; ``(pi @ rho)(x) == pi(rho(x))``, and
    ``pi.inverse()`` undoes ``pi``. Acts on `Params` holding any subset of the tensors of its
    specification, parameters and buffers alike; an unknown name raises ``ValueError``. `indices`
    are kept as int64 on the CPU; unless they are a permutation of 0..n-1 for each group of units,
    and nothing else, ``ValueError`` names the group. It also names small units that do not move
    with the large ones that they are inside of.
    """

    spec: PermutationSpec
    indices: Mapping[str, Tensor]

    def __post_init__(self) -> None:
        if not isinstance(self.indices, Mapping):
            kind = type(self.indices).__name__
            raise TypeError(
                f"indices is a {kind}; pass a mapping from each group of units to its indices"
            )
        for units in sorted(self.indices.keys() - self.spec.sizes.keys()):
            _require_known(units, self.spec)
        for units in self.spec.sizes:
            if units not in self.indices:
                raise ValueError(
                    f"the indices of units {units!r} are missing; give torch.arange(n) to move none"
                )
        sizes = self.spec.sizes
        checked = {units: _checked(units, x, sizes[units]) for units, x in self.indices.items()}
        for small, large in self.spec.inside.items():
            _require_together(small, checked[small], large, checked[large])
        object.__setattr__(self, "indices", checked)

    @classmethod
    def _valid(cls, spec: PermutationSpec, indices: Mapping[str, Tensor]) -> Permutation:
        """A permutation of indices that are known to be valid.

        Descents make many, and checks take time.
        """
        new = object.__new__(cls)
        object.__setattr__(new, "spec", spec)
        object.__setattr__(new, "indices", indices)
        return new

    @classmethod
    def identity(cls, spec: PermutationSpec) -> Permutation:
        """The permutation that moves nothing."""
        return cls._valid(spec, {units: torch.arange(size) for units, size in spec.sizes.items()})

    @classmethod
    def random(cls, spec: PermutationSpec, generator: torch.Generator) -> Permutation:
        """A uniformly drawn element; `generator` is a CPU generator."""
        drawn = {}
        for units, size in spec.sizes.items():
            drawn[units] = torch.randperm(size, generator=generator)
        for small, large in spec.inside.items():
            held = drawn[small].reshape(spec.sizes[large], -1).argsort(dim=1)
            drawn[small] = moved_with(drawn[large], held)
        return cls._valid(spec, drawn)

    def replace(self, units: str, indices: Tensor) -> Permutation:
        """This permutation with other `indices` (n,) for one group of n units.

        Large units take those inside of them along in the order that these have there. Raises as
        `replace_family`.
        """
        _require_known(units, self.spec)
        factors = {units: _checked(units, indices, self.spec.sizes[units])}
        for small, large in self.spec.inside.items():
            if large == units:
                held = self.indices[small].reshape(len(indices), -1)
                factors[small] = moved_with(factors[units], held % held.shape[1])
        return self._with(factors)

    def replace_family(self, factors: Mapping[str, Tensor]) -> Permutation:
        """This permutation with other indices (n,) for some groups, such as one and those inside.

        Raises ``ValueError`` as a new `Permutation`: for an unknown group, for indices that are no
        permutation of its units, and for small units that do not move with their large ones.
        """
        for units in factors:
            _require_known(units, self.spec)
        sizes = self.spec.sizes
        return self._with({units: _checked(units, x, sizes[units]) for units, x in factors.items()})

    def _with(self, factors: Mapping[str, Tensor]) -> Permutation:
        """This permutation with other indices, each known to be valid, if they move together."""
        new = {**self.indices, **factors}
        for small, large in self.spec.inside.items():
            if small in factors or large in factors:
                _require_together(small, new[small], large, new[large])
        return self._valid(self.spec, new)

    def __call__(self, params: Params) -> Params:
        self.spec.check(params)
        return Params({name: self.act(name, x) for name, x in params.items()})

    def act(self, name: str, x: Tensor) -> Tensor:
        """Equation 1 on one tensor: gather the entries of each axis."""
        for number, entries in self.entries(name).items():
            x = x.index_select(number, entries.to(x.device))
        return x

    def entries(self, name: str) -> dict[int, Tensor]:
        """Axis -> index of the source entry of each of its entries, for the axes with units."""
        if name not in self.spec.axes:
            raise ValueError(f"the specification does not know the tensor {name!r}")
        entries = {}
        for number, axis in enumerate(self.spec.axes[name]):
            if any(part.units is not None for part in axis):
                entries[number] = self._entries(axis)
        return entries

    def _entries(self, axis: Axis) -> Tensor:
        """Index of the source entry for every entry of an axis."""
        pieces = []
        offset = 0
        for units, size, block in axis:
            entries = torch.arange(size)
            if units is not None:
                first = self.indices[units][:, None] * block
                entries = (first + torch.arange(block)).flatten()
            pieces.append(entries + offset)
            offset += size
        return torch.cat(pieces)

    def __matmul__(self, other: Permutation) -> Permutation:
        if not isinstance(other, Permutation):
            kind = type(other).__name__
            raise TypeError(
                f"a permutation does not compose with {kind}; apply it to Params as pi(params)"
            )
        if self.spec is not other.spec and self.spec != other.spec:
            raise ValueError("permutations of different specifications do not compose")
        both = {units: other.indices[units][index] for units, index in self.indices.items()}
        return self._valid(self.spec, both)

    def inverse(self) -> Permutation:
        """The permutation with ``pi.inverse() @ pi`` the identity."""
        undone = {units: torch.argsort(index) for units, index in self.indices.items()}
        return self._valid(self.spec, undone)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Permutation) or self.spec != other.spec:
            return False
        return all(
            torch.equal(index, other.indices[units]) for units, index in self.indices.items()
        )

    __hash__ = None  # type: ignore[assignment]


def moved_with(large: Tensor, held: Tensor) -> Tensor:
    """Indices (n * d) of small units: as `large` (n) moves, and inside as `held` (n, d) says."""
    return (large[:, None] * held.shape[1] + held).flatten()


def _require_together(small: str, indices: Tensor, large: str, index: Tensor) -> None:
    """Raise unless small units move with the large ones that hold them."""
    held = indices.reshape(len(index), -1)
    if not torch.equal(held // held.shape[1], index[:, None].expand_as(held)):
        raise ValueError(
            f"units {small!r} lie inside units {large!r} and do not move with them; "
            "move both, with `replace_family`"
        )


def _require_known(units: str, spec: PermutationSpec) -> None:
    if units not in spec.sizes:
        groups = ", ".join(spec.sizes)
        raise ValueError(f"the specification has no units {units!r}; its groups are {groups}")


def _checked(units: str, indices: Tensor, size: int) -> Tensor:
    """`indices` as int64 on the CPU, if each of 0..size-1 is there once.

    Counting takes a tenth of the time of sorting; it needs a look at the least and the largest
    index before.
    """
    what = f"the indices of units {units!r}"
    if not isinstance(indices, Tensor):
        raise TypeError(f"{what} are a {type(indices).__name__}; pass an int64 tensor")
    dtype = indices.dtype
    if dtype.is_floating_point or dtype.is_complex or dtype == torch.bool:
        raise ValueError(f"{what} are of {dtype}; pass an int64 tensor")
    if tuple(indices.shape) != (size,):
        raise ValueError(
            f"{what} have shape {tuple(indices.shape)}, the specification says ({size},); "
            "pass one index per unit",
        )
    own = indices.to("cpu", torch.int64, copy=True)  # what the caller does with his changes nothing
    low, high = (int(end) for end in own.aminmax())
    if low < 0 or high >= size:
        wrong = low if low < 0 else high
        raise ValueError(f"units {units!r} have no index {wrong}; use each of 0..{size - 1} once")
    counts = torch.bincount(own, minlength=size)
    if int(counts.max()) > 1:
        twice = int(counts.argmax())
        raise ValueError(f"units {units!r} repeat index {twice}; use each of 0..{size - 1} once")
    return own
