"""The times at which a linear trajectory is read: from 0, its start, to 1, its end."""

from __future__ import annotations

import math
from numbers import Integral

MOST_STEPS = 10_000  # a hundred times what transfers use: more is a mistake


def uniform(steps: int) -> tuple[float, ...]:
    """``t / T`` for t = 0..T: the schedule of the published paper."""
    _require_steps(steps)
    return tuple(t / steps for t in range(steps + 1))


def cosine(steps: int) -> tuple[float, ...]:
    """Times that grow by shares of ``1 + cos(pi t / T)``, t = 0..T-1: the schedule of arXiv v1."""
    _require_steps(steps)
    increments = [1 + math.cos(math.pi * t / steps) for t in range(steps)]
    whole = sum(increments)
    times = [sum(increments[:t]) / whole for t in range(steps)]
    return (*times, 1.0)


SCHEDULES = {"uniform": uniform, "cosine": cosine}


def _require_steps(steps: int) -> None:
    if not isinstance(steps, Integral) or isinstance(steps, bool):
        raise TypeError(f"steps={steps!r} is not a whole number; pass an int, for example 30")
    if steps < 1:
        raise ValueError(
            f"a trajectory needs at least one step, got steps={steps}; pass 30, for example"
        )
    if steps > MOST_STEPS:
        raise ValueError(f"steps={steps} is more than {MOST_STEPS:,}; pass fewer, for example 30")
