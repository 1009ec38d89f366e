"""The linear assignment problem by a Gauss-Seidel auction with an exact finish, compiled with numba.

Rows bid for columns, which have prices p. A row wants the column of largest value ``A[i, j] - p[j]``.

1. *Auction* (Bertsekas). A free row takes its best column, raises the price by the difference to its second best
   value plus epsilon, and frees the row that held the column. When all rows have columns, the sum is within
   ``n epsilon`` of the optimum. Epsilon falls by fives from two to 3e-4 standard deviations of a typical row; each
   phase frees all rows and keeps the prices. Nearly all time goes into the scan for the two best columns.
   Given prices allow a later start; if they turn out to be of no use, the auction begins anew.
2. *Certificate*. For any prices, ``D = sum_i max_j (A[i, j] - p[j]) + sum_j p[j]`` is at least the optimum, so
   the gap ``(D - sum) / (D - mean sum of a random permutation)`` bounds the relative loss.
3. *Exact finish*. Free all rows, keep the prices. Rows of equal entries (dead units) share the cheapest columns
   at one price. The others bid with epsilon 0, which can go on for ever among ties: a row that could only swap
   places with a row at a tie waits, as does the last of a long chain of rows that free each other. Shortest
   augmenting paths (Jonker and Volgenant) place those that wait.

Bids are capped, so the method always ends: bidding in O(n^2), paths in O(n^3). It gives up when an auction reaches its
cap, which takes rows or columns of wildly different scale.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Integers = NDArray[np.int64]
Prices = NDArray[np.float64]
Solution = tuple[Integers, float, Prices]

LANES = 32  # columns scanned side by side, a multiple of the width of vector registers
COARSE, WARM, FINE = 2.0, 0.1, 3e-4  # epsilon in standard deviations: at the start, from given prices, at the end
FACTOR = 5.0
CAP = 50  # bids per row and phase; real matrices need fewer than ten
WARM_CAP = 6  # the same in the first phase from given prices, which can be of no use
CHAIN = 32  # rows that may free each other with epsilon 0, when two columns can outbid each other by very little


def solve(gain: Floats, constant: NDArray[np.bool_], tolerance: float, prices: Prices | None) -> Solution | None:
    """Columns of the rows, a certified relative gap (0: exact) and the final prices; None when it gives up.

    `gain` is a finite C-contiguous (n, n) matrix, n >= 2, of float32 or float64, and `constant` (n,) marks its rows
    of equal entries; `tolerance` is the gap at which to stop early; `prices` (n,), those of a similar problem, are a
    start that is not changed.
    """
    rows = np.flatnonzero(~constant)
    unit = _typical_deviation(gain, rows)
    if not 0 < unit < np.inf:  # too small or too large for its square
        return None
    if prices is not None:
        prices = prices.astype(np.float64) - prices.mean()
        if np.abs(prices).max() < 1e6 * unit and (solution := _solve(gain, rows, tolerance, prices, WARM, WARM_CAP, unit)):
            return solution  # larger prices would round the values
    return _solve(gain, rows, tolerance, gain.mean(axis=0, dtype=np.float64), COARSE, CAP, unit)


def _solve(
    gain: Floats, rows: Integers, tolerance: float, prices: Prices, start: float, cap: int, unit: float
) -> Solution | None:
    """Auctions from `prices`, which are changed, and the exact finish; None when an auction reaches its cap."""
    n, holders, epsilon = len(gain), np.empty(len(gain), np.int64), start * unit
    mean = gain.sum(dtype=np.float64) / n if tolerance > 0 else 0.0  # of the sum over all permutations
    while _auction(gain, prices, holders, epsilon, cap):
        total = gain[holders, np.arange(n)].sum(dtype=np.float64)
        if tolerance > 0 and n * epsilon <= 4 * tolerance * (total - mean):  # else certifying would cost time in vain
            bound = _bound(gain, prices)
            if bound - total <= tolerance * (bound - mean):
                return np.argsort(holders), max(0.0, (bound - total) / (bound - mean)), prices
        if epsilon <= FINE * unit:
            _finish(gain, prices, holders, rows)
            return np.argsort(holders), 0.0, prices
        epsilon, cap = max(epsilon / FACTOR, FINE * unit), CAP
    return None


def _typical_deviation(gain: Floats, rows: Integers) -> float:
    """The median standard deviation of some 64 rows: one outlier must not set the scale."""
    some = gain[rows[:: max(1, len(rows) // 64)]].astype(np.float64)
    return float(np.median(some.std(axis=1)))


def _finish(gain: Floats, prices: Prices, holders: Integers, rows: Integers) -> None:
    """An optimal assignment from any prices, into `holders`; `prices` become optimal too. `rows` are not constant."""
    holders[:] = -1
    constant = np.setdiff1d(np.arange(len(gain)), rows)
    if len(constant):
        cheapest = np.argsort(prices)[: len(constant)]
        prices[cheapest] = prices[cheapest[-1]]
        holders[cheapest] = constant
    for row in _bid_exactly(gain, prices, holders, rows):
        _augment(gain, prices, holders, row)


@njit(cache=True)
def _two_best(row, prices, best, second, where):  # type: ignore[no-untyped-def]
    """The best column of a row, its value and the second best value.

    One running maximum per lane, reduced at the end: a single running maximum would not vectorise.
    """
    n = row.size
    whole = n - n % LANES
    for lane in range(LANES):
        best[lane], second[lane], where[lane] = -np.inf, -np.inf, 0
    for start in range(0, whole, LANES):
        for lane in range(LANES):
            value = row[start + lane] - prices[start + lane]
            second[lane] = max(second[lane], min(best[lane], value))
            where[lane] = start if value > best[lane] else where[lane]
            best[lane] = max(best[lane], value)
    for lane in range(n - whole):
        value = row[whole + lane] - prices[whole + lane]
        second[lane] = max(second[lane], min(best[lane], value))
        where[lane] = whole if value > best[lane] else where[lane]
        best[lane] = max(best[lane], value)
    column, first, runner_up = where[0], best[0], second[0]
    for lane in range(1, LANES):
        if best[lane] > first:
            runner_up = max(first, second[lane])
            column, first = where[lane] + lane, best[lane]
        else:
            runner_up = max(runner_up, best[lane])
    return column, first, runner_up


@njit(cache=True)
def _scratch():  # type: ignore[no-untyped-def]
    return np.empty(LANES), np.empty(LANES), np.empty(LANES, np.int64)


@njit(cache=True)
def _auction(gain, prices, holders, epsilon, cap):  # type: ignore[no-untyped-def]
    """One phase: `holders` and `prices` are overwritten. False when it took more than `cap` bids per row."""
    n = len(gain)
    best, second, where = _scratch()
    queue, head, waiting = np.arange(n), 0, n  # a ring of free rows, first come first served
    holders[:] = -1
    for _ in range(cap * n):
        row = queue[head]
        column, first, runner_up = _two_best(gain[row], prices, best, second, where)
        prices[column] += first - runner_up + epsilon
        evicted, holders[column] = holders[column], row
        head, waiting = (head + 1) % n, waiting - 1
        if evicted >= 0:
            queue[(head + waiting) % n] = evicted
            waiting += 1
        if waiting == 0:
            return True
    return False


@njit(cache=True)
def _bound(gain, prices):  # type: ignore[no-untyped-def]
    """D: no assignment is worth more."""
    best, second, where = _scratch()
    total = prices.sum()
    for row in range(len(gain)):
        total += _two_best(gain[row], prices, best, second, where)[1]
    return total


@njit(cache=True)
def _bid_exactly(gain, prices, holders, free):  # type: ignore[no-untyped-def]
    """Bids with epsilon 0; returns the rows that are left without a column."""
    best, second, where = _scratch()
    left, count = np.empty(len(gain), np.int64), 0
    for row in free:
        for _ in range(CHAIN):
            column, first, runner_up = _two_best(gain[row], prices, best, second, where)
            if holders[column] >= 0 and first == runner_up:
                column = _free_tie(gain[row], prices, holders, first)
                if column < 0:
                    break
            prices[column] += first - runner_up
            row, holders[column] = holders[column], row
            if row < 0:
                break
        if row >= 0:
            left[count] = row
            count += 1
    return left[:count]


@njit(cache=True)
def _free_tie(row, prices, holders, value):  # type: ignore[no-untyped-def]
    """A free column of this value, or -1."""
    for column in range(len(prices)):
        if holders[column] < 0 and row[column] - prices[column] == value:
            return column
    return -1


@njit(cache=True)
def _augment(gain, prices, holders, row):  # type: ignore[no-untyped-def]
    """Give `row` a column by a shortest path of exchanges: Dijkstra, where a step costs what its row loses by it."""
    n = len(gain)
    values = gain[row] - prices
    distance = values.max() - values
    came_from, scanned = np.full(n, -1), np.zeros(n, np.bool_)
    while True:
        column, nearest = _nearest(distance, scanned, holders)
        if holders[column] < 0:
            break
        scanned[column] = True
        holder = gain[holders[column]]
        here = nearest + holder[column] - prices[column]
        for j in range(n):
            through = here - (holder[j] - prices[j])
            if not scanned[j] and through < distance[j]:
                distance[j], came_from[j] = through, column
    for j in range(n):
        if scanned[j]:
            prices[j] += nearest - distance[j]
    while came_from[column] >= 0:
        holders[column] = holders[came_from[column]]
        column = came_from[column]
    holders[column] = row


@njit(cache=True)
def _nearest(distance, scanned, holders):  # type: ignore[no-untyped-def]
    """The nearest column not scanned (rounding could lead back to those that are), a free one if there is a tie."""
    column, nearest = -1, np.inf
    for j in range(len(distance)):
        if not scanned[j] and (distance[j] < nearest or (distance[j] == nearest and holders[j] < 0 <= holders[column])):
            column, nearest = j, distance[j]
    return column, nearest
