"""The linear assignment problem by a Gauss-Seidel auction with an exact finish.

Rows bid for columns, which have prices p. A row wants the column of largest value ``A[i, j] -
p[j]``.

1. *Auction* (Bertsekas). A free row takes its best column, raises the price by the difference to
   its second best value plus epsilon, and frees the row that held the column. When all rows have
   columns, the sum is within ``n epsilon`` of the optimum. Epsilon falls by fives from two to 3e-4
   standard deviations of a typical row; each phase frees all rows and keeps the prices. Nearly all
   time goes into the scan for the two best columns. Given prices allow a later start; if they turn
   out to be of no use, the auction begins anew.
2. *Certificate*. For any prices, ``D = sum_i max_j (A[i, j] - p[j]) + sum_j p[j]`` is at least the
   optimum, so the gap ``(D - sum) / (D - mean sum of a random permutation)`` bounds the relative
   loss.
3. *Exact finish*. Free all rows, keep the prices. Rows of equal entries (dead units) share the
   cheapest columns at one price. The others bid with epsilon 0, which can go on for ever among
   ties: a row that could only swap places with a row at a tie waits, as does the last of a long
   chain of rows that free each other. Shortest augmenting paths (Jonker and Volgenant) place those
   that wait.

Bids are capped, so the method always ends: bidding in O(n^2), paths in O(n^3). It gives up when an
auction reaches its cap, which takes rows or columns of wildly different scale. The loops are in
`auction_kernels`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from trajtransfer.matching import auction_kernels as kernels

Floats = NDArray[np.floating]
Integers = NDArray[np.int64]
Prices = NDArray[np.float64]

COARSE = 2.0  # epsilon at the start, in standard deviations of a typical row
WARM = 0.1  # the same from given prices
FINE = 3e-4  # the same at the end
FACTOR = 5.0  # by which epsilon falls from phase to phase
CAP = 50  # bids per row and phase; real matrices need fewer than ten
WARM_CAP = 6  # the same in the first phase from given prices, which can be of no use


class Solution(NamedTuple):
    """The column of each row, a certified relative gap (0: exact) and the final prices."""

    columns: Integers
    gap: float
    prices: Prices


@dataclass(frozen=True)
class _Problem:
    """A matrix, its rows that are not constant, their typical deviation, and the gap to stop at."""

    gain: Floats
    rows: Integers
    deviation: float
    tolerance: float

    @cached_property
    def mean(self) -> float:
        """The mean of the sum over all permutations."""
        return float(self.gain.sum(dtype=np.float64) / len(self.gain))


def solve(
    gain: Floats, constant: NDArray[np.bool_], tolerance: float, prices: Prices | None
) -> Solution | None:
    """The best columns of the rows, or None when the auction gives up.

    `gain` is a finite C-contiguous (n, n) matrix, n >= 2, of float32 or float64, and `constant`
    (n,) marks its rows of equal entries; `tolerance` is the gap at which to stop early; `prices`
    (n,), those of a similar problem, are a start that is not changed.
    """
    rows = np.flatnonzero(~constant)
    deviation = _typical_deviation(gain, rows)
    if not 0 < deviation < np.inf:  # too small or too large for its square
        return None
    problem = _Problem(gain, rows, deviation, tolerance)
    if prices is not None:
        centred = prices.astype(np.float64) - prices.mean()
        if np.abs(centred).max() < 1e6 * deviation:  # larger ones would round the values
            solution = _solve(problem, centred, WARM * deviation, WARM_CAP)
            if solution is not None:
                return solution
    return _solve(problem, gain.mean(axis=0, dtype=np.float64), COARSE * deviation, CAP)


def _solve(problem: _Problem, prices: Prices, epsilon: float, cap: int) -> Solution | None:
    """Auctions from `prices`, which are changed, and the exact finish.

    None when an auction reaches its cap.
    """
    holders = np.empty(len(problem.gain), np.int64)  # column -> the row that holds it
    finest = FINE * problem.deviation
    while kernels.auction(problem.gain, prices, holders, epsilon, cap):
        gap = _certified_gap(problem, prices, holders, epsilon)
        if gap is not None:
            return Solution(np.argsort(holders), gap, prices)
        if epsilon <= finest:
            _finish(problem, prices, holders)
            return Solution(np.argsort(holders), 0.0, prices)
        epsilon = max(epsilon / FACTOR, finest)
        cap = CAP
    return None


def _typical_deviation(gain: Floats, rows: Integers) -> float:
    """The median standard deviation of some 64 rows: one outlier must not set the scale."""
    some = gain[rows[:: max(1, len(rows) // 64)]].astype(np.float64)
    return float(np.median(some.std(axis=1)))


def _certified_gap(
    problem: _Problem, prices: Prices, holders: Integers, epsilon: float
) -> float | None:
    """The gap of an assignment, if one is asked for and it is small enough."""
    tolerance = problem.tolerance
    if tolerance <= 0:
        return None
    size = len(holders)
    total = problem.gain[holders, np.arange(size)].sum(dtype=np.float64)
    likely = size * epsilon <= 4 * tolerance * (total - problem.mean)
    if not likely:  # certifying would cost time in vain
        return None
    bound = kernels.bound(problem.gain, prices)
    enough = bound - total <= tolerance * (bound - problem.mean)
    return max(0.0, (bound - total) / (bound - problem.mean)) if enough else None


def _finish(problem: _Problem, prices: Prices, holders: Integers) -> None:
    """An optimal assignment from any prices, into `holders`; `prices` become optimal too."""
    gain = problem.gain
    holders[:] = -1
    constant = np.setdiff1d(np.arange(len(gain)), problem.rows)
    if len(constant):
        cheapest = np.argsort(prices)[: len(constant)]
        prices[cheapest] = prices[cheapest[-1]]
        holders[cheapest] = constant
    for row in kernels.bid_exactly(gain, prices, holders, problem.rows):
        kernels.augment(gain, prices, holders, row)
