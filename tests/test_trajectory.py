"""Linear trajectories and their times."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import trajtransfer as tt


def point(*values: float) -> tt.Params:
    return tt.Params({"w": torch.tensor(values)})


@pytest.mark.parametrize("schedule", [tt.uniform, tt.cosine])
@given(st.integers(1, 60))
def test_times_rise_from_0_to_1(schedule, steps):
    times = schedule(steps)
    assert len(times) == steps + 1
    assert times[0] == 0
    assert times[-1] == 1
    assert all(a < b for a, b in pairwise(times))


@given(st.integers(2, 60))
def test_increments(steps):
    assert all(b - a == pytest.approx(1 / steps) for a, b in pairwise(tt.uniform(steps)))
    times = tt.cosine(steps)
    ratio = (times[1] - times[0]) / (times[-1] - times[-2])
    assert ratio == pytest.approx(2 / (1 + math.cos(math.pi * (steps - 1) / steps)))


def test_a_line_is_a_sequence_of_points():
    start = point(0.0, 0.0, 0.0)
    end = point(8.0, 8.0, 8.0)
    line = tt.Line(start, end, tt.uniform(4))
    assert len(line) == 5
    assert line[0] is start
    assert line[-1] is end
    assert [float(x["w"][0]) for x in line] == [0, 2, 4, 6, 8]
    assert [float(x["w"][0]) for x in line[:]] == [0, 2, 4, 6, 8]
    with pytest.raises(IndexError):
        line[5]


@pytest.mark.parametrize("times", [[0.0], [0.0, 0.5], [0.1, 1.0], [0.0, 0.6, 0.5, 1.0]])
def test_other_times_are_refused(times):
    with pytest.raises(ValueError, match="rise from 0 to 1"):
        tt.Line(point(0.0), point(0.0), times)


@pytest.mark.parametrize("schedule", [tt.uniform, tt.cosine])
def test_no_steps_are_refused(schedule):
    with pytest.raises(ValueError, match="at least one step, got steps=0"):
        schedule(0)


@pytest.mark.parametrize(
    "times",
    [np.array([0, 0.5, 1]), tuple(np.linspace(0, 1, 3)), [0, torch.tensor(0.5).item(), 1]],
)
def test_times_of_numpy_are_numbers(times):
    line = tt.Line(point(0.0, 0.0), point(1.0, 1.0), times)
    assert line[1]["w"].tolist() == [0.5, 0.5]


def test_whole_numbers_make_no_line():
    start, end = (tt.Params({"w": torch.tensor([x], dtype=torch.uint8)}) for x in (5, 1))
    with pytest.raises(ValueError, match="convert both to one floating-point type"):
        tt.Line(start, end, (0, 1))
