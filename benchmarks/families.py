"""Matrices that assignment solvers find easy, hard or degenerate: functions of (n, generator)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Matrix = np.ndarray
Generator = np.random.Generator


def _real(rank: int) -> Callable[[int, Generator], Matrix]:
    """Like gains of gradients: few directions, and rows and columns of very different length."""

    def make(n: int, g: Generator) -> Matrix:
        rows = g.standard_normal((n, rank)) * g.lognormal(0, 1, (n, 1))
        columns = g.standard_normal((n, rank)) * g.lognormal(0, 1, (n, 1))
        return rows @ columns.T

    return make


def _planted(n: int, g: Generator) -> Matrix:
    return g.standard_normal((n, n)) + 8 * np.eye(n)[g.permutation(n)]


def _spoiled(change: Callable[[Matrix, Generator], object]) -> Callable[[int, Generator], Matrix]:
    """Gaussian entries, changed in place."""

    def make(n: int, g: Generator) -> Matrix:
        a = g.standard_normal((n, n))
        change(a, g)
        return a

    return make


def _dead(rows: float, columns: float) -> Callable[[Matrix, Generator], object]:
    def change(a: Matrix, g: Generator) -> None:
        a[g.random(len(a)) < rows] = 0
        a[:, g.random(len(a)) < columns] = 0

    return change


def _repeated(axis: int) -> Callable[[int, Generator], Matrix]:
    return lambda n, g: np.take(g.standard_normal((n, n)), g.integers(0, max(1, n // 4), n), axis)


FAMILIES: dict[str, Callable[[int, Generator], Matrix]] = {
    "Gaussian": lambda n, g: g.standard_normal((n, n)),
    "uniform": lambda n, g: g.random((n, n)),
    "Cauchy": lambda n, g: g.standard_cauchy((n, n)),
    "negative": lambda n, g: -g.exponential(1, (n, n)),
    "rank 1": _real(1),
    "rank 3": _real(3),
    "rank 10": _real(10),
    "rectified rank 10": lambda n, g: np.maximum(_real(10)(n, g), 0),
    "planted": _planted,
    "sorted product": lambda n, g: np.outer(np.arange(n), np.arange(n)) / n,
    "integers below 3": lambda n, g: g.integers(0, 3, (n, n)).astype(float),
    "integers below 100": lambda n, g: g.integers(0, 100, (n, n)).astype(float),
    "sparse": lambda n, g: g.standard_normal((n, n)) * (g.random((n, n)) < 0.05),
    "one entry": lambda n, g: np.eye(n) * (np.arange(n) == n // 2),
    "equal entries": lambda n, g: np.full((n, n), -3.25),
    "dead rows": _spoiled(_dead(0.3, 0)),
    "mostly dead rows": _spoiled(_dead(0.9, 0)),
    "dead columns": _spoiled(_dead(0, 0.3)),
    "dead rows and columns": _spoiled(_dead(0.3, 0.3)),
    "repeated rows": _repeated(0),
    "repeated columns": _repeated(1),
    "scaled rows": lambda n, g: g.standard_normal((n, n)) * 10 ** g.uniform(-6, 6, (n, 1)),
    "scaled columns": lambda n, g: g.standard_normal((n, n)) * 10 ** g.uniform(-6, 6, (1, n)),
    "shifted rows": lambda n, g: g.standard_normal((n, n)) + 1e3 * g.standard_normal((n, 1)),
    "shifted columns": lambda n, g: g.standard_normal((n, n)) + 1e3 * g.standard_normal((1, n)),
    "one outlier": _spoiled(lambda a, g: a.__setitem__((0, -1), 1e9)),
    "coveted columns": _spoiled(lambda a, g: a[: len(a) // 2, :2].__iadd__(1e6)),
    "tiny": lambda n, g: 1e-30 * g.standard_normal((n, n)),
    "huge": lambda n, g: 1e30 * g.standard_normal((n, n)),
}
