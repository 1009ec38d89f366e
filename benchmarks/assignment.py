"""Assignment against SciPy and what else can be installed, on gains of real gradients and on hard families."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

from benchmarks.families import FAMILIES
from benchmarks.measure import Row, exponent, in_turn, rows
from benchmarks.networks import mlp
from trajtransfer.matching.assignment import assign, prepare
from trajtransfer.matching.gain_cache import Pairs
from trajtransfer.permutation import Permutation

SLOW = 4096  # above this size SciPy takes minutes and runs once, and other packages are left out


def others(n: int) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """Solvers of other packages that are installed; lapx takes minutes on large problems."""
    found: dict[str, Callable[[np.ndarray], np.ndarray]] = {}
    if find_spec("lap") and n <= SLOW // 2:
        import lap

        found["lapx"] = lambda a: lap.lapjv(-a.astype(float))[1]
    if find_spec("ortools"):
        from ortools.graph.python import linear_sum_assignment as ortools

        def solve(a: np.ndarray) -> np.ndarray:
            scaled = np.rint(-a.astype(float) / np.abs(a).max() * 2**40 / len(a)).astype(np.int64)  # whole numbers only
            solver, (i, j) = ortools.SimpleLinearSumAssignment(), np.indices(a.shape).reshape(2, -1)
            solver.add_arcs_with_cost(i, j, scaled.ravel())
            solver.solve()
            return np.array([solver.right_mate(row) for row in range(len(a))])

        found["OR-Tools"] = solve
    if find_spec("ot"):
        import ot

        weights = np.ones(n) / n
        found["POT"] = lambda a: ot.emd(weights, weights, -a.astype(float), numItermax=10**8).argmax(1)
    return found


def real(n: int) -> torch.Tensor:
    """Gains of the hidden units of a 2-MLP, summed over three pairs of gradients."""
    case = mlp(n, images=10_000)
    (units,) = case.spec.sizes
    return Pairs(case.spec, case.pairs(3)).gains(units, Permutation.identity(case.spec))


def compare(case: str, gain: torch.Tensor, repeats: int, everything: bool) -> list[Row]:
    """All solvers on one matrix, with the value each finds relative to SciPy's."""
    matrix, n, found = gain.numpy(), len(gain), {}
    slow = {"SciPy": lambda a: linear_sum_assignment(a, maximize=True)[1], **(others(n) if everything and n <= SLOW else {})}
    candidates = {
        **slow,
        "exact": lambda a: assign(gain, "units").columns.numpy(),
        "gap 1e-3": lambda a: assign(gain, "units", tolerance=1e-3).columns.numpy(),
    }

    def run(name: str) -> Callable[[], None]:
        return lambda: found.update({name: candidates[name](matrix)})

    seconds = in_turn({name: run(name) for name in candidates}, 1 if n > SLOW else repeats)
    values = {name: float(matrix[np.arange(n), columns].sum(dtype=float)) for name, columns in found.items()}
    table = rows("assignment", case, seconds, "SciPy", n=n)
    best, mean = values["SciPy"], float(matrix.sum(dtype=float)) / n
    for row in table:
        row["loss"] = (best - values[row["what"]]) / (best - mean) if best > mean else 0.0
    return table


def run(smoke: bool) -> list[Row]:
    """Real matrices by size, then families."""
    prepare()
    assign(torch.randn(300, 300), "compilation", tolerance=1e-3)
    table: list[Row] = []
    for n in (256, 512) if smoke else (512, 1024, 2048, 4096, 8192):
        table += compare("real gradients", real(n), repeats=3 if smoke else 5, everything=not smoke)
    for family, make in FAMILIES.items():
        gain = torch.from_numpy(make(256 if smoke else 1024, np.random.default_rng(0)).astype(np.float32))
        table += compare(family, gain, repeats=1 if smoke else 3, everything=False)
    for what in ("exact", "SciPy"):
        measured = [row for row in table if row["case"] == "real gradients" and row["what"] == what]
        fit = exponent([row["n"] for row in measured], [row["seconds"] for row in measured])
        table.append({"benchmark": "assignment", "case": "real gradients", "what": what, "exponent in n": fit})
    return table
