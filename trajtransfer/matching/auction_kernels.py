"""The loops of the auction, compiled with numba.

`holders` (n,) are the rows that hold the columns, or -1; `holders` and `prices` are changed.
"""

from __future__ import annotations

import numpy as np
from numba import njit

LANES = 32  # columns scanned side by side, a multiple of the width of vector registers
CHAIN = (
    32  # rows that may free each other with epsilon 0, when two columns outbid each other by little
)


@njit(cache=True)
def _two_best(row, prices, best, second, where):  # type: ignore[no-untyped-def]
    """The best column of a row, its value and the second best value.

    One running maximum per lane, reduced at the end: a single running maximum would not vectorise.
    """
    n = row.size
    whole = n - n % LANES
    for lane in range(LANES):
        best[lane] = -np.inf
        second[lane] = -np.inf
        where[lane] = 0
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
    column = where[0]
    first = best[0]
    runner_up = second[0]
    for lane in range(1, LANES):
        if best[lane] > first:
            runner_up = max(first, second[lane])
            column = where[lane] + lane
            first = best[lane]
        else:
            runner_up = max(runner_up, best[lane])
    return column, first, runner_up


@njit(cache=True)
def _scratch():  # type: ignore[no-untyped-def]
    """Room for `_two_best`."""
    return np.empty(LANES), np.empty(LANES), np.empty(LANES, np.int64)


@njit(cache=True)
def auction(gain, prices, holders, epsilon, cap):  # type: ignore[no-untyped-def]
    """One phase, in which all rows are free at first. False after `cap` bids per row."""
    n = len(gain)
    best, second, where = _scratch()
    queue = np.arange(n)  # a ring of free rows, first come first served
    head = 0
    waiting = n
    holders[:] = -1
    for _ in range(cap * n):
        row = queue[head]
        column, first, runner_up = _two_best(gain[row], prices, best, second, where)
        prices[column] += first - runner_up + epsilon
        evicted = holders[column]
        holders[column] = row
        head = (head + 1) % n
        waiting -= 1
        if evicted >= 0:
            queue[(head + waiting) % n] = evicted
            waiting += 1
        if waiting == 0:
            return True
    return False


@njit(cache=True)
def bound(gain, prices):  # type: ignore[no-untyped-def]
    """No assignment is worth more than this: D in the description of `auction`."""
    best, second, where = _scratch()
    total = prices.sum()
    for row in range(len(gain)):
        total += _two_best(gain[row], prices, best, second, where)[1]
    return total


@njit(cache=True)
def bid_exactly(gain, prices, holders, free):  # type: ignore[no-untyped-def]
    """Bids of the rows `free` with epsilon 0; returns the rows that are left without a column."""
    best, second, where = _scratch()
    left = np.empty(len(gain), np.int64)
    count = 0
    for row in free:
        for _ in range(CHAIN):
            column, first, runner_up = _two_best(gain[row], prices, best, second, where)
            if holders[column] >= 0 and first == runner_up:
                column = _free_tie(gain[row], prices, holders, first)
                if column < 0:
                    break
            prices[column] += first - runner_up
            evicted = holders[column]
            holders[column] = row
            row = evicted
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
def augment(gain, prices, holders, row):  # type: ignore[no-untyped-def]
    """Give `row` a column by a shortest path of exchanges.

    This is Dijkstra's algorithm, where a step costs what its row loses by it.
    """
    n = len(gain)
    values = gain[row] - prices
    distance = values.max() - values
    came_from = np.full(n, -1)
    scanned = np.zeros(n, np.bool_)
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
                distance[j] = through
                came_from[j] = column
    for j in range(n):
        if scanned[j]:
            prices[j] += nearest - distance[j]
    while came_from[column] >= 0:
        holders[column] = holders[came_from[column]]
        column = came_from[column]
    holders[column] = row


@njit(cache=True)
def _nearest(distance, scanned, holders):  # type: ignore[no-untyped-def]
    """The nearest column that is not scanned, a free one if there is a tie, and its distance.

    Rounding could lead back to those that are scanned.
    """
    column = -1
    nearest = np.inf
    for j in range(len(distance)):
        if scanned[j]:
            continue
        tie = distance[j] == nearest and holders[j] < 0 <= holders[column]
        if distance[j] < nearest or tie:
            column = j
            nearest = distance[j]
    return column, nearest
