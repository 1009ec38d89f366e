"""Barriers by hand, and segments and planes between networks that are what they say."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import combinations

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from trajtransfer.landscape import Interpolation, Plane
from trajtransfer.objective import Score
from trajtransfer.paper import networks, tables
from trajtransfer.paper.chapters import basins
from trajtransfer.paper.chapters.basins import SOURCE, TARGET
from trajtransfer.paper.lab import Lab
from trajtransfer.paper.seeds import Seeds
from trajtransfer.paper.settings import setting
from trajtransfer.paper.subsequent import transferred

pytestmark = pytest.mark.usefixtures("home")  # one project for the module
PAIR = Seeds(1, 2)
TINY = setting("mnist5k-mlp", width=8, epochs=3, steps=3, next_epochs=1)


@pytest.fixture
def lab():
    return Lab(TINY, "cpu")


def profile(*accuracies, losses=None, positions=(0, 0.25, 1)):
    losses = losses or [0.0] * len(accuracies)
    scores = [Score(*both) for both in zip(losses, accuracies, strict=True)]
    return Interpolation(tuple(positions), tuple(scores))


def same(a, b):
    return (a - b).norm() <= 1e-6 * a.norm()


def spied(monkeypatch, name):
    """What a function of the chapter is called with."""
    calls = []
    original = getattr(basins, name)

    def spy(*arguments, **options):
        calls.append(arguments)
        return original(*arguments, **options)

    monkeypatch.setattr(basins, name, spy)
    return calls


def segment(rows, start, end):
    """The rows of one segment by position."""
    mine = rows[(rows["from"] == start) & (rows["to"] == end)]
    return mine.set_index("position")


def kinds(rows):
    return list(rows[["from", "to"]].drop_duplicates().itertuples(index=False, name=None))


def test_barriers_by_hand():
    """Between 0.8 and 0.4 the straight line passes 0.7 at a quarter of the way."""
    assert profile(0.8, 0.5, 0.4).accuracy_barrier == pytest.approx(0.2)
    assert profile(0.8, 0.75, 0.4).accuracy_barrier == 0  # above the line is no barrier
    assert profile(0.4, 0.4, 0.8).accuracy_barrier == pytest.approx(0.1)
    found = profile(0, 0, 0, losses=[1.0, 3.0, 2.0])
    assert found.barrier == pytest.approx(1.75) and found.accuracy_barrier == 0
    deep = profile(0.9, 0.2, 0.3, 0.9, positions=(0, 0.4, 0.5, 1))
    assert deep.accuracy_barrier == pytest.approx(0.7)


def test_naive_segments_start_and_end_where_they_say(lab, monkeypatch):
    source = lab.network(1)
    target = lab.network(2)
    calls = spied(monkeypatch, "interpolate")
    found = basins.segments(lab, ["naive"], [PAIR], 3)
    start = target.start + (source.end - source.start)
    assert kinds(found) == [("naive", SOURCE), ("naive", TARGET)]
    assert all(same(call[0], start) for call in calls)
    assert same(calls[0][1], source.end) and same(calls[1][1], target.end)
    middle = segment(found, "naive", TARGET).loc[0.5]
    expected = lab.score(0.5 * (start + target.end))
    assert middle["loss"] == pytest.approx(expected.loss, rel=1e-5)


def test_segments_of_a_matching_method_lead_to_the_permuted_source(lab):
    *_, (step, row) = lab.follow("fgmt", PAIR)
    source = lab.network(1)
    target = lab.network(2)
    found = basins.segments(lab, ["oracle", "fgmt"], [PAIR], 3)
    assert len(kinds(found)) == 4
    to_source = segment(found, "fgmt", SOURCE)
    to_target = segment(found, "fgmt", TARGET)
    for profile in (to_source, to_target):
        assert list(profile.index) == [0, 0.5, 1]
        assert profile.loc[0, "loss"] == pytest.approx(row["loss"])
        assert profile.loc[0, "accuracy"] == row["accuracy"]
    # A permuted network is the same one.
    assert to_source.loc[1, "loss"] == pytest.approx(lab.score(source.end).loss, rel=1e-5)
    assert to_target.loc[1, "loss"] == pytest.approx(lab.score(target.end).loss, rel=1e-5)
    middle = 0.5 * (step.params + step.permutation(source.end))
    assert to_source.loc[0.5, "loss"] == pytest.approx(lab.score(middle).loss, rel=1e-5)


def test_fine_tuned_segments_start_at_the_trained_target(lab):
    found = basins.fine_tuned_segments(lab, [PAIR], 3)
    tuned, _ = transferred(lab, "fgmt", PAIR)
    names = ["FGMT+FT", "permuted source", "source as it is"]
    assert kinds(found) == [(TARGET, name) for name in names]
    starts = found[found["position"] == 0]
    first = lab.score(lab.network(2).end)
    assert set(zip(starts["loss"], starts["accuracy"], strict=True)) == {first}
    ends = [segment(found, TARGET, name).loc[1, "loss"] for name in names]
    assert ends[0] == pytest.approx(lab.score(tuned.end).loss)
    assert ends[1] == pytest.approx(ends[2], rel=1e-5)
    straight = segment(found, TARGET, "source as it is").loc[0.5, "loss"]
    permuted = segment(found, TARGET, "permuted source").loc[0.5, "loss"]
    assert straight != pytest.approx(permuted)


def test_fine_tuning_starts_at_the_best_step_and_the_source_is_moved_by_rebasin(monkeypatch):
    """Here the best step is the first one."""
    lab = Lab(replace(TINY, steps=2), "cpu")
    (first, _), (last, _) = lab.follow("fgmt", PAIR)
    walk = [(first, {"selection_accuracy": 0.9}), (last, {"selection_accuracy": 0.8})]
    monkeypatch.setattr(Lab, "follow", lambda *_: iter(walk))
    calls = spied(monkeypatch, "plane")
    tuned = spied(monkeypatch, "trained_on")
    basins.plane_of_fine_tuning(lab, PAIR, 2)
    ((_, _, _, started_from),) = tuned
    ((_, _, source, _),) = calls
    end = lab.network(1).end
    assert started_from is first
    rebasin = next(lab.steps("rebasin", PAIR))
    assert same(source, rebasin.permutation(end)) and not same(source, last.permutation(end))


def test_the_plane_goes_through_its_corners(lab, monkeypatch):
    calls = spied(monkeypatch, "plane")
    found, names, path = basins.fine_tuned_plane(lab, PAIR, 3)
    ((target, tuned, source, _),) = calls
    assert names == ["trained target", "FGMT+FT", "permuted source"]
    expected, _ = transferred(lab, "fgmt", PAIR)
    assert same(target, lab.network(2).end) and same(tuned, expected.end)
    step = next(lab.steps("rebasin", PAIR))
    assert same(source, step.permutation(lab.network(1).end))
    ends = zip(found.points, (target, tuned, source), strict=True)
    for (p, a), (q, b) in combinations(ends, 2):
        assert math.dist(p, q) == pytest.approx((a - b).norm(), rel=1e-5)
    assert len(found.u) == len(found.v) == len(found.scores) == len(found.scores[0]) == 3
    steps = [step for step, _ in lab.follow("fgmt", PAIR)]
    assert list(path["t"]) == [step.t for step in steps]
    for step, row in zip(steps, path.to_dict("records"), strict=True):
        beside = math.dist((row["u"], row["v"]), found.points[0])
        assert math.hypot(beside, row["distance"]) == pytest.approx(
            (step.params - target).norm(), rel=1e-4
        )


def test_what_was_made_is_read_back_as_it_was(project, lab, monkeypatch):
    pairs = [PAIR, Seeds(2, 1)]

    def everything(lab):
        found = basins.fine_tuned_plane(lab, PAIR, 3)
        segments = basins.segments(lab, ["naive", "fgmt"], pairs, 3)
        return found, segments, basins.fine_tuned_segments(lab, pairs, 3)

    found, segments, tuned = everything(lab)
    assert list(segments["pair"].unique()) == list(tuned["pair"].unique()) == ["1-2", "2-1"]
    monkeypatch.setattr(networks, "train", None)
    monkeypatch.setattr(basins, "interpolate", None)
    monkeypatch.setattr(basins, "plane", None)
    again = everything(Lab(TINY, "cpu"))
    assert again[0][:2] == found[:2]
    assert_frame_equal(again[0].path, found.path)
    assert_frame_equal(again[1], segments)
    assert_frame_equal(again[2], tuned)


def test_rows_of_a_plane_run_along_u_first():
    scores = tuple(tuple(Score(10 * v + u, 0.1 * v) for u in (0, 1, 2)) for v in (0, 1))
    rows = basins.plane_rows(Plane((0, 1, 2), (0, 1), scores, ((0, 0), (1, 0), (0, 1))))
    assert list(rows) == ["u", "v", "loss", "accuracy"] and len(rows) == 6
    assert list(rows["u"]) == [0, 1, 2, 0, 1, 2]
    assert (rows["loss"] == 10 * rows["v"] + rows["u"]).all()
    assert (rows["accuracy"] == 0.1 * rows["v"]).all()


def by_hand(name, end, pair, losses, accuracies):
    about = {"from": name, "to": end, "pair": pair}
    scores = zip((0, 0.25, 1), losses, accuracies, strict=True)
    return [about | {"position": p, "loss": x, "accuracy": a} for p, x, a in scores]


def test_barriers_of_segments():
    rows = [
        *by_hand("fgmt", SOURCE, "3-4", (1.0, 3.0, 2.0), (0.8, 0.5, 0.4)),
        *by_hand("fgmt", SOURCE, "1-2", (1.0, 1.0, 1.0), (0.5, 0.5, 0.5)),
        *by_hand("fgmt", TARGET, "3-4", (0.0, 1.0, 0.0), (0.5, 0.5, 0.5)),
    ]
    found = basins.barriers(pd.DataFrame(rows))
    assert found.to_dict("records") == [
        barrier("fgmt", SOURCE, pytest.approx(1.75), pytest.approx(0.2), "3-4", rise=1.0),
        barrier("fgmt", SOURCE, 0, 0, "1-2", rise=0.0),
        barrier("fgmt", TARGET, 1, 0, "3-4", rise=1.0),
    ]


def test_a_bad_start_hides_a_barrier_and_no_rise():
    rows = by_hand("naive", TARGET, "1-2", (2.3, 2.0, 0.5), (0.1, 0.2, 0.9))
    (found,) = basins.barriers(pd.DataFrame(rows)).to_dict("records")
    assert found["barrier"] == pytest.approx(2.0 - (0.75 * 2.3 + 0.25 * 0.5))
    assert found["rise"] == pytest.approx(1.8)


def test_rows_of_segments(lab):
    rows = basins.segments_of_transfer(lab, "naive", Seeds(1, 2), 3)
    assert [row["position"] for row in rows] == [0, 0.5, 1] * 2
    assert {(row["from"], row["pair"]) for row in rows} == {("naive", "1-2")}
    assert rows[0].keys() == {"from", "to", "pair", "position", "loss", "accuracy"}


def barrier(start, end, loss, accuracy=0.0, pair="1-2", rise=0.0):
    about = {"from": start, "to": end, "pair": pair}
    return about | {"barrier": loss, "rise": rise, "accuracy barrier": accuracy}


def test_mean_barriers_are_those_of_one_kind_of_segment():
    rows = [
        barrier("fgmt", SOURCE, 1, 0.1, rise=2),
        barrier("fgmt", TARGET, 50),
        barrier("fgmt", SOURCE, 3, 0.3, "3-4", rise=4),
        barrier("oracle", SOURCE, 70),
    ]
    first, *others = tables.barriers(pd.DataFrame(rows))
    assert first == {
        "from": "fgmt",
        "to": SOURCE,
        "barrier (nats)": "2.000 ± 1.414",
        "rise above the end (nats)": "3.000 ± 1.414",
        "barrier of accuracy (points)": "20.0 ± 14.1",
    }
    assert [(row["from"], row["to"]) for row in others] == [("fgmt", TARGET), ("oracle", SOURCE)]
