"""Controls: as far as a transfer and in no direction of its own; how far networks moved."""

from __future__ import annotations

import pytest
import torch
from pandas.testing import assert_frame_equal

from trajtransfer.paper import controls
from trajtransfer.paper.controls import NOISE, RANDOM
from trajtransfer.paper.lab import Lab
from trajtransfer.paper.seeds import Seeds
from trajtransfer.paper.settings import setting

pytestmark = pytest.mark.usefixtures("home")  # one project for the module
TINY = setting("mnist5k-mlp", width=8, epochs=2, steps=3)
PAIR = Seeds(1, 2)


@pytest.fixture
def lab():
    return Lab(TINY, "cpu")


@pytest.fixture
def points(lab, monkeypatch):
    """What the controls score, step by step, each of both in its turn."""
    found = []
    original = Lab.scores

    def spy(self, params, *splits):
        found.append(params)
        return original(self, params, *splits)

    monkeypatch.setattr(Lab, "scores", spy)
    rows = controls.unmatched(lab, PAIR)
    return list(zip([row["method"] for row in rows], found, strict=True))


def test_there_is_a_row_per_pair_step_and_control(lab):
    rows = controls.controls(lab, [PAIR, Seeds(2, 1)])
    found = list(zip(rows["pair"], rows["t"], rows["method"], strict=True))
    pairs = ("1-2", "2-1")
    assert found == [(p, t, m) for p in pairs for t in (1, 2, 3) for m in (RANDOM, NOISE)]
    assert rows[["accuracy", "selection_accuracy"]].stack().between(0, 1).all()
    assert_frame_equal(controls.controls(Lab(TINY, "cpu"), [PAIR, Seeds(2, 1)]), rows)


def test_every_tensor_moves_as_far_as_in_the_source(lab, points):
    line = lab.line(1)
    start = lab.network(2).start
    for number, (method, point) in enumerate(points):
        shift = line[number // 2 + 1] - line[0]
        for name, x in (point - start).items():
            assert float(x.norm()) == pytest.approx(float(shift[name].norm()), rel=1e-4), method


def test_the_random_permutation_is_one_for_all_steps(lab, points):
    start = lab.network(2).start
    ways = [point - start for method, point in points if method == RANDOM]
    for t, way in enumerate(ways, 1):
        assert float((way - (t / 3) * ways[-1]).norm()) <= 1e-5 * float(way.norm())
    source = lab.line(1)
    shift = source[3] - source[0]
    assert not torch.allclose(ways[-1]["hidden.weight"], shift["hidden.weight"])
    moved = ways[-1]["hidden.weight"].flatten().sort().values
    assert torch.allclose(moved, shift["hidden.weight"].flatten().sort().values, atol=1e-6)


def test_how_far_networks_moved(lab):
    rows = controls.trained(lab, [PAIR]).to_dict("records")
    source = lab.network(1)
    target = lab.network(2)
    cosine = (source.start @ source.end) / (source.start.norm() * source.end.norm())
    assert rows == [
        {
            "pair": "1-2",
            "source accuracy": source.history[-1]["accuracy"],
            "target accuracy": target.history[-1]["accuracy"],
            "movement": pytest.approx((source.end - source.start).norm() / source.start.norm()),
            "cosine": pytest.approx(cosine),
        }
    ]
