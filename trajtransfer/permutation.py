"""The group of hidden-unit permutations of a network, its specification and its action on weights.

A *group of units* is a set of hidden units that have to move together, e.g. all channels of a residual
stream. A specification says, for every axis of every tensor, which units its entries belong to; the group
is the product of the symmetric groups of all groups of units (section 2.2 of the paper, equation 1).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral
from typing import NamedTuple

import torch
from torch import Tensor

from trajtransfer.params import Params


class AxisPart(NamedTuple):
    """`size` consecutive entries of a tensor axis; `block` neighbouring entries belong to one unit.

    `units` names the group of units, or is None for entries that no permutation moves. A part holds
    ``size // block`` units. A block above one arises from flattening a feature map (block = height x width).
    """

    units: str | None
    size: int
    block: int = 1


Axis = tuple[AxisPart, ...]


@dataclass(frozen=True)
class PermutationSpec:
    """Which units the entries of each tensor axis belong to.

    `sizes` maps a group of units to the number of its units; `axes` maps each parameter or buffer to one
    `Axis` per tensor axis; `buffers` names the entries of `axes` that are buffers: they are moved by a
    permutation and ignored by the matching. Raises ``ValueError`` for a size that is no positive whole
    number, a name that is empty, a buffer without axes, a part that disagrees with the size of its
    group, or a group that stands on two axes of one tensor: matching would then be a quadratic assignment
    problem.
    """

    sizes: Mapping[str, int]
    axes: Mapping[str, tuple[Axis, ...]]
    buffers: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self._check_names()
        for name, axes in self.axes.items():
            seen: dict[str, int] = {}
            for number, axis in enumerate(axes):
                for part in axis:
                    if part.units is not None:
                        self._check(name, number, part)
                        if seen.setdefault(part.units, number) != number:
                            raise ValueError(
                                f"units {part.units!r} stand on axes {seen[part.units]} and {number} of {name!r}: "
                                "matching them is a quadratic assignment, which is not supported; "
                                "leave these units out of the specification"
                            )

    def _check_names(self) -> None:
        """Groups and tensors have names, groups have sizes, and buffers are among the tensors."""
        for what, names in (("a group of units", self.sizes), ("a tensor", self.axes)):
            for name in names:
                if not isinstance(name, str) or not name:
                    raise ValueError(f"{name!r} is no name for {what}; give it one that is not empty")
        for units, size in self.sizes.items():
            if not _whole(size) or size < 1:
                raise ValueError(
                    f"the group of units {units!r} has size {size!r}; give the number of its units, 1 or more",
                )
        for name in sorted(self.buffers - self.axes.keys()):
            raise ValueError(f"the buffer {name!r} has no axes; list them, or leave the buffer out")

    def _check(self, name: str, number: int, part: AxisPart) -> None:
        if not (_whole(part.size) and _whole(part.block)) or part.block < 1:
            raise ValueError(
                f"axis {number} of {name!r} has {part.size!r} entries in blocks of {part.block!r}; "
                "give whole numbers, and blocks of 1 or more",
            )
        size = self.sizes.get(part.units or "")
        if size is None:
            raise ValueError(
                f"axis {number} of {name!r} names units {part.units!r}, which have no size; "
                "add them to `sizes`, or write None for entries that do not move",
            )
        if size * part.block != part.size:
            raise ValueError(
                f"axis {number} of {name!r}: {part.size} entries in blocks of {part.block} are not the "
                f"{size} units of {part.units!r}"
            )

    @cached_property
    def places(self) -> Mapping[str, tuple[tuple[str, int], ...]]:
        """Group of units -> the (tensor, axis) places where it acts."""
        return {
            units: tuple(
                (name, number)
                for name, axes in self.axes.items()
                for number, axis in enumerate(axes)
                if any(part.units == units for part in axis)
            )
            for units in self.sizes
        }

    @cached_property
    def neighbours(self) -> Mapping[str, frozenset[str]]:
        """Group of units -> the groups on other axes of its tensors, whose best permutations depend on its own."""
        beside: dict[str, set[str]] = {units: set() for units in self.sizes}
        for name, axes in self.axes.items():
            standing = [{s.units for s in axis if s.units is not None} for axis in axes] if name not in self.buffers else []
            for number, units in ((number, u) for number, group in enumerate(standing) for u in group):
                beside[units].update(*(other for k, other in enumerate(standing) if k != number))
        return {units: frozenset(others) for units, others in beside.items()}

    def check(self, params: Params) -> None:
        """Raise ``ValueError`` unless every tensor of `params` is known and has the specified shape."""
        for name, x in params.items():
            if name not in self.axes:
                raise ValueError(f"the specification does not know the tensor {name!r}")
            shape = tuple(sum(part.size for part in axis) for axis in self.axes[name])
            if shape != tuple(x.shape):
                raise ValueError(f"{name!r} has shape {tuple(x.shape)}, the specification says {shape}")


@dataclass(frozen=True)
class Permutation:
    """An element of the group (:eq:`permutation_symmetry-action`): unit i of ``pi(x)`` is unit ``pi.indices[g][i]`` of ``x``.

    ``(pi @ rho)(x) == pi(rho(x))``, and ``pi.inverse()`` undoes ``pi``. Acts on `Params` holding any subset
    of the tensors of its specification, parameters and buffers alike; an unknown name raises ``ValueError``.
    `indices` are kept as int64 on the CPU; unless they are a permutation of 0..n-1 for each group of units,
    and nothing else, ``ValueError`` names the group.
    """

    spec: PermutationSpec
    indices: Mapping[str, Tensor]

    def __post_init__(self) -> None:
        if not isinstance(self.indices, Mapping):
            kind = type(self.indices).__name__
            raise TypeError(f"indices is a {kind}; pass a mapping from each group of units to its indices")
        for units in sorted(self.indices.keys() - self.spec.sizes.keys()):
            raise ValueError(
                f"the specification has no units {units!r}; its groups are {', '.join(self.spec.sizes)}",
            )
        for units in self.spec.sizes:
            if units not in self.indices:
                raise ValueError(f"the indices of units {units!r} are missing; give torch.arange(n) to move none")
        checked = {units: _checked(units, x, self.spec.sizes[units]) for units, x in self.indices.items()}
        object.__setattr__(self, "indices", checked)

    @classmethod
    def _valid(cls, spec: PermutationSpec, indices: Mapping[str, Tensor]) -> Permutation:
        """A permutation of indices that are known to be valid: descents make many, and checks take time."""
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
        drawn = {units: torch.randperm(size, generator=generator) for units, size in spec.sizes.items()}
        return cls._valid(spec, drawn)

    def replace(self, units: str, indices: Tensor) -> Permutation:
        """This permutation with another factor for one group of units."""
        if units not in self.spec.sizes:
            raise ValueError(
                f"the specification has no units {units!r}; its groups are {', '.join(self.spec.sizes)}",
            )
        factor = _checked(units, indices, self.spec.sizes[units])
        return self._valid(self.spec, {**self.indices, units: factor})

    def __call__(self, params: Params) -> Params:
        self.spec.check(params)
        return Params({name: self.act(name, x) for name, x in params.items()})

    def act(self, name: str, x: Tensor) -> Tensor:
        """Equation 1 on one tensor: gather the entries of each axis."""
        for number, entries in self.entries(name).items():
            x = x.index_select(number, entries.to(x.device))
        return x

    def entries(self, name: str) -> dict[int, Tensor]:
        """Axis -> index of the source entry of each of its entries, for the axes of a tensor where units stand."""
        if name not in self.spec.axes:
            raise ValueError(f"the specification does not know the tensor {name!r}")
        axes = enumerate(self.spec.axes[name])
        return {number: self._entries(axis) for number, axis in axes if any(part.units is not None for part in axis)}

    def _entries(self, axis: Axis) -> Tensor:
        """Index of the source entry for every entry of an axis."""
        pieces, offset = [], 0
        for units, size, block in axis:
            if units is None:
                entries = torch.arange(size)
            else:
                entries = (self.indices[units][:, None] * block + torch.arange(block)).flatten()
            pieces.append(entries + offset)
            offset += size
        return torch.cat(pieces)

    def __matmul__(self, other: Permutation) -> Permutation:
        if not isinstance(other, Permutation):
            raise TypeError(
                f"a permutation does not compose with {type(other).__name__}; apply it to Params as pi(params)",
            )
        if self.spec is not other.spec and self.spec != other.spec:
            raise ValueError("permutations of different specifications do not compose")
        both = {units: other.indices[units][index] for units, index in self.indices.items()}
        return self._valid(self.spec, both)

    def inverse(self) -> Permutation:
        """The permutation with ``pi.inverse() @ pi`` the identity."""
        return self._valid(self.spec, {units: torch.argsort(x) for units, x in self.indices.items()})

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Permutation)
            and self.spec == other.spec
            and all(torch.equal(index, other.indices[units]) for units, index in self.indices.items())
        )

    __hash__ = None  # type: ignore[assignment]


def _whole(number: object) -> bool:
    return isinstance(number, Integral) and not isinstance(number, bool)


def _checked(units: str, indices: Tensor, size: int) -> Tensor:
    """`indices` as int64 on the CPU, if each of 0..size-1 is there once.

    Counting takes a tenth of the time of sorting; it needs a look at the least and the largest index before.
    """
    if not isinstance(indices, Tensor):
        raise TypeError(f"the indices of units {units!r} are a {type(indices).__name__}; pass an int64 tensor")
    if indices.is_floating_point() or indices.is_complex() or indices.dtype == torch.bool:
        raise ValueError(f"the indices of units {units!r} are of {indices.dtype}; pass an int64 tensor")
    if tuple(indices.shape) != (size,):
        raise ValueError(
            f"the indices of units {units!r} have shape {tuple(indices.shape)}, "
            f"the specification says ({size},); pass one index per unit",
        )
    indices = indices.to("cpu", torch.int64, copy=True)  # what the caller does with his own changes nothing here
    low, high = indices.aminmax()
    if int(low) < 0 or int(high) >= size:
        wrong = int(low) if int(low) < 0 else int(high)
        raise ValueError(f"units {units!r} have no index {wrong}; use each of 0..{size - 1} once")
    counts = torch.bincount(indices, minlength=size)
    if int(counts.max()) > 1:
        raise ValueError(f"units {units!r} repeat index {int(counts.argmax())}; use each of 0..{size - 1} once")
    return indices
