"""How transferred points move: distances and projections by hand, and between real steps."""

from __future__ import annotations

import math

import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from trajtransfer.paper.chapters import gradient_matching
from trajtransfer.paper.lab import Lab
from trajtransfer.paper.seeds import Seeds
from trajtransfer.paper.settings import setting
from trajtransfer.params import Params

pytestmark = pytest.mark.usefixtures("home")  # one project for the module
TINY = setting("mnist5k-mlp", width=8, epochs=2, steps=3)
PAIR = Seeds(1, 2)


@pytest.fixture
def lab():
    return Lab(TINY, "cpu")


def drift(lab, method):
    steps = list(lab.steps(method, PAIR))
    return pd.DataFrame(gradient_matching.drift(lab, PAIR, steps)), steps


def test_every_earlier_point_is_compared_at_every_step(lab):
    rows, _ = drift(lab, "gmt")
    assert list(zip(rows["s"], rows["t"], strict=True)) == [(2, 1), (3, 1), (3, 2)]


def test_a_permutation_that_stays_moves_nothing(lab):
    rows, _ = drift(lab, "naive")
    assert (rows["distance"] == 0).all() and (rows["relative"] == 0).all()
    assert list(rows["gradient_cosine"]) == pytest.approx([1] * 3)
    assert (rows["control"] > 0).all()


def test_the_distance_is_that_of_the_two_moved_points(lab):
    rows, steps = drift(lab, "gmt")
    line = lab.line(1)
    assert (rows["distance"] > 0).any()
    for row in rows.to_dict("records"):
        shift = line[int(row["t"])] - line[0]
        before, after = (steps[int(row["s"]) - k].permutation(shift) for k in (2, 1))
        assert row["distance"] == pytest.approx((after - before).norm(), rel=1e-4, abs=1e-5)
        assert row["relative"] == pytest.approx(row["distance"] / shift.norm())


def test_the_drift_of_all_pairs_is_that_of_each(lab):
    found = gradient_matching.drifts(lab, ["gmt", "naive"], [PAIR, Seeds(2, 1)])
    assert len(found) == 2 * 2 * 3
    mine = found[(found["method"] == "gmt") & (found["pair"] == "1-2")]
    rows, _ = drift(lab, "gmt")
    assert_frame_equal(mine[list(rows)].reset_index(drop=True), rows)


def test_two_steps_are_needed(lab):
    first = next(lab.steps("naive", PAIR))
    with pytest.raises(ValueError, match="needs at least two; set steps to 2 or more"):
        gradient_matching.drift(lab, PAIR, [first])


def point(*values):
    return Params({"weight": torch.tensor(values)})


def run(seed, length=4):
    generator = torch.Generator().manual_seed(seed)
    return [point(*torch.randn(6, generator=generator).tolist()) for _ in range(length)]


@given(seed=st.integers(0, 2**31))
def test_the_ends_of_two_runs_lie_in_the_plane_that_they_span(seed):
    runs = {"a": run(seed), "b": run(seed + 1, length=3)}
    rows = gradient_matching.projected(runs, "a", "b")
    assert list(rows["t"]) == [0, 1, 2, 3, 0, 1, 2]
    last = rows.groupby("trajectory").last()
    for name, points in runs.items():
        length = (points[-1] - points[0]).norm()
        assert math.hypot(last.loc[name, "u"], last.loc[name, "v"]) == pytest.approx(
            length, rel=1e-3
        )
    assert last.loc["a", "v"] == pytest.approx(0, abs=1e-4) and last.loc["b", "v"] > 0
    starts = rows[rows["t"] == 0]
    assert (starts[["u", "v"]] == 0).all(axis=None)


def test_a_projection_by_hand():
    along = [point(1.0, 1.0, 1.0), point(2.0, 1.0, 1.0), point(5.0, 1.0, 1.0)]
    across = [point(0.0, 0.0, 0.0), point(3.0, 2.0, 0.0)]
    outside = [point(0.0, 0.0, 0.0), point(1.0, 1.0, 9.0)]
    runs = {"along": along, "across": across, "outside": outside}
    rows = gradient_matching.projected(runs, "along", "across")
    found = list(zip(rows["u"], rows["v"], strict=True))
    assert found == [(0, 0), (1, 0), (4, 0), (0, 0), (3, 2), (0, 0), (1, 1)]
