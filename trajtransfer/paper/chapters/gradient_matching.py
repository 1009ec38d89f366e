"""Matching gradients along a trajectory: how transferred points move (section 3.3, Lemma 3.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import pandas as pd
import torch

from trajtransfer.algorithms import Step, moved
from trajtransfer.objective import gradient
from trajtransfer.paper.datasets.tasks import sample
from trajtransfer.paper.lab import Lab
from trajtransfer.paper.seeds import Seeds
from trajtransfer.paper.unit_of_work import tables
from trajtransfer.params import Params
from trajtransfer.permutation import Permutation

Row = dict[str, Any]


def drifts(lab: Lab, methods: Sequence[str], pairs: Sequence[Seeds]) -> pd.DataFrame:
    """The `drift` of all methods on all pairs."""
    return tables(lab.unit(drift_of, method, seeds) for method in methods for seeds in pairs)


def drift_of(lab: Lab, method: str, seeds: Seeds) -> list[Row]:
    """The `drift` of one method on one pair."""
    steps = list(lab.steps(method, seeds))
    return [{"method": method, "pair": str(seeds)} | row for row in drift(lab, seeds, steps)]


def drift(lab: Lab, seeds: Seeds, steps: Sequence[Step]) -> list[Row]:
    """How far each step s moved the earlier transferred points t = 1..s-1 (Lemma 3.2 says: little).

    `distance` is ``||pi_s(d_t) - pi_(s-1)(d_t)||`` with ``d_t = source[t] - source[0]``, `relative`
    the same over ``||d_t||``, `control` the distance for two random permutations, and
    `gradient_cosine` compares the gradients at the two points on B fixed samples, which is what the
    cache of FGMT relies on. Raises ``ValueError`` for fewer than two steps.
    """
    if len(steps) < 2:
        raise ValueError("the drift between steps needs at least two; set steps to 2 or more")
    line = lab.line(seeds.source)
    start = lab.network(seeds.target).start
    generator = torch.Generator().manual_seed(0)
    batch = next(sample(lab.task.train, lab.setting.batch_size, generator))
    rows = []
    for before, after in pairwise(steps):
        for t in range(1, after.t):
            points = [moved(line, start, t, step.permutation) for step in (before, after)]
            a, b = (gradient(lab.model, point, batch) for point in points)
            cosine = (a @ b) / (a.norm() * b.norm())
            shift = line[t] - line[0]
            distance = (points[1] - points[0]).norm()
            about = {
                "s": after.t,
                "t": t,
                "distance": distance,
                "relative": distance / shift.norm(),
            }
            control = _strangers(after.permutation, shift, generator)
            rows.append(about | {"control": control, "gradient_cosine": cosine})
    return rows


def _strangers(pi: Permutation, shift: Params, generator: torch.Generator) -> float:
    """The distance of a movement under two random permutations."""
    first, second = (Permutation.random(pi.spec, generator)(shift) for _ in range(2))
    return (second - first).norm()


def projected(runs: Mapping[str, Sequence[Params]], first: str, second: str) -> pd.DataFrame:
    """Displacements from their starts, projected on the plane of the final ones of two runs.

    The first axis points along the run `first`, the second along the part of `second` orthogonal to
    it.
    """
    ends = {name: run[-1] - run[0] for name, run in runs.items()}
    u = ends[first] * (1 / ends[first].norm())
    across = ends[second] - (ends[second] @ u) * u
    v = across * (1 / across.norm())
    rows: list[Row] = []
    for name, run in runs.items():
        for t, point in enumerate(run):
            away = point - run[0]
            rows.append({"trajectory": name, "t": t, "u": away @ u, "v": away @ v})
    return pd.DataFrame(rows)
