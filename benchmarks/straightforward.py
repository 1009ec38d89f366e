"""The method as the paper writes it down, with nothing kept: what the library's matching is compared with.

Every sweep multiplies all pairs again for every group and solves by SciPy; a last sweep confirms the
result, and every step of FGMT starts from nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from scipy.optimize import linear_sum_assignment

from trajtransfer import Matching, Permutation, PermutationSpec
from trajtransfer.algorithms import Pair


def match(
    pairs: Sequence[Pair],
    spec: PermutationSpec,
    *,
    max_sweeps: int = 100,
    tolerance: float = 1e-7,
    generator: torch.Generator | None = None,
) -> Matching:
    """Coordinate descent for ``max_pi sum_t <y_t, pi(x_t)>`` from the identity."""
    best = Permutation.identity(spec)
    objective, bound = [inner(pairs, best)], sum(y.norm() * x.norm() for y, x in pairs)
    for _ in range(max_sweeps):
        candidate, groups = best, list(spec.sizes)
        if generator is not None:
            groups = [groups[i] for i in torch.randperm(len(groups), generator=generator)]
        for units in groups:
            columns = linear_sum_assignment(gains(pairs, candidate, units).numpy(), maximize=True)[1]
            candidate = candidate.replace(units, torch.from_numpy(columns))
        value = inner(pairs, candidate)
        if value < objective[-1]:
            break
        best, gained = candidate, value - objective[-1]
        objective.append(value)
        if gained <= tolerance * bound:
            break
    return Matching(best, tuple(objective), 0.0, bound)


def inner(pairs: Sequence[Pair], pi: Permutation) -> float:
    """The objective, in float64."""
    moved_pairs = ((y, pi(x)) for y, x in pairs)
    return sum(float(torch.sum(y[name].double() * x[name].double())) for y, x in moved_pairs for name in y)


def gains(pairs: Sequence[Pair], pi: Permutation, units: str) -> torch.Tensor:
    """Entry (i, j): what the objective gains when unit i of the target side is met by unit j of the source side."""
    spec, first = pi.spec, next(iter(pairs[0][0].values()))
    total = torch.zeros(spec.sizes[units], spec.sizes[units], dtype=first.dtype)
    for y, x in pairs:
        for name, axis in spec.places[units]:
            if name in y:
                source = x[name]
                for other, entries in pi.entries(name).items():
                    source = source if other == axis else source.index_select(other, entries)
                rows, columns = (_unit_rows(v, spec, name, axis, units) for v in (y[name], source))
                for r, c in zip(rows, columns, strict=True):
                    total.addmm_(r, c.T)
    return total


def _unit_rows(x: torch.Tensor, spec: PermutationSpec, name: str, number: int, units: str) -> list[torch.Tensor]:
    rows, offset = [], 0
    for segment in spec.axes[name][number]:
        if segment.units == units:
            part = x.narrow(number, offset, segment.size).movedim(number, 0)
            rows.append(part.reshape(segment.size // segment.block, -1))
        offset += segment.size
    return rows
