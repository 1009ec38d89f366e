"""Learning trajectories: points of weight space, from an initialisation to a trained network."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from numbers import Real
from typing import overload

from trajtransfer.params import Params


class Line(Sequence[Params]):
    """The linear trajectory ``(1 - times[t]) * start + times[t] * end``, t = 0..T (section 3.4).

    `times` runs from 0 to 1 without decreasing, as from `uniform` or `cosine`. Only the two ends
    are stored; points are made on demand. A plain list of `Params` is a trajectory too. Raises
    ``ValueError`` for other times, and for ends that are not finite, have different tensors or
    types, or lie too far apart for their type.
    """

    def __init__(self, start: Params, end: Params, times: Sequence[float]):
        _require_rising(times)
        self.start = start
        self.end = end
        self.times = tuple(float(time) for time in times)
        self._direction = _difference(start, end)

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
        if time == 0.0:  # the ends themselves, free of rounding
            return self.start
        if time == 1.0:
            return self.end
        return self.start + time * self._direction


def _require_rising(times: Sequence[float]) -> None:
    """Raise unless these are numbers that rise from 0 to 1; NaN is in no order with others."""
    if not hasattr(times, "__len__") or not all(isinstance(time, Real) for time in times):
        raise TypeError(
            f"times must be a list of numbers, got {times!r}; pass uniform(steps), for example"
        )
    ends = len(times) >= 2 and times[0] == 0 and times[-1] == 1
    if not ends or not all(a <= b for a, b in pairwise(times)):
        raise ValueError(
            f"times must rise from 0 to 1, got {list(times)}; pass uniform(steps), for example"
        )


def _difference(start: Params, end: Params) -> Params:
    """``end - start`` of two finite points of one type."""
    for name in start.keys() & end.keys():
        first = start[name].dtype
        last = end[name].dtype
        if first != last or not first.is_floating_point:
            raise ValueError(
                f"{name!r} is of {first} at the start of the line and of {last} at its end; "
                "convert both to one floating-point type, e.g. point.to(torch.float32)"
            )
    direction = end - start
    for name, x in direction.items():
        if not x.isfinite().all():
            raise ValueError(_why_not_finite(name, start, end))
    return direction


def _why_not_finite(name: str, start: Params, end: Params) -> str:
    for what, point in (("start", start), ("end", end)):
        if not point[name].isfinite().all():
            return (
                f"{name!r} holds NaN or infinite entries at the {what} of the line; "
                "check that the source run did not diverge"
            )
    return (
        f"the ends of the line are too far apart at {name!r}: their difference overflows "
        f"{start[name].dtype}; scale the weights down or convert both points to torch.float64"
    )
