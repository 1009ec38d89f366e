"""Assignments of groups of units that have to be matched together.

Most families are one group, and one linear assignment. Where small units lie inside large ones, as
the units of attention in its heads, each pair of large units is worth what its small units gain at
best, which is an assignment of its own, and one more assignment pairs the large ones: the exact
optimum over both levels, if no two groups of the family stand on different axes of one tensor.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from trajtransfer.matching.assignment import assign
from trajtransfer.matching.pairs import Pairs
from trajtransfer.permutation import Permutation, moved_with


class FamilyAssignment(NamedTuple):
    """The indices given to each group of a family.

    `gap` is the largest certified relative gap of the `assignments` that were solved (0 when all
    were exact).
    """

    indices: dict[str, Tensor]
    gap: float
    assignments: int


class Inside(NamedTuple):
    """What small units gain at best, for each pair of large ones (n, n).

    `held` (n, n, d): small unit i of a large target unit meets small unit ``held[.., .., i]`` of
    the source's. `gap` is the largest of these assignments.
    """

    gains: Tensor
    held: Tensor
    gap: float


def assign_family(gains: Sequence[Tensor], family: Sequence[str], pairs: Pairs) -> FamilyAssignment:
    """Maximise the sum of the chosen entries of the `gains` of all groups of a family.

    `gains` has one matrix for each group, that of the large units (n, n) first, then (n * d, n * d)
    of small ones. `pairs` keeps the prices of a large problem for the next one.
    """
    large, *small = family
    first, *others = gains
    count = len(first)
    insides = [best_inside(one, count, units) for one, units in zip(others, small, strict=True)]
    total = sum((inside.gains.to(first) for inside in insides), start=first)
    solution = assign(total, large, prices=pairs.prices.get(large))
    pairs.prices[large] = solution.prices
    chosen = solution.columns
    indices = {large: chosen}
    for units, inside in zip(small, insides, strict=True):
        held = inside.held[torch.arange(len(chosen)), chosen]
        indices[units] = moved_with(chosen, held)
    gap = max(solution.gap, *(inside.gap for inside in insides), 0.0)
    return FamilyAssignment(indices, gap, 1 + len(insides) * count**2)


def best_inside(gains: Tensor, count: int, units: str) -> Inside:
    """The best order of the small units for each pair of `count` large ones.

    `gains` (n * d, n * d) are those of the small units of the target and the source.
    """
    size = len(gains) // count
    blocks = gains.cpu().reshape(count, size, count, size).transpose(1, 2).reshape(-1, size, size)
    solutions = [assign(block, units) for block in blocks]
    held = torch.stack([solution.columns for solution in solutions])
    best = blocks.gather(2, held[:, :, None]).sum(dim=(1, 2))
    gap = max(solution.gap for solution in solutions)
    return Inside(best.reshape(count, count), held.reshape(count, count, size), gap)


def family_gains(pairs: Pairs, family: Sequence[str], pi: Permutation) -> list[Tensor]:
    """The gains of each group of a family while all others stay as in `pi`."""
    if len(family) == 1:
        return [pairs.gains(family[0], pi)]
    return [pairs.gains(units, pi).clone() for units in family]  # the next call may change them
