"""Coordinate descent over one or many pairs of vectors: ``max_pi sum_t <y_t, pi(x_t)>``.

Permutations are orthogonal, so this maximises the same thing as minimising ``sum_t ||y_t - pi(x_t)||^2``
(equations 2, 3 and 6 of the paper). With all other groups fixed the objective is linear in the
permutation of one group of units, and its best value is one linear assignment.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from numbers import Integral, Real
from typing import NamedTuple

import torch

from trajtransfer.matching.assignment import assign
from trajtransfer.matching.gain_cache import Pair, Pairs
from trajtransfer.permutation import Permutation, PermutationSpec


class Matching(NamedTuple):
    """`objective`: ``sum_t <y_t, pi(x_t)>`` at the start and after each sweep, in float64, non-decreasing.

    `gap`: the largest certified relative gap of the last sweep's assignments (0 when all were exact).
    `bound`: ``sum_t ||y_t|| ||x_t||``, which the objective reaches only when all pairs agree perfectly.
    `solver_seconds`: the processor time spent on linear assignments, of which there were `assignments`.
    `operations`: the floating-point operations of the products that gave their gains.
    """

    permutation: Permutation
    objective: tuple[float, ...]
    gap: float
    bound: float
    solver_seconds: float = 0.0
    assignments: int = 0
    operations: int = 0


def match(
    pairs: Sequence[Pair],
    spec: PermutationSpec,
    *,
    start: Permutation | None = None,
    max_sweeps: int = 100,
    tolerance: float = 1e-7,
    generator: torch.Generator | None = None,
) -> Matching:
    """Find the permutation that makes the source side of each pair agree with its target side, as :eq:`gradient_matching-problem`
    asks for gradients.

    `pairs` holds (target side, source side); buffers among them are ignored. A `Pairs` that grows between calls
    keeps what it has computed. Sweeps visit the groups of units in the order of `spec`, or in an order drawn from
    `generator`, from `start` (default: the identity), until a sweep gains no more than `tolerance` times the
    bound: the rule is relative, so small gradients are matched as carefully as large ones. Raises ``ValueError``
    for no pairs, for a `max_sweeps` or `tolerance` below 0, for tensors that do not fit `spec`, for a `start` or
    `Pairs` of another specification, and for vectors that are not finite.
    """
    _require_limits(max_sweeps, tolerance)
    if not pairs:
        raise ValueError("match needs at least one (target, source) pair of vectors")
    pairs = pairs if isinstance(pairs, Pairs) else Pairs(spec, pairs)
    best = start or Permutation.identity(spec)
    for what, other in (("start is a permutation", best.spec), ("these are pairs", pairs.spec)):
        if other is not spec and other != spec:
            raise ValueError(f"{what} of another specification")
    objective, gap, seconds, stale = [pairs.objective(best)], 0.0, 0.0, set(spec.sizes)
    solved, before = 0, pairs.operations
    for _ in range(max_sweeps):
        candidate, sweep_gap, sweep_seconds, sweep_solved = _sweep(pairs, best, _order(spec, generator), stale)
        seconds += sweep_seconds
        solved += sweep_solved
        value = pairs.objective(candidate)
        if value < objective[-1]:  # only rounding of the float32 gains can lose: keep the better permutation
            break
        best, gap, gained = candidate, sweep_gap, value - objective[-1]
        objective.append(value)
        if gained <= tolerance * pairs.bound or not any(spec.neighbours.values()):  # without neighbours, one sweep is exact
            break
    return Matching(best, tuple(objective), gap, pairs.bound, seconds, solved, pairs.operations - before)


def _require_limits(max_sweeps: int, tolerance: float) -> None:
    if not isinstance(max_sweeps, Integral) or isinstance(max_sweeps, bool) or max_sweeps < 0:
        raise ValueError(f"max_sweeps={max_sweeps!r} is not a number of sweeps; pass an int, 0 or more")
    if not isinstance(tolerance, Real) or not tolerance >= 0:  # a NaN compares with nothing
        raise ValueError(f"tolerance={tolerance!r} is not a share of the bound; pass a number, 0 or more")


def _order(spec: PermutationSpec, generator: torch.Generator | None) -> list[str]:
    groups = list(spec.sizes)
    return groups if generator is None else [groups[i] for i in torch.randperm(len(groups), generator=generator)]


def _sweep(pairs: Pairs, pi: Permutation, order: Sequence[str], stale: set[str]) -> tuple[Permutation, float, float, int]:
    """One pass over all groups of units; those not `stale` would get the answer that they had."""
    gap, seconds, solved = 0.0, 0.0, 0
    for units in order:
        if units in stale:
            gains = pairs.gains(units, pi)
            clock = time.process_time()
            solution = assign(gains, units, prices=pairs.prices.get(units))
            seconds += time.process_time() - clock
            solved += 1
            pairs.prices[units] = solution.prices
            if not solution.columns.equal(pi.indices[units].long()):
                stale.update(pi.spec.neighbours[units])
                pi = pi.replace(units, solution.columns)
            stale.discard(units)
            gap = max(gap, solution.gap)
    return pi, gap, seconds, solved
