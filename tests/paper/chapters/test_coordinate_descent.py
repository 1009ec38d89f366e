"""Coordinate descent: objectives never fall, restarts repeat, with one group of units all agree."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pandas as pd
import pytest
import torch
from pandas.testing import assert_frame_equal

from trajtransfer.paper import measures, networks
from trajtransfer.paper.chapters import coordinate_descent
from trajtransfer.paper.chapters.coordinate_descent import LIMIT
from trajtransfer.paper.datasets.tasks import load_task
from trajtransfer.paper.lab import Lab
from trajtransfer.paper.seeds import Seeds
from trajtransfer.paper.settings import setting

PAIR = Seeds(1, 2)
LIMITS = (1, 2, 3, 100)
MLP = setting("mnist5k-mlp", width=8, epochs=2, steps=3)


def resnet(steps=2):
    """A ResNet-18 of two channels for two digits.

    It has twelve groups of units that depend on each other.
    """
    chosen = setting("mnist5k-resnet18-tiny", width=1 / 32, epochs=2, steps=steps, batch_size=64)
    recipe = replace(chosen.recipe, batch_size=64)
    return Lab(replace(chosen, recipe=recipe, statistics=64, classes=(0, 1)), "cpu")


def few_images(task):
    counts = {"train": 256, "validation": 40, "selection": 40}
    splits = {name: getattr(task, name).subset(torch.arange(n)) for name, n in counts.items()}
    return replace(task, **splits)


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRAJTRANSFER_HOME", str(tmp_path_factory.mktemp("project")))
        patch.setattr(networks, "load_task", lambda *a, **k: few_images(load_task(*a, **k)))
        networks.task.cache_clear()
        yield
    networks.task.cache_clear()  # few images are not for others


@pytest.fixture(scope="module")
def restarts(home):
    return coordinate_descent.restarts(resnet(), PAIR, 2)


def runs(sweeps):
    """The agreement after each sweep, by start and number of the descent."""
    grouped = sweeps.groupby(["from", "number"], sort=False)
    return {key: list(mine["agreement"]) for key, mine in grouped}


def test_no_sweep_lowers_the_objective(restarts):
    sweeps, solutions = restarts
    paths = runs(sweeps)
    for path in paths.values():
        assert all(after >= before for before, after in pairwise(path))
        assert path[0] < path[-1] <= 1
    assert list(zip(solutions["from"], solutions["number"], strict=True)) == list(paths)
    assert list(solutions["agreement"]) == [path[-1] for path in paths.values()]
    assert list(solutions["sweeps"]) == [len(path) - 1 for path in paths.values()]


def test_starts_are_what_they_say(restarts):
    paths = runs(restarts[0])
    assert list(paths) == [
        ("identity, fixed order", 1),
        ("identity, random order", 1),
        ("identity, random order", 2),
        ("random, random order", 1),
        ("random, random order", 2),
    ]
    identity = [path for (name, _), path in paths.items() if name.startswith("identity")]
    assert len({path[0] for path in identity}) == 1
    assert len({path[0] for path in paths.values()}) == 3  # each random start is another one
    assert len({path[1] for path in identity}) == 3  # the order decides what a sweep finds


def test_restarts_repeat_and_do_not_depend_on_each_other(restarts):
    again = coordinate_descent.descents(resnet(), PAIR, 2)
    fewer = coordinate_descent.descents(resnet(), PAIR, 1)
    for name, many in zip(("sweeps", "solutions"), restarts, strict=True):
        assert again[name] == many.to_dict("records")
        assert fewer[name] == many[many["number"] == 1].to_dict("records")


def test_what_was_made_is_read_back_in_every_column(restarts, monkeypatch):
    monkeypatch.setattr(coordinate_descent, "match", None)
    again = coordinate_descent.restarts(resnet(), PAIR, 2)
    for frame, read in zip(restarts, again, strict=True):
        assert_frame_equal(read, frame)


def test_with_one_group_of_units_every_restart_finds_the_best():
    sweeps, solutions = coordinate_descent.restarts(Lab(MLP, "cpu"), PAIR, 3)
    assert len(solutions) == 1 + 3 + 3 and len(sweeps) == 14
    assert set(solutions["sweeps"]) == {1}
    best = solutions["agreement"][0]
    assert list(solutions["agreement"]) == pytest.approx([best] * 7)
    assert solutions["accuracy"].nunique() == 1


def test_the_problem_has_all_gradient_pairs_along_the_last_permutation(monkeypatch):
    lengths = []
    points = []
    match = coordinate_descent.match
    moved = coordinate_descent.moved

    def counted_match(pairs, *arguments, **options):
        lengths.append(len(pairs))
        return match(pairs, *arguments, **options)

    def seen_moved(source, target, t, pi):
        points.append((t, pi))
        return moved(source, target, t, pi)

    monkeypatch.setattr(coordinate_descent, "match", counted_match)
    monkeypatch.setattr(coordinate_descent, "moved", seen_moved)
    lab = Lab(MLP, "cpu")
    solutions = coordinate_descent.descents(lab, PAIR, 1)["solutions"]
    *_, (last, row) = lab.follow("fgmt", PAIR)
    assert lengths == [3, 3, 3]
    assert [t for t, _ in points] == [0, 1, 2, 3, 3, 3]
    assert all(pi == last.permutation for _, pi in points[:3])
    assert len(solutions) == 3
    assert abs(solutions[0]["agreement"] - row["agreement"]) < 0.2


def test_more_sweeps_never_match_the_first_gradients_worse():
    """With a single step all limits pose the same problem.

    They visit the groups in the same orders, too.
    """
    rows = coordinate_descent.sweeps(resnet(steps=1), [PAIR, Seeds(2, 1)], LIMITS)
    for pair in ("1-2", "2-1"):
        mine = rows[rows["pair"] == pair]
        assert list(mine[LIMIT]) == list(LIMITS)
        agreement = list(mine["agreement"])
        assert all(after >= before for before, after in pairwise(agreement))
        assert agreement[-1] > agreement[0]
        assert mine["sweeps"].between(1, mine[LIMIT]).all() and mine["sweeps"].iloc[0] == 1
        assert (mine["agreement"] > mine["agreement_identity"]).all()
        assert mine["agreement_identity"].nunique() == 1
        assert (mine["peak"] == mine["accuracy"]).all()  # of one step


def test_sweeps_add_up_and_the_peak_is_chosen_on_the_selection_split():
    rows = coordinate_descent.sweeps(resnet(), [PAIR], (1, 100)).to_dict("records")
    for row in rows:
        walk = [row for _, row in resnet().follow("fgmt", PAIR, sweeps=row[LIMIT])]
        best = max(walk, key=lambda step: step["selection_accuracy"])
        assert row["accuracy"] == walk[-1]["accuracy"] and row["t"] == 2
        assert row["peak"] == best["accuracy"]
    assert rows[0]["sweeps"] == 2 < rows[1]["sweeps"]


def loss_of_few(rows):
    return list(measures.of_sweeps(pd.DataFrame(rows))["one-sweep-loss"].values)


def test_the_loss_of_few_sweeps_by_hand():
    values = [
        (1, "1-2", 0.5),
        (5, "1-2", 0.6),
        (100, "1-2", 0.75),
        (100, "3-4", 0.4),
        (1, "3-4", 0.5),
    ]
    rows = [{LIMIT: limit, "pair": pair, "accuracy": a} for limit, pair, a in values]
    assert loss_of_few(rows) == pytest.approx([0.25, -0.1])
    assert loss_of_few(rows[:1]) == [0]  # a single limit loses nothing
