"""One linear assignment problem: the permutation that maximises the sum of chosen entries.

Small problems go to SciPy; from `LARGE` units on, the auction of `auction` gives the same value
many times faster.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from torch import Tensor

LARGE = 200  # below, SciPy is as fast
Prices = NDArray[np.float64]


class Assignment(NamedTuple):
    """`columns[i]` is the column given to row i.

    `gap` bounds the loss, relative to what the optimum gains over the mean of all permutations (0:
    exact); `prices` (n,) of the columns help to solve a similar problem (None: none).
    """

    columns: Tensor
    gap: float
    prices: Prices | None = None


def prepare() -> None:
    """Load or compile the solver of large problems now, not while the first one is timed.

    This takes moments, and some seconds on the first time on a machine.
    """
    square = torch.arange(LARGE, dtype=torch.float32)
    ties = torch.outer(square, square).remainder(7)  # they make the solver use every part
    assign(ties, "preparation")


def assign(
    gain: Tensor, units: str, *, tolerance: float = 0.0, prices: Prices | None = None
) -> Assignment:
    """Maximise ``sum_i gain[i, columns[i]]`` over permutations (equation 3 of the paper).

    `gain` has shape (n, n), on any device; the problem is solved on the host, exactly, or to a
    certified gap of at most `tolerance`. `prices` (n,) are those of a similar problem; they change
    the time only, and below `LARGE` units nothing. `units` names the group of units in errors.
    Raises ``ValueError`` for a matrix that is not square or holds NaN or infinities, and for prices
    of another size.
    """
    _require_shapes(gain, units, prices)
    host = _on_host(gain)
    low = host.min(axis=1)
    high = host.max(axis=1)
    if not (np.isfinite(low).all() and np.isfinite(high).all()):  # a NaN comes through both
        raise ValueError(
            f"the gains of units {units!r} hold NaN or infinite entries: the vectors to be matched "
            "are not finite; check that the source run did not diverge"
        )
    constant = low == high
    if constant.all():  # every permutation is optimal
        return Assignment(torch.arange(len(host)), 0.0, prices)
    if len(host) >= LARGE:
        from trajtransfer.matching import auction  # numba takes a moment to import

        solution = auction.solve(host, constant, tolerance, prices)
        if solution is not None:
            return Assignment(torch.from_numpy(solution.columns), solution.gap, solution.prices)
    columns = linear_sum_assignment(host, maximize=True)[1]
    return Assignment(torch.from_numpy(columns), 0.0, prices)


def _require_shapes(gain: Tensor, units: str, prices: Prices | None) -> None:
    if gain.ndim != 2 or gain.shape[0] != gain.shape[1]:
        shape = tuple(gain.shape)
        raise ValueError(
            f"the gains of units {units!r} have shape {shape}, expected a square matrix"
        )
    if prices is not None and prices.shape != (len(gain),):
        expected = f"({len(gain)},)"
        raise ValueError(
            f"the prices of units {units!r} have shape {prices.shape}, expected {expected}"
        )


def _on_host(gain: Tensor) -> NDArray[np.floating]:
    """A C-contiguous matrix of float32, or of float64 for whole numbers and numbers of float64."""
    precise = torch.float64
    if gain.is_floating_point():
        precise = torch.promote_types(gain.dtype, torch.float32)
    return gain.detach().to(precise).cpu().contiguous().numpy()
