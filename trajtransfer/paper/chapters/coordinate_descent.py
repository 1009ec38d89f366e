"""How much coordinate descent a transfer needs: sweeps, restarts, and the order of the groups of units."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from trajtransfer.algorithms import moved
from trajtransfer.matching.descent import match
from trajtransfer.matching.gain_cache import Pairs
from trajtransfer.objective import paired_gradients
from trajtransfer.paper.datasets.tasks import sample
from trajtransfer.paper.experiment import Pair, follow, scores, source_line, specification
from trajtransfer.paper.networks import network, task_of
from trajtransfer.paper.settings import Setting
from trajtransfer.permutation import Permutation

Row = dict[str, Any]


def sweep_rows(setting: Setting, pairs: Sequence[Pair], limits: Sequence[int], device: str) -> list[Row]:
    """FGMT with at most so many sweeps in every match: the rows of `follow` at its last step, best step and sweeps added."""
    rows = []
    for limit in limits:
        for pair in pairs:
            walk = [(step.matching, row) for step, row in follow(setting, "fgmt", pair, device, sweeps=limit)]
            best = max(walk, key=lambda found: found[1]["selection_accuracy"])[1]
            done = sum(len(matching.objective) - 1 for matching, _ in walk if matching)
            rows.append(walk[-1][1] | {"sweeps per match at most": limit, "sweeps": done, "peak": best["accuracy"]})
    return rows


def loss_of_few(rows: Sequence[Row]) -> list[float]:
    """Accuracy at the last step with the most sweeps allowed minus that with the fewest, per pair."""
    few, many = (f(row["sweeps per match at most"] for row in rows) for f in (min, max))
    accuracy = {(row["sweeps per match at most"], row["pair"]): row["accuracy"] for row in rows}
    return [accuracy[many, pair] - accuracy[few, pair] for pair in dict.fromkeys(row["pair"] for row in rows)]


def restart_rows(setting: Setting, pair: Pair, restarts: int, device: str) -> tuple[list[Row], list[Row]]:
    """One match of all gradient pairs along FGMT's trajectory, from several starts in several orders.

    The last sub-problem (equation 7) is posed at the points that FGMT's last permutation leads to, and solved anew from the
    identity with the groups in the order of the specification, from the identity in random orders, and from random
    permutations. Rows per sweep with the objective over its bound, and rows per solution with the accuracy at T.
    """
    source, target = (network(setting, seed, device) for seed in pair)
    line, spec = source_line(setting, source), specification(setting, target.model, device)
    *_, (last, _) = follow(setting, "fgmt", pair, device)
    batches = sample(task_of(setting, device).train, setting.batch_size, torch.Generator().manual_seed(pair[0]))
    gradients, problem = paired_gradients(target.model, batches), Pairs(spec)
    for t in range(setting.steps):
        problem.append(gradients(moved(line, target.start, t, last.permutation), line[t]))
    sweeps, solutions = [], []
    for start, order, number in _plan(restarts):
        generator = torch.Generator().manual_seed(number)
        first = Permutation.random(spec, generator) if start == "random" else None
        found = match(problem, spec, start=first, generator=generator if order == "random" else None)
        about = {"from": f"{start}, {order} order", "number": number}
        sweeps += [about | {"sweep": s, "agreement": x / found.bound} for s, x in enumerate(found.objective)]
        at = moved(line, target.start, setting.steps, found.permutation)
        (score,) = scores(setting, target.model, at, device, ["validation"])
        final = {"agreement": found.objective[-1] / found.bound, "sweeps": len(found.objective) - 1, "accuracy": score.accuracy}
        solutions.append(about | final)
    return sweeps, solutions


def _plan(restarts: int) -> list[tuple[str, str, int]]:
    """Start, order and number of each restart; the first is deterministic, so it is there once."""
    numbers = range(1, restarts + 1)
    return [("identity", "fixed", 1), *(("identity", "random", n) for n in numbers), *(("random", "random", n) for n in numbers)]
