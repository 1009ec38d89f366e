"""Segments and planes on losses whose shape is known."""

from __future__ import annotations

import math
from itertools import product

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import trajtransfer as tt
from trajtransfer.landscape import frame


def point(*values: float) -> tt.Params:
    return tt.Params({"w": torch.tensor(values, dtype=torch.float64)})


def valley(x: tt.Params) -> tt.Score:
    """(x^2 - 1)^2: two minima at -1 and 1, a barrier of height 1 between them."""
    w = float(x["w"][0])
    return tt.Score((w * w - 1) ** 2, 0.0)


def bowl(x: tt.Params) -> tt.Score:
    return tt.Score(float(x["w"][0]) ** 2, 0.0)


def test_the_barrier_of_a_double_well():
    assert tt.interpolate(point(-1), point(1), valley, 21).barrier == pytest.approx(1)
    coarse = tt.interpolate(point(-1), point(1), valley, [0, 0.25, 1])
    assert coarse.barrier == pytest.approx(0.75**2)


def test_a_convex_loss_has_no_barrier():
    profile = tt.interpolate(point(-3), point(5), bowl)
    assert profile.barrier == pytest.approx(0, abs=1e-12)
    assert len(profile.positions) == 11
    assert profile.scores[0].loss == 9
    assert profile.scores[-1].loss == 25


def test_the_barrier_of_accuracy_is_a_fall():
    def accuracy(x: tt.Params) -> tt.Score:
        return tt.Score(0.0, 1 - valley(x).loss)

    assert tt.interpolate(point(-1), point(1), accuracy, 21).accuracy_barrier == pytest.approx(1)


def test_a_plane_keeps_distances_and_sees_its_points():
    corners = (point(1, 0, 2), point(4, 0, 2), point(2, 5, 2))

    def distance(x: tt.Params) -> tt.Score:
        return tt.Score(float((x - corners[0]).norm()), 0.0)

    found = tt.plane(*corners, distance, resolution=9)
    for (p, x), (q, y) in product(zip(found.points, corners, strict=True), repeat=2):
        assert math.dist(p, q) == pytest.approx((x - y).norm())
    for i, v in enumerate(found.v):
        for j, u in enumerate(found.u):
            assert found.scores[i][j].loss == pytest.approx(math.hypot(u, v))
    assert found.u[0] < 0 < found.points[1][0] < found.u[-1]


@given(seed=st.integers(0, 2**31))
def test_coordinates_in_a_frame_are_those_of_the_nearest_point(seed):
    generator = torch.Generator().manual_seed(seed)
    a, b, c, away = (point(*torch.randn(6, generator=generator).tolist()) for _ in range(4))
    within = frame(a, b, c)
    assert within.coordinates(a) == pytest.approx((0, 0, 0))
    assert within.coordinates(b) == pytest.approx(((b - a).norm(), 0, 0))
    u, v, distance = within.coordinates(away)
    nearest = within.point(u, v)
    assert (away - nearest).norm() == pytest.approx(distance)
    assert within.coordinates(nearest) == pytest.approx((u, v, 0))
    for corner in (a, b, c):  # the shortest way to a plane is at right angles to it
        assert (away - nearest) @ (corner - nearest) == pytest.approx(0, abs=1e-9)


def test_bad_geometry_is_refused():
    with pytest.raises(ValueError, match="from 0 to 1"):
        tt.interpolate(point(0), point(1), valley, [0.5, 1])
    with pytest.raises(ValueError, match="on a line"):
        tt.plane(point(0, 0), point(1, 1), point(2, 2), valley)
    with pytest.raises(ValueError, match="the same"):
        tt.plane(point(0, 0), point(0, 0), point(2, 2), valley)
