"""Coordinate descent as the paper writes it down, with nothing kept: what ours is compared with.

Every sweep sums the gains over all pairs again for every group and solves by SciPy; a last sweep
confirms the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from trajtransfer import Matching, Permutation, PermutationSpec
from trajtransfer.matching.descent import TRIALS
from trajtransfer.matching.gains import VectorPair, gains, objective


def match(
    pairs: Sequence[VectorPair],
    spec: PermutationSpec,
    *,
    max_sweeps: int = 100,
    tolerance: float = 1e-7,
    generator: torch.Generator | None = None,
) -> Matching:
    """Coordinate descent for ``max_pi sum_t <y_t, pi(x_t)>`` from the identity."""
    bound = sum(y.norm() * x.norm() for y, x in pairs)
    best = Permutation.identity(spec)
    values = [objective(pairs, best)]
    for _ in range(max_sweeps):
        candidate = best
        for family in order(spec, generator):
            candidate = visited(pairs, candidate, family)
        value = objective(pairs, candidate)
        if value < values[-1]:
            break
        best = candidate
        values.append(value)
        if value - values[-2] <= tolerance * bound:
            break
    return Matching(best, tuple(values), 0.0, bound)


def visited(pairs: Sequence[VectorPair], pi: Permutation, family: Sequence[str]) -> Permutation:
    """`pi` with the best permutation of a family; with a better one, if it is on two axes."""
    beside = set[str]().union(*(pi.spec.neighbours[units] for units in family))
    linear = beside.isdisjoint(family)
    found = pi
    for _ in range(1 if linear else TRIALS):
        matrices = [gains(pairs, found, units).numpy() for units in family]
        found = found.replace_family(assigned(matrices, family))
        if linear or objective(pairs, found) > objective(pairs, pi):
            return found
    return pi


def assigned(matrices: Sequence[NDArray], family: Sequence[str]) -> dict[str, Tensor]:
    """The best indices of large units, and of the small ones inside of them."""
    total = matrices[0].copy()
    count = len(total)
    held = {}
    for units, matrix in zip(family[1:], matrices[1:], strict=True):
        size = len(matrix) // count
        for i, j in product(range(count), repeat=2):
            block = matrix[i * size : (i + 1) * size, j * size : (j + 1) * size]
            rows, columns = linear_sum_assignment(block, maximize=True)
            total[i, j] += block[rows, columns].sum()
            held[units, i, j] = columns + j * size
    _, chosen = linear_sum_assignment(total, maximize=True)
    indices = {family[0]: torch.from_numpy(chosen)}
    for units in family[1:]:
        entries = np.concatenate([held[units, i, j] for i, j in enumerate(chosen)])
        indices[units] = torch.from_numpy(entries)
    return indices


def order(spec: PermutationSpec, generator: torch.Generator | None) -> list[tuple[str, ...]]:
    """The families of groups, in an order drawn from the generator if there is one."""
    families = list(spec.families)
    if generator is None:
        return families
    return [families[i] for i in torch.randperm(len(families), generator=generator)]
