"""Coordinate descent over one or many pairs of vectors: ``max_pi sum_t <y_t, pi(x_t)>``.

Permutations are orthogonal, so this maximises the same thing as minimising ``sum_t ||y_t -
pi(x_t)||^2`` (equations 2, 3 and 6 of the paper). With all other groups fixed the objective is
linear in the permutation of one group of units, and its best value is one linear assignment; unless
the group stands on two axes of one tensor, as hidden units that feed back into themselves do. Units
inside others are assigned together with these (`families`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from numbers import Integral, Real
from typing import NamedTuple

import torch

from trajtransfer.matching.families import assign_family, family_gains
from trajtransfer.matching.gains import VectorPair
from trajtransfer.matching.pairs import Pairs
from trajtransfer.permutation import Permutation
from trajtransfer.specification import PermutationSpec

# How often a group that stands on two axes of one tensor is assigned anew without a gain.
TRIALS = 5
Family = tuple[str, ...]  # groups of units that are matched together


class Matching(NamedTuple):
    """The permutation that was found, and how.

    `objective`: ``sum_t <y_t, pi(x_t)>`` at the start and after each sweep, in float64,
    non-decreasing. `gap`: the largest certified relative gap of the last sweep's assignments (0
    when all were exact). `bound`: ``sum_t ||y_t|| ||x_t||``, which the objective reaches only when
    all pairs agree perfectly. `solver_seconds`: the processor time spent on linear assignments, of
    which there were `assignments`. `operations`: the floating-point operations of the products that
    gave their gains.
    """

    permutation: Permutation
    objective: tuple[float, ...]
    gap: float
    bound: float
    solver_seconds: float = 0.0
    assignments: int = 0
    operations: int = 0


class Sweep(NamedTuple):
    """A visit to some groups of units: where it ended, its largest gap, and what it cost."""

    permutation: Permutation
    gap: float
    solver_seconds: float
    assignments: int


def match(
    pairs: Sequence[VectorPair],
    spec: PermutationSpec,
    *,
    start: Permutation | None = None,
    max_sweeps: int = 100,
    tolerance: float = 1e-7,
    generator: torch.Generator | None = None,
) -> Matching:
    """Find the permutation that makes the source side of each pair agree with its target side.

    This is what :eq:`gradient_matching-problem` asks for gradients. Sweeps visit one group of units
    after another. Raises ``ValueError`` for no pairs, for a `max_sweeps` or `tolerance` below 0,
    for tensors that do not fit `spec`, for a `start` or `Pairs` of another specification, and for
    vectors that are not finite.

    Args:
        pairs: Pairs (target side, source side); buffers among them are ignored. A `Pairs` that
            grows between calls keeps what it has computed.
        spec: The groups of units, which are visited in its order.
        start: The permutation to begin with (default: the identity).
        max_sweeps: The most sweeps over all groups.
        tolerance: A sweep that gains no more than this share of the bound is the last. The rule is
            relative, so small gradients are matched as carefully as large ones.
        generator: A CPU generator; each sweep then visits the groups in an order drawn from it.
    """
    _require_limits(max_sweeps, tolerance)
    pairs = _as_pairs(pairs, spec)
    best = start or Permutation.identity(spec)
    _require_same_spec("start is a permutation", best.spec, spec)
    operations = pairs.operations
    objective = [pairs.objective(best)]
    gap = 0.0
    sweeps = []
    stale = set(spec.families)
    for _ in range(max_sweeps):
        sweep = _sweep(pairs, best, _order(spec, generator), stale)
        sweeps.append(sweep)
        value = pairs.objective(sweep.permutation)
        if value < objective[-1]:  # only rounding of the gains can lose: the one before is better
            break
        best = sweep.permutation
        gap = sweep.gap
        objective.append(value)
        if value - objective[-2] <= tolerance * pairs.bound:
            break
        if not any(spec.neighbours.values()):  # then one sweep is exact
            break
    return Matching(
        best,
        tuple(objective),
        gap,
        pairs.bound,
        solver_seconds=sum((sweep.solver_seconds for sweep in sweeps), 0.0),
        assignments=sum(sweep.assignments for sweep in sweeps),
        operations=pairs.operations - operations,
    )


def _sweep(pairs: Pairs, pi: Permutation, order: Sequence[Family], stale: set[Family]) -> Sweep:
    """One pass over the families that are `stale`; the others would get the answer they had.

    A family that gets another permutation makes its neighbours stale; `stale` is changed.
    """
    visits = [Sweep(pi, 0.0, 0.0, 0)]
    for family in order:
        if family not in stale:
            continue
        stale.discard(family)
        visit = _visit(pairs, pi, family)
        visits.append(visit)
        if visit.permutation is not pi:
            pi = visit.permutation
            beside = _neighbours(pi.spec, family)
            stale.update(other for other in order if not beside.isdisjoint(other))
    return Sweep(
        pi,
        max(visit.gap for visit in visits),
        sum(visit.solver_seconds for visit in visits),
        sum(visit.assignments for visit in visits),
    )


def _visit(pairs: Pairs, pi: Permutation, family: Family) -> Sweep:
    """The best permutation of one family while all other groups stay as in `pi`.

    Where the family is a neighbour of its own, the gains are the derivative of an objective that is
    quadratic in it. The assignment that follows a derivative may lose; then another follows that at
    the point reached, and the first that wins is taken: steps of Frank and Wolfe, as Vogelstein et
    al. (2015) take them, but whole ones.
    """
    quadratic = not _neighbours(pi.spec, family).isdisjoint(family)
    least = pairs.objective(pi) if quadratic else -math.inf
    found = pi
    gap = 0.0
    seconds = 0.0
    count = 0
    for _ in range(TRIALS):
        gains = family_gains(pairs, family, found)
        clock = time.process_time()
        solution = assign_family(gains, family, pairs)
        seconds += time.process_time() - clock
        gap = max(gap, solution.gap)
        count += solution.assignments
        if all(index.equal(found.indices[units]) for units, index in solution.indices.items()):
            break
        found = found.replace_family(solution.indices)
        if not quadratic or pairs.objective(found) > least:
            return Sweep(found, gap, seconds, count)
    return Sweep(pi, gap, seconds, count)


def _neighbours(spec: PermutationSpec, family: Family) -> frozenset[str]:
    """The groups on other axes of the tensors of a family."""
    return frozenset[str]().union(*(spec.neighbours[units] for units in family))


def _as_pairs(pairs: Sequence[VectorPair], spec: PermutationSpec) -> Pairs:
    """The pairs themselves if they are `Pairs`, else new ones."""
    if not pairs:
        raise ValueError("match needs at least one (target, source) pair of vectors")
    if not isinstance(pairs, Pairs):
        return Pairs(spec, pairs)
    _require_same_spec("these are pairs", pairs.spec, spec)
    return pairs


def _order(spec: PermutationSpec, generator: torch.Generator | None) -> list[Family]:
    """The order in which a sweep visits the families."""
    families = list(spec.families)
    if generator is None:
        return families
    return [families[i] for i in torch.randperm(len(families), generator=generator)]


def _require_limits(max_sweeps: int, tolerance: float) -> None:
    if not isinstance(max_sweeps, Integral) or isinstance(max_sweeps, bool) or max_sweeps < 0:
        raise ValueError(
            f"max_sweeps={max_sweeps!r} is not a number of sweeps; pass an int, 0 or more"
        )
    if not isinstance(tolerance, Real) or not tolerance >= 0:  # a NaN compares with nothing
        raise ValueError(
            f"tolerance={tolerance!r} is not a share of the bound; pass a number, 0 or more"
        )


def _require_same_spec(what: str, own: PermutationSpec, spec: PermutationSpec) -> None:
    if own is not spec and own != spec:
        raise ValueError(f"{what} of another specification")
