"""Barriers by hand, and segments and planes between networks that are what they say."""

from __future__ import annotations

import math
from itertools import combinations

import pytest

import trajtransfer as tt
from trajtransfer.landscape import Interpolation, Plane
from trajtransfer.paper import experiment, networks
from trajtransfer.paper.chapters import basins
from trajtransfer.paper.settings import setting
from trajtransfer.paper.subsequent import subsequent

pytestmark = pytest.mark.usefixtures("home")  # one project for the module
PAIR = (1, 2)
TINY = setting("mnist5k-mlp", width=8, epochs=3, steps=3, next_epochs=1)


def profile(*accuracies: float, losses=None, positions=(0, 0.25, 1)) -> Interpolation:
    scores = zip(losses or [0.0] * len(accuracies), accuracies, strict=True)
    return Interpolation(tuple(positions), tuple(tt.Score(*score) for score in scores))


def score(params: tt.Params, seed: int = 2) -> tt.Score:
    return networks.evaluate(networks.initialised(TINY, seed), params, networks.task_of(TINY).validation)


def same(a: tt.Params, b: tt.Params) -> bool:
    return (a - b).norm() <= 1e-6 * a.norm()


def spied(monkeypatch, name: str) -> list[tuple]:
    calls, original = [], getattr(basins, name)
    monkeypatch.setattr(basins, name, lambda *a, **k: calls.append(a) or original(*a, **k))
    return calls


def test_barriers_by_hand():
    """Between 0.8 and 0.4 the straight line passes 0.7 at a quarter of the way."""
    assert profile(0.8, 0.5, 0.4).accuracy_barrier == pytest.approx(0.2)
    assert profile(0.8, 0.75, 0.4).accuracy_barrier == 0  # above the line is no barrier
    assert profile(0.4, 0.4, 0.8).accuracy_barrier == pytest.approx(0.1)
    found = profile(0, 0, 0, losses=[1.0, 3.0, 2.0])
    assert found.barrier == pytest.approx(1.75) and found.accuracy_barrier == 0
    assert profile(0.9, 0.2, 0.3, 0.9, positions=(0, 0.4, 0.5, 1)).accuracy_barrier == pytest.approx(0.7)


def test_naive_segments_start_and_end_where_they_say(monkeypatch):
    source, target = (networks.network(TINY, seed) for seed in PAIR)
    calls = spied(monkeypatch, "segment")
    found = basins.segments(TINY, ["naive"], PAIR, "cpu", 3)
    start = target.start + (source.end - source.start)
    assert list(found) == [("naive", "Source*"), ("naive", "trained target")]
    assert all(same(call[0], start) for call in calls)
    assert same(calls[0][1], source.end) and same(calls[1][1], target.end)
    middle = found["naive", "trained target"].scores[1]
    assert middle.loss == pytest.approx(score(0.5 * (start + target.end)).loss, rel=1e-5)


def test_segments_of_a_matching_method_lead_to_the_permuted_source():
    *_, (step, row) = experiment.follow(TINY, "fgmt", PAIR, "cpu")
    source, target = (networks.network(TINY, seed) for seed in PAIR)
    found = basins.segments(TINY, ["oracle", "fgmt"], PAIR, "cpu", 3)
    to_source, to_target = found["fgmt", "Source*"], found["fgmt", "trained target"]
    assert to_source.positions == to_target.positions == (0, 0.5, 1) and len(found) == 4
    for profile in (to_source, to_target):
        assert profile.scores[0] == (pytest.approx(row["loss"]), row["accuracy"])
    assert to_source.scores[-1].loss == pytest.approx(score(source.end).loss, rel=1e-5)  # a permuted network is the same one
    assert to_target.scores[-1].loss == pytest.approx(score(target.end).loss, rel=1e-5)
    middle = 0.5 * (step.params + step.permutation(source.end))
    assert to_source.scores[1].loss == pytest.approx(score(middle).loss, rel=1e-5)


