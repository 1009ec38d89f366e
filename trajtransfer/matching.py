"""Coordinate descent over one or many pairs of vectors: ``max_pi sum_t <y_t, pi(x_t)>``.

Permutations are orthogonal, so this maximises the same thing as minimising ``sum_t ||y_t - pi(x_t)||^2``
(equations 2, 3 and 6 of the paper). With all other groups fixed the objective is linear in the
permutation of one group of units, and its best value is one linear assignment.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from trajtransfer.assignment import assign
from trajtransfer.params import Params
from trajtransfer.permutation import Permutation, PermutationSpec

Pair = tuple[Params, Params]


class Matching(NamedTuple):
    """`objective`: ``sum_t <y_t, pi(x_t)>`` at the start and after each sweep, in float64, non-decreasing.

    `gap`: the largest certified relative gap of the last sweep's assignments (0 when all were exact).
    `bound`: ``sum_t ||y_t|| ||x_t||``, which the objective reaches only when all pairs agree perfectly.
    """

    permutation: Permutation
    objective: tuple[float, ...]
    gap: float
    bound: float


def match(
    pairs: Sequence[Pair],
    spec: PermutationSpec,
    *,
    start: Permutation | None = None,
    max_sweeps: int = 100,
    tolerance: float = 1e-7,
    generator: torch.Generator | None = None,
) -> Matching:
    """Find the permutation that makes the source side of each pair agree with its target side.

    `pairs` holds (target side, source side); buffers among them are ignored. Sweeps visit the groups of
    units in the order of `spec`, or in an order drawn from `generator`, from `start` (default: the identity),
    until a sweep gains no more than `tolerance` times the bound: the rule is relative, so small gradients are
    matched as carefully as large ones. Raises ``ValueError`` for no pairs, for tensors
    that do not fit `spec`, for a `start` of another specification, and for vectors that are not finite.
    """
    if not pairs:
        raise ValueError("match needs at least one (target, source) pair of vectors")
    pairs = [(_matched_part(y, spec), _matched_part(x, spec)) for y, x in pairs]
    best = start or Permutation.identity(spec)
    if best.spec != spec:
        raise ValueError("start is a permutation of another specification")
    objective, gap = [_objective(pairs, best)], 0.0
    for name in pairs[0][0]:
        if not all(v[name].isfinite().all() for pair in pairs for v in pair):
            raise ValueError(f"{name!r} holds NaN or infinite entries; check that the source run did not diverge")
    bound = sum(y.norm() * x.norm() for y, x in pairs)
    for _ in range(max_sweeps):
        candidate, sweep_gap = _sweep(pairs, best, generator)
        value = _objective(pairs, candidate)
        if value < objective[-1]:  # only rounding of the float32 gains can lose: keep the better permutation
            break
        best, gap, gained = candidate, sweep_gap, value - objective[-1]
        objective.append(value)
        if gained <= tolerance * bound or len(spec.sizes) == 1:  # one group: a single assignment is the optimum
            break
    return Matching(best, tuple(objective), gap, bound)


def _matched_part(params: Params, spec: PermutationSpec) -> Params:
    part = Params({name: x.detach() for name, x in params.items() if name not in spec.buffers})
    spec.check(part)
    return part


def _objective(pairs: Sequence[Pair], pi: Permutation) -> float:
    return sum(y @ pi(x) for y, x in pairs)


def _sweep(pairs: Sequence[Pair], pi: Permutation, generator: torch.Generator | None) -> tuple[Permutation, float]:
    """One pass over all groups of units."""
    groups, gap = list(pi.spec.sizes), 0.0
    if generator is not None:
        groups = [groups[i] for i in torch.randperm(len(groups), generator=generator)]
    for units in groups:
        solution = assign(_gains(pairs, pi, units), units)
        pi, gap = pi.replace(units, solution.columns), max(gap, solution.gap)
    return pi, gap


def _gains(pairs: Sequence[Pair], pi: Permutation, units: str) -> Tensor:
    """Entry (i, j): what the objective gains when unit i of the target side is met by unit j of the source side."""
    spec, first = pi.spec, next(iter(pairs[0][0].values()))
    gains = torch.zeros(spec.sizes[units], spec.sizes[units], dtype=first.dtype, device=first.device)
    for y, x in pairs:
        for name, axis in spec.places[units]:
            if name in y:
                rows = _unit_rows(y[name], spec, name, axis, units)
                columns = _unit_rows(pi.act(name, x[name], skip=axis), spec, name, axis, units)
                for r, c in zip(rows, columns, strict=True):
                    gains.addmm_(r, c.T)
    return gains


def _unit_rows(x: Tensor, spec: PermutationSpec, name: str, number: int, units: str) -> list[Tensor]:
    """The entries of each unit along one axis as rows, one matrix (units, entries) per segment of the axis."""
    rows, offset = [], 0
    for segment in spec.axes[name][number]:
        if segment.units == units:
            part = x.narrow(number, offset, segment.size).movedim(number, 0)
            rows.append(part.reshape(segment.size // segment.block, -1))
        offset += segment.size
    return rows
