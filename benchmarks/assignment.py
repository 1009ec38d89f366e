"""Assignment against SciPy and other packages, on gains of real gradients and on hard families."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

from benchmarks.families import FAMILIES
from benchmarks.measure import Row, exponent, in_turn, rows
from benchmarks.networks import mlp
from trajtransfer.matching.assignment import assign, prepare
from trajtransfer.matching.pairs import Pairs
from trajtransfer.permutation import Permutation

Solver = Callable[[np.ndarray], np.ndarray]
SLOW = 4096  # above this size SciPy takes minutes and runs once, and other packages are left out


def ours(tolerance: float) -> Solver:
    def solve(gain: np.ndarray) -> np.ndarray:
        return assign(torch.from_numpy(gain), "units", tolerance=tolerance).columns.numpy()

    return solve


def scipy(gain: np.ndarray) -> np.ndarray:
    return linear_sum_assignment(gain, maximize=True)[1]


def lapx(gain: np.ndarray) -> np.ndarray:
    import lap

    return lap.lapjv(-gain.astype(float))[1]


def ortools(gain: np.ndarray) -> np.ndarray:
    from ortools.graph.python import linear_sum_assignment as package

    cost = -gain.astype(float) / np.abs(gain).max()
    whole = np.rint(cost * 2**40 / len(gain)).astype(np.int64)  # it takes whole numbers only
    i, j = np.indices(gain.shape).reshape(2, -1)
    solver = package.SimpleLinearSumAssignment()
    solver.add_arcs_with_cost(i, j, whole.ravel())
    solver.solve()
    return np.array([solver.right_mate(row) for row in range(len(gain))])


def pot(gain: np.ndarray) -> np.ndarray:
    import ot

    weights = np.ones(len(gain)) / len(gain)
    return ot.emd(weights, weights, -gain.astype(float), numItermax=10**8).argmax(1)


def others(n: int) -> dict[str, Solver]:
    """Solvers of other packages that are installed; lapx takes minutes on large problems."""
    found: dict[str, Solver] = {}
    if find_spec("lap") and n <= SLOW // 2:
        found["lapx"] = lapx
    if find_spec("ortools") and n <= SLOW:
        found["OR-Tools"] = ortools
    if find_spec("ot") and n <= SLOW:
        found["POT"] = pot
    return found


def real(n: int) -> torch.Tensor:
    """Gains of the hidden units of a 2-MLP, summed over three pairs of gradients."""
    case = mlp(n, images=10_000)
    (units,) = case.spec.sizes
    return Pairs(case.spec, case.pairs(3)).gains(units, Permutation.identity(case.spec))


def compare(case: str, gain: torch.Tensor, repeats: int, everything: bool) -> list[Row]:
    """All solvers on one matrix, with what each loses of SciPy's value."""
    n = len(gain)
    matrix = gain.numpy()
    candidates: dict[str, Solver] = {"SciPy": scipy}
    if everything:
        candidates |= others(n)
    candidates |= {"exact": ours(0.0), "gap 1e-3": ours(1e-3)}
    found: dict[str, np.ndarray] = {}

    def run(name: str) -> Callable[[], None]:
        return lambda: found.update({name: candidates[name](matrix)})

    runs = {name: run(name) for name in candidates}
    seconds = in_turn(runs, 1 if n > SLOW else repeats)
    table = rows("assignment", case, seconds, "SciPy", n=n)
    losses = lost(matrix, found)
    for row in table:
        row["loss"] = losses[row["what"]]
    return table


def lost(matrix: np.ndarray, found: Mapping[str, np.ndarray]) -> dict[str, float]:
    """What each loses of what SciPy's permutation gains over the mean of all permutations."""
    every = np.arange(len(matrix))
    values = {name: matrix[every, columns].sum(dtype=float) for name, columns in found.items()}
    best = values["SciPy"]
    gained = best - matrix.sum(dtype=float) / len(matrix)
    if gained <= 0:
        return dict.fromkeys(values, 0.0)
    return {name: float((best - value) / gained) for name, value in values.items()}


def growth(table: list[Row], what: str) -> Row:
    """The exponent of the seconds of a solver in the size of real matrices."""
    measured = [row for row in table if (row["case"], row["what"]) == ("real gradients", what)]
    fit = exponent([row["n"] for row in measured], [row["seconds"] for row in measured])
    about = {"benchmark": "assignment", "case": "real gradients", "what": what}
    return {**about, "exponent in n": fit}


def run(smoke: bool) -> list[Row]:
    """Real matrices by size, then families."""
    prepare()
    assign(torch.randn(300, 300), "compilation", tolerance=1e-3)
    table: list[Row] = []
    for n in (256, 512) if smoke else (512, 1024, 2048, 4096, 8192):
        table += compare("real gradients", real(n), 3 if smoke else 5, everything=not smoke)
    n = 256 if smoke else 1024
    for family, make in FAMILIES.items():
        gain = torch.from_numpy(make(n, np.random.default_rng(0)).astype(np.float32))
        table += compare(family, gain, 1 if smoke else 3, everything=False)
    return [*table, growth(table, "exact"), growth(table, "SciPy")]
