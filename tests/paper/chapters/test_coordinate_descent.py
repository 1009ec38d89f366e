"""Coordinate descent: objectives never fall, restarts repeat, and with one group of units all of them agree."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from trajtransfer.paper import networks
from trajtransfer.paper.chapters import coordinate_descent
from trajtransfer.paper.datasets.tasks import load_task
from trajtransfer.paper.settings import setting

PAIR, LIMITS = (1, 2), (1, 2, 3, 100)
MLP = setting("mnist5k-mlp", width=8, epochs=2, steps=3)


def resnet():
    """A ResNet-18 of two channels for two digits: twelve groups of units that depend on each other."""
    tiny = setting("mnist5k-resnet18-tiny", width=1 / 32, epochs=2, steps=2, batch_size=64, statistics=64, classes=(0, 1))
    return replace(tiny, recipe=replace(tiny.recipe, batch_size=64))


def few_images(task):
    counts = (("train", 256), ("validation", 40), ("selection", 40))
    return replace(task, **{name: getattr(task, name).subset(torch.arange(n)) for name, n in counts})


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
    return coordinate_descent.restart_rows(resnet(), PAIR, 2, "cpu")


def runs(sweeps) -> dict[tuple[str, int], list[float]]:
    found: dict[tuple[str, int], list[float]] = {}
    for row in sweeps:
        found.setdefault((row["from"], row["number"]), []).append(row["agreement"])
    return found


def test_no_sweep_lowers_the_objective(restarts):
    sweeps, solutions = restarts
    for path in runs(sweeps).values():
        assert all(after >= before for before, after in pairwise(path)) and path[-1] > path[0] and path[-1] <= 1
    assert [(row["from"], row["number"]) for row in solutions] == list(runs(sweeps))
    assert [(row["agreement"], row["sweeps"]) for row in solutions] == [(p[-1], len(p) - 1) for p in runs(sweeps).values()]


def test_starts_are_what_they_say(restarts):
    found = runs(restarts[0])
    names = ["identity, fixed order", *["identity, random order"] * 2, *["random, random order"] * 2]
    assert list(found) == list(zip(names, (1, 1, 2, 1, 2), strict=True))
    starts = {key: path[0] for key, path in found.items()}
    assert len({start for (name, _), start in starts.items() if name.startswith("identity")}) == 1
    assert len(set(starts.values())) == 3  # each random start is another one
    first = {path[1] for (name, _), path in found.items() if name.startswith("identity")}
    assert len(first) == 3  # the order of the groups decides what a sweep finds


def test_restarts_repeat_and_do_not_depend_on_each_other(restarts):
    assert coordinate_descent.restart_rows(resnet(), PAIR, 2, "cpu") == restarts
    fewer = coordinate_descent.restart_rows(resnet(), PAIR, 1, "cpu")
    for few, many in zip(fewer, restarts, strict=True):
        assert few == [row for row in many if row["number"] == 1]


def test_with_one_group_of_units_every_restart_finds_the_best():
    sweeps, solutions = coordinate_descent.restart_rows(MLP, PAIR, 3, "cpu")
    assert len(solutions) == 1 + 3 + 3 and {row["sweeps"] for row in solutions} == {1}
    best = solutions[0]["agreement"]
    assert [row["agreement"] for row in solutions] == pytest.approx([best] * 7)
    assert len({row["accuracy"] for row in solutions}) == 1 and len(sweeps) == 14


def test_the_problem_has_all_gradient_pairs_along_the_last_permutation(monkeypatch):
    lengths, points, match, moved = [], [], coordinate_descent.match, coordinate_descent.moved
    monkeypatch.setattr(coordinate_descent, "match", lambda pairs, *a, **k: lengths.append(len(pairs)) or match(pairs, *a, **k))
    monkeypatch.setattr(coordinate_descent, "moved", lambda *a: points.append(a[2:]) or moved(*a))
    _, solutions = coordinate_descent.restart_rows(MLP, PAIR, 1, "cpu")
    *_, (last, row) = coordinate_descent.follow(MLP, "fgmt", PAIR, "cpu")
    assert lengths == [3, 3, 3] and [t for t, _ in points] == [0, 1, 2, 3, 3, 3]
    assert all(pi == last.permutation for _, pi in points[:3])
    assert len(solutions) == 3 and abs(solutions[0]["agreement"] - row["agreement"]) < 0.2


def test_more_sweeps_never_match_the_first_gradients_worse():
    """With a single step all limits pose the same problem, and visit the groups in the same orders."""
    rows = coordinate_descent.sweep_rows(replace(resnet(), steps=1), [PAIR, (2, 1)], LIMITS, "cpu")
    for pair in ("1-2", "2-1"):
        mine = [row for row in rows if row["pair"] == pair]
        assert [row["sweeps per match at most"] for row in mine] == list(LIMITS)
        assert all(b["agreement"] >= a["agreement"] for a, b in pairwise(mine)) and mine[-1]["agreement"] > mine[0]["agreement"]
        assert all(1 <= row["sweeps"] <= row["sweeps per match at most"] for row in mine) and mine[0]["sweeps"] == 1
        assert all(row["agreement"] > row["agreement_identity"] == mine[0]["agreement_identity"] for row in mine)
        assert all(row["peak"] == row["accuracy"] for row in mine)  # of one step


def test_sweeps_add_up_and_the_peak_is_chosen_on_the_selection_split():
    rows = coordinate_descent.sweep_rows(resnet(), [PAIR], (1, 100), "cpu")
    walks = [[row for _, row in coordinate_descent.follow(resnet(), "fgmt", PAIR, "cpu", sweeps=limit)] for limit in (1, 100)]
    for row, walk in zip(rows, walks, strict=True):
        assert row["accuracy"] == walk[-1]["accuracy"] and row["t"] == 2
        assert row["peak"] == max(walk, key=lambda r: r["selection_accuracy"])["accuracy"]
    assert rows[0]["sweeps"] == 2 < rows[1]["sweeps"]


def test_the_loss_of_few_sweeps_by_hand():
    values = [(1, "1-2", 0.5), (5, "1-2", 0.6), (100, "1-2", 0.75), (100, "3-4", 0.4), (1, "3-4", 0.5)]
    rows = [{"sweeps per match at most": n, "pair": pair, "accuracy": a} for n, pair, a in values]
    assert coordinate_descent.loss_of_few(rows) == pytest.approx([0.25, -0.1])
    assert coordinate_descent.loss_of_few(rows[:1]) == [0]  # a single limit loses nothing