def test_fine_tuned_segments_start_at_the_trained_target():
    found = basins.fine_tuned_segments(TINY, PAIR, "cpu", 3)
    target, tuned = networks.network(TINY, 2), subsequent(TINY, "fgmt", PAIR, "cpu")[0]
    names = ["FGMT+FT", "permuted source", "source as it is"]
    assert list(found) == [("trained target", name) for name in names]
    assert {profile.scores[0] for profile in found.values()} == {score(target.end)}
    ends = [found["trained target", name].scores[-1].loss for name in names]
    assert ends[0] == pytest.approx(score(tuned.end).loss) and ends[1] == pytest.approx(ends[2], rel=1e-5)
    straight, permuted = (found["trained target", name].scores[1].loss for name in ("source as it is", "permuted source"))
    assert straight != pytest.approx(permuted)


def test_the_plane_goes_through_its_corners(monkeypatch):
    calls = spied(monkeypatch, "plane")
    found, names = basins.fine_tuned_plane(TINY, PAIR, "cpu", 3)
    (target, tuned, source, _) = calls[0]
    assert names == ["trained target", "FGMT+FT", "permuted source"]
    assert same(target, networks.network(TINY, 2).end) and same(tuned, subsequent(TINY, "fgmt", PAIR, "cpu")[0].end)
    *_, (step, _) = experiment.follow(TINY, "fgmt", PAIR, "cpu")
    assert same(source, step.permutation(networks.network(TINY, 1).end))
    ends = zip(found.points, (target, tuned, source), strict=True)
    for (p, a), (q, b) in combinations(ends, 2):
        assert math.dist(p, q) == pytest.approx((a - b).norm(), rel=1e-5)
    assert (len(found.u), len(found.v), len(found.scores), len(found.scores[0])) == (3, 3, 3, 3)


def test_rows_of_a_plane_run_along_u_first():
    scores = tuple(tuple(tt.Score(10 * v + u, 0.1 * v) for u in (0, 1, 2)) for v in (0, 1))
    rows = basins.plane_rows(Plane((0, 1, 2), (0, 1), scores, ((0, 0), (1, 0), (0, 1))))
    assert rows[0].keys() == {"u", "v", "loss", "accuracy"} and len(rows) == 6
    assert all(row["loss"] == 10 * row["v"] + row["u"] and row["accuracy"] == 0.1 * row["v"] for row in rows)


def test_rows_of_segments():
    found = {("fgmt", "Source*"): profile(0.8, 0.5, 0.4, losses=[1.0, 3.0, 2.0])}
    rows = basins.segment_rows(found, (3, 4))
    assert [(row["position"], row["loss"], row["accuracy"]) for row in rows] == [(0, 1, 0.8), (0.25, 3, 0.5), (1, 2, 0.4)]
    assert {(row["from"], row["to"], row["pair"]) for row in rows} == {("fgmt", "Source*", "3-4")}
    (barriers,) = basins.barrier_rows(found, (3, 4))
    assert (barriers["barrier"], barriers["accuracy barrier"]) == (pytest.approx(1.75), pytest.approx(0.2))
    assert (barriers["from"], barriers["to"], barriers["pair"]) == ("fgmt", "Source*", "3-4")


def barrier(start: str, end: str, loss: float, accuracy: float = 0.0) -> dict:
    return {"from": start, "to": end, "barrier": loss, "accuracy barrier": accuracy}


def test_mean_barriers_are_those_of_one_kind_of_segment():
    rows = [barrier("fgmt", "Source*", 1, 0.1), barrier("fgmt", "trained target", 50), barrier("fgmt", "Source*", 3, 0.3)]
    found = basins.mean_barriers([*rows, barrier("oracle", "Source*", 70)], "fgmt", "Source*")
    assert found == {"barrier (nats)": "2.000 ± 1.414", "barrier of accuracy (points)": "20.0 ± 14.1"}


def test_the_share_of_oracle_s_barrier():
    ours = [barrier("fgmt", "trained target", 0.2), barrier("fgmt", "trained target", 0.6), barrier("fgmt", "Source*", 9)]
    oracle = [barrier("oracle", "trained target", 0.1), barrier("oracle", "Source*", 9), barrier("naive", "trained target", 9)]
    assert basins.oracle_share([*ours, *oracle]) == pytest.approx(0.1 / 0.4)
    assert basins.oracle_share([*oracle, barrier("fgmt", "trained target", 0)]) == math.inf
    assert basins.oracle_share([barrier(method, "trained target", 0) for method in ("oracle", "fgmt")]) == 1
