"""One linear assignment problem: the permutation that maximises the sum of chosen entries."""

from __future__ import annotations

from typing import NamedTuple

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor


class Assignment(NamedTuple):
    """`columns[i]` is the column given to row i; `gap` bounds the relative loss against the optimum (0: exact)."""

    columns: Tensor
    gap: float


def assign(gain: Tensor, units: str) -> Assignment:
    """Maximise ``sum_i gain[i, columns[i]]`` over permutations, exactly (equation 3 of the paper).

    `gain` has shape (n, n), on any device; the problem is solved on the host. `units` names the group of
    units in errors. Raises ``ValueError`` for a matrix that is not square or holds NaN or infinities.
    """
    if gain.ndim != 2 or gain.shape[0] != gain.shape[1]:
        raise ValueError(f"the gains of units {units!r} have shape {tuple(gain.shape)}, expected a square matrix")
    if not torch.isfinite(gain).all():
        raise ValueError(
            f"the gains of units {units!r} hold NaN or infinite entries: the vectors to be matched are not finite; "
            "check that the source run did not diverge"
        )
    _, columns = linear_sum_assignment(gain.cpu().numpy(), maximize=True)
    return Assignment(torch.from_numpy(columns), 0.0)
