"""Coordinate descent as the paper writes it down, with nothing kept: what ours is compared with.

Every sweep sums the gains over all pairs again for every group and solves by SciPy; a last sweep
confirms the result.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from scipy.optimize import linear_sum_assignment

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
        for units in order(spec, generator):
            candidate = visited(pairs, candidate, units)
        value = objective(pairs, candidate)
        if value < values[-1]:
            break
        best = candidate
        values.append(value)
        if value - values[-2] <= tolerance * bound:
            break
    return Matching(best, tuple(values), 0.0, bound)


def visited(pairs: Sequence[VectorPair], pi: Permutation, units: str) -> Permutation:
    """`pi` with the best permutation of a group; with a better one, if it is on two axes."""
    linear = units not in pi.spec.neighbours[units]
    found = pi
    for _ in range(1 if linear else TRIALS):
        _, columns = linear_sum_assignment(gains(pairs, found, units).numpy(), maximize=True)
        found = found.replace(units, torch.from_numpy(columns))
        if linear or objective(pairs, found) > objective(pairs, pi):
            return found
    return pi


def order(spec: PermutationSpec, generator: torch.Generator | None) -> list[str]:
    """The groups of units, in an order drawn from the generator if there is one."""
    groups = list(spec.sizes)
    if generator is None:
        return groups
    return [groups[i] for i in torch.randperm(len(groups), generator=generator)]
