"""Learning trajectories: sequences of points of weight space from an initialisation to a trained network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import overload

from trajtransfer.params import Params


class Line(Sequence[Params]):
    """The linear trajectory ``(1 - times[t]) * start + times[t] * end``, t = 0..T, made on demand (section 3.4).

    `times` runs from 0 to 1 without decreasing, as from `uniform` or `cosine`. Only the two ends are stored.
    A plain list of `Params` is a trajectory too.
    """

    def __init__(self, start: Params, end: Params, times: Sequence[float]):
        if len(times) < 2 or times[0] != 0 or times[-1] != 1 or any(b < a for a, b in pairwise(times)):
            raise ValueError(f"times must rise from 0 to 1, got {list(times)}")
        self.start, self.end, self.times = start, end, tuple(times)
        self._direction = end - start

    def __len__(self) -> int:
        return len(self.times)

    @overload
    def __getitem__(self, t: int) -> Params: ...
    @overload
    def __getitem__(self, t: slice) -> list[Params]: ...
    def __getitem__(self, t: int | slice) -> Params | list[Params]:
        if isinstance(t, slice):
            return [self[i] for i in range(*t.indices(len(self)))]
        time = self.times[t]
        if time in (0.0, 1.0):  # the ends themselves, free of rounding
            return self.end if time else self.start
        return self.start + time * self._direction


def uniform(steps: int) -> tuple[float, ...]:
    """``t / T`` for t = 0..T: the schedule of the published paper."""
    _require_steps(steps)
    return tuple(t / steps for t in range(steps + 1))


def cosine(steps: int) -> tuple[float, ...]:
    """Times whose increments are proportional to ``1 + cos(pi t / T)``, t = 0..T-1: the schedule of arXiv v1."""
    _require_steps(steps)
    increments = [1 + math.cos(math.pi * t / steps) for t in range(steps)]
    times = [sum(increments[:t]) / sum(increments) for t in range(steps)]
    return (*times, 1.0)


SCHEDULES = {"uniform": uniform, "cosine": cosine}


def _require_steps(steps: int) -> None:
    if steps < 1:
        raise ValueError(f"a trajectory needs at least one step, got steps={steps}")
