"""How much coordinate descent a transfer needs: sweeps, restarts, the order of the groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import torch

from trajtransfer.algorithms import moved
from trajtransfer.matching.descent import Matching, match
from trajtransfer.matching.pairs import Pairs
from trajtransfer.paper.lab import Lab
from trajtransfer.paper.seeds import Seeds
from trajtransfer.paper.subsequent import best_step
from trajtransfer.paper.unit_of_work import tables
from trajtransfer.permutation import Permutation

LIMIT = "sweeps per match at most"
Row = dict[str, Any]


def sweeps(lab: Lab, pairs: Sequence[Seeds], limits: Sequence[int]) -> pd.DataFrame:
    """FGMT with at most so many sweeps in every match: the rows of `sweeps_of_transfer`."""
    return tables(lab.unit(sweeps_of_transfer, seeds, limit) for limit in limits for seeds in pairs)


def sweeps_of_transfer(lab: Lab, seeds: Seeds, limit: int) -> list[Row]:
    """The row of the last step, with the accuracy of the best step and the sweeps of all."""
    walk = list(lab.follow("fgmt", seeds, sweeps=limit))
    _, best = best_step(walk)
    _, last = walk[-1]
    done = sum(_sweeps_of(step.matching) for step, _ in walk)
    return [last | {LIMIT: limit, "sweeps": done, "peak": best["accuracy"]}]


def restarts(lab: Lab, seeds: Seeds, count: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The `descents` from several starts: rows per sweep, and rows per solution."""
    found = lab.kept(descents, seeds, count)
    return pd.DataFrame(found["sweeps"]), pd.DataFrame(found["solutions"])


def descents(lab: Lab, seeds: Seeds, count: int) -> dict[str, list[Row]]:
    """One match of all gradient pairs along FGMT's trajectory, from several starts and orders.

    The last sub-problem (equation 7) is posed at the points that FGMT's last permutation leads to,
    and solved anew from the identity with the groups in the order of the specification, from the
    identity in random orders, and from random permutations. Rows per sweep with the objective over
    its bound, and rows per solution with the accuracy at T.
    """
    *_, (last, _) = lab.follow("fgmt", seeds)
    source = lab.line(seeds.source)
    start = lab.network(seeds.target).start
    steps = lab.setting.steps
    problem = _problem(lab, seeds, last.permutation)
    sweep_rows = []
    solutions = []
    for begin, order, number in _plan(count):
        found = _descent(problem, begin, order, number)
        about = {"from": f"{begin}, {order} order", "number": number}
        for sweep, objective in enumerate(found.objective):
            sweep_rows.append(about | {"sweep": sweep, "agreement": objective / found.bound})
        at = moved(source, start, steps, found.permutation)
        final = {"agreement": found.objective[-1] / found.bound, "sweeps": _sweeps_of(found)}
        solutions.append(about | final | {"accuracy": lab.score(at).accuracy})
    return {"sweeps": sweep_rows, "solutions": solutions}


def _problem(lab: Lab, seeds: Seeds, pi: Permutation) -> Pairs:
    """All gradient pairs along the trajectory under one permutation."""
    source = lab.line(seeds.source)
    start = lab.network(seeds.target).start
    gradients = lab.gradients(seeds.source)
    problem = Pairs(lab.spec)
    for t in range(lab.setting.steps):
        problem.append(gradients(moved(source, start, t, pi), source[t]))
    return problem


def _descent(problem: Pairs, begin: str, order: str, number: int) -> Matching:
    generator = torch.Generator().manual_seed(number)
    first = Permutation.random(problem.spec, generator) if begin == "random" else None
    orders = generator if order == "random" else None
    return match(problem, problem.spec, start=first, generator=orders)


def _plan(count: int) -> list[tuple[str, str, int]]:
    """Start, order and number of each descent; the first is deterministic, so it is there once."""
    plan = [("identity", "fixed", 1)]
    for begin in ("identity", "random"):
        plan += [(begin, "random", number) for number in range(1, count + 1)]
    return plan


def _sweeps_of(matching: Matching | None) -> int:
    return len(matching.objective) - 1 if matching else 0
