"""Which hidden units of a network have to move together: the specification of its permutations.

A *group of units* is a set of hidden units that have to move together, e.g. all channels of a
residual stream. A specification says, for every axis of every tensor, which units its entries
belong to.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import permutations
from numbers import Integral
from typing import NamedTuple

from trajtransfer.params import Params


class AxisPart(NamedTuple):
    """`size` consecutive entries of a tensor axis; `block` neighbouring entries belong to one unit.

    `units` names the group of units, or is None for entries that no permutation moves. A part holds
    ``size // block`` units. A block above one arises from flattening a feature map (block = height
    x width).
    """

    units: str | None
    size: int
    block: int = 1


Axis = tuple[AxisPart, ...]


@dataclass(frozen=True)
class PermutationSpec:
    """Which units the entries of each tensor axis belong to.

    `sizes` maps a group of units to the number of its units; `axes` maps each parameter or buffer
    to one `Axis` per tensor axis; `buffers` names the entries of `axes` that are buffers: they are
    moved by a permutation and ignored by the matching; `pinned` says what was not understood when
    the specification was read off a model, so that nothing moves there. Raises ``ValueError`` for a
    size that is no positive whole number, a name that is empty, a buffer without axes, a part that
    disagrees with the size of its group.

    `inside` maps a group of small units to the group of larger ones that hold them, as heads of
    attention hold theirs: unit ``h * d + i`` is small unit i of large unit h. The small ones move
    with the large one, and inside of it freely. Raises ``ValueError`` unless each large unit holds
    as many small ones, and lies in no other.
    """

    sizes: Mapping[str, int]
    axes: Mapping[str, tuple[Axis, ...]]
    buffers: frozenset[str] = frozenset()
    pinned: tuple[str, ...] = ()
    inside: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _require_names("a group of units", self.sizes)
        _require_names("a tensor", self.axes)
        for units, size in self.sizes.items():
            if not _whole(size) or size < 1:
                raise ValueError(
                    f"the group of units {units!r} has size {size!r}; "
                    "give the number of its units, 1 or more"
                )
        for name in sorted(self.buffers - self.axes.keys()):
            raise ValueError(f"the buffer {name!r} has no axes; list them, or leave the buffer out")
        for name in self.axes:
            self._require_axes(name)
        for small, large in self.inside.items():
            self._require_inside(small, large)

    def _require_axes(self, name: str) -> None:
        """Raise unless the axes of a tensor fit the groups."""
        for number, axis in enumerate(self.axes[name]):
            for part in axis:
                if part.units is not None:
                    self._require_part(name, number, part)

    def _require_part(self, name: str, number: int, part: AxisPart) -> None:
        """Raise unless a part holds all units of its group."""
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
                f"axis {number} of {name!r}: {part.size} entries in blocks of {part.block} are not "
                f"the {size} units of {part.units!r}"
            )

    def _require_inside(self, small: str, large: str) -> None:
        """Raise unless the units of a group can lie inside those of another."""
        what = f"the units {small!r} inside the units {large!r}"
        if not {small, large} <= self.sizes.keys():
            raise ValueError(f"{what}: one of these has no size; add it to `sizes`")
        if large in self.inside:
            raise ValueError(f"{what}: these lie inside others again; give one level")
        if self.sizes[small] % self.sizes[large]:
            sizes = f"{self.sizes[small]} units inside {self.sizes[large]}"
            raise ValueError(f"{what}: {sizes}; each has to hold as many")

    @cached_property
    def families(self) -> tuple[tuple[str, ...], ...]:
        """The groups that have to be matched together: a group, and those `inside` of it."""
        return tuple(
            (units, *(small for small, large in self.inside.items() if large == units))
            for units in self.sizes
            if units not in self.inside
        )

    @cached_property
    def places(self) -> Mapping[str, tuple[tuple[str, int], ...]]:
        """Group of units -> the (tensor, axis) places where it acts."""
        places: dict[str, tuple[tuple[str, int], ...]] = dict.fromkeys(self.sizes, ())
        for name, axes in self.axes.items():
            for number, axis in enumerate(axes):
                for units in _groups(axis):
                    places[units] += ((name, number),)
        return places

    @cached_property
    def neighbours(self) -> Mapping[str, frozenset[str]]:
        """Group of units -> the groups on other axes of its tensors.

        Its best permutation depends on theirs. A group that stands on two axes of one tensor is a
        neighbour of its own: finding its best permutation is a quadratic assignment.
        """
        neighbours: dict[str, frozenset[str]] = dict.fromkeys(self.sizes, frozenset())
        for name, axes in self.axes.items():
            if name in self.buffers:
                continue
            for axis, other in permutations(axes, 2):
                for units in _groups(axis):
                    neighbours[units] |= _groups(other)
        return neighbours

    @property
    def share(self) -> float:
        """Which share of the entries of all parameters moves with some units."""
        entries = 0
        moving = 0.0
        for name, axes in self.axes.items():
            if name not in self.buffers:
                size = math.prod(map(_size, axes))
                entries += size
                moving += size * (1 - math.prod(map(_still, axes)))
        return moving / entries if entries else 0.0

    def report(self) -> str:
        """What moves, how much of the weights that is, and what does not because of what."""
        groups = ", ".join(map(self._described, self.sizes))
        lines = [
            f"{self.share:.0%} of the weights move with {len(self.sizes)} groups of units",
            groups or "no units can trade places",
        ]
        if self.pinned:
            lines.append(f"not understood, so that nothing moves there: {'; '.join(self.pinned)}")
        return "\n".join(lines)

    def _described(self, units: str) -> str:
        """A group with its size, and where it lies."""
        large = self.inside.get(units)
        return f"{units!r}: {self.sizes[units]}" + (f" (inside {large!r})" if large else "")

    def check(self, params: Params) -> None:
        """Raise ``ValueError`` unless every tensor of `params` is known and has the right shape."""
        for name, x in params.items():
            if name not in self.axes:
                raise ValueError(f"the specification does not know the tensor {name!r}")
            shape = tuple(map(_size, self.axes[name]))
            if shape != tuple(x.shape):
                raise ValueError(
                    f"{name!r} has shape {tuple(x.shape)}, the specification says {shape}"
                )


def _groups(axis: Axis) -> frozenset[str]:
    """The groups of units that stand on an axis."""
    return frozenset(part.units for part in axis if part.units is not None)


def _size(axis: Axis) -> int:
    return sum(part.size for part in axis)


def _still(axis: Axis) -> float:
    """Which share of an axis no units move."""
    return sum(part.size for part in axis if part.units is None) / max(1, _size(axis))


def _whole(number: object) -> bool:
    return isinstance(number, Integral) and not isinstance(number, bool)


def _require_names(what: str, names: Iterable[str]) -> None:
    for name in names:
        if not isinstance(name, str) or not name:
            raise ValueError(f"{name!r} is no name for {what}; give it one that is not empty")
