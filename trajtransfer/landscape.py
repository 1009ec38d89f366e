"""Loss and accuracy along segments and over planes of weight space."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from trajtransfer.objective import Score
from trajtransfer.params import Params

Evaluate = Callable[[Params], Score]


@dataclass(frozen=True)
class Interpolation:
    """Scores at `positions` of a segment (0: its start, 1: its end)."""

    positions: tuple[float, ...]
    scores: tuple[Score, ...]

    @property
    def barrier(self) -> float:
        """How far the loss rises above the straight line between both ends; at least 0."""
        return self._rise([score.loss for score in self.scores])

    @property
    def accuracy_barrier(self) -> float:
        """How far the accuracy falls below the straight line between both ends; at least 0."""
        return self._rise([-score.accuracy for score in self.scores])

    def _rise(self, values: Sequence[float]) -> float:
        first = values[0]
        last = values[-1]
        at = zip(self.positions, values, strict=True)
        return max(value - (1 - p) * first - p * last for p, value in at)


def interpolate(
    start: Params, end: Params, evaluate: Evaluate, positions: Sequence[float] | int = 11
) -> Interpolation:
    """Scores of ``(1 - p) start + p end``.

    Raises ``ValueError`` for positions that do not lead from 0 to 1.

    Args:
        start: The point at p = 0.
        end: The point at p = 1.
        evaluate: A function of a point to its `Score`.
        positions: The p, rising from 0 to 1, or how many of them, evenly spaced.
    """
    if isinstance(positions, int):
        positions = [i / max(1, positions - 1) for i in range(positions)]
    if len(positions) < 2 or positions[0] != 0 or positions[-1] != 1:
        raise ValueError(f"positions must be at least two, from 0 to 1, got {list(positions)}")
    direction = end - start
    scores = tuple(evaluate(start + p * direction) for p in positions)
    return Interpolation(tuple(positions), scores)


@dataclass(frozen=True)
class Frame:
    """A plane in weight space: its `origin`, and the directions `u` and `v`, of length 1."""

    origin: Params
    u: Params
    v: Params

    def coordinates(self, point: Params) -> tuple[float, float, float]:
        """Where a point falls on the plane, (u, v), and its distance from there."""
        away = point - self.origin
        u = away @ self.u
        v = away @ self.v
        return u, v, (away - u * self.u - v * self.v).norm()

    def point(self, u: float, v: float) -> Params:
        """The point of the plane at such coordinates."""
        return self.origin + u * self.u + v * self.v


def frame(a: Params, b: Params, c: Params) -> Frame:
    """The plane through three points, with `a` at the origin, `b` on the u axis and `c` above it.

    Raises ``ValueError`` when the three points lie on a line.

    Args:
        a: The point at the origin.
        b: The point on the u axis.
        c: A point beside that axis.
    """
    along = b - a
    width = along.norm()
    if width == 0:
        raise ValueError("the points a and b of the plane are the same")
    u = along * (1 / width)
    across = c - a
    across = across - (across @ u) * u
    height = across.norm()
    if height <= 1e-6 * width:
        raise ValueError("the three points lie on a line and span no plane")
    return Frame(a, u, across * (1 / height))


@dataclass(frozen=True)
class Plane:
    """Scores over a plane: ``scores[i][j]`` at ``(u[j], v[i])``, in units of distance in weight
    space.

    `points` are the coordinates of the three points that span the plane.
    """

    u: tuple[float, ...]
    v: tuple[float, ...]
    scores: tuple[tuple[Score, ...], ...]
    points: tuple[tuple[float, float], ...]


def plane(
    a: Params,
    b: Params,
    c: Params,
    evaluate: Evaluate,
    *,
    resolution: int = 11,
    margin: float = 0.2,
) -> Plane:
    """Scores over the `frame` of three points, with `a` at the origin and `b` on the u axis.

    Raises ``ValueError`` when the three points lie on a line.

    Args:
        a: The point at the origin.
        b: The point on the u axis.
        c: The third point.
        evaluate: A function of a point to its `Score`.
        resolution: How many points the grid has on a side.
        margin: How far the grid goes beyond the triangle, as a share of its extent.
    """
    found = frame(a, b, c)
    width = (b - a).norm()
    shift = (c - a) @ found.u
    height = (c - a) @ found.v
    us = _grid(min(0, shift), max(width, shift), margin, resolution)
    vs = _grid(0, height, margin, resolution)
    scores = []
    for y in vs:
        scores.append(tuple(evaluate(found.point(x, y)) for x in us))
    return Plane(us, vs, tuple(scores), ((0.0, 0.0), (width, 0.0), (shift, height)))


def _grid(low: float, high: float, margin: float, count: int) -> tuple[float, ...]:
    """Evenly spaced numbers over an interval and a share `margin` of it on both sides."""
    extent = high - low
    first = low - margin * extent
    last = high + margin * extent
    return tuple(first + (last - first) * i / (count - 1) for i in range(count))
