"""Training that goes on from a transfer: where it starts, and from which source."""

from __future__ import annotations

from dataclasses import replace

import pytest

from trajtransfer.paper import networks
from trajtransfer.paper.lab import Lab
from trajtransfer.paper.networks import Network
from trajtransfer.paper.seeds import Seeds
from trajtransfer.paper.settings import setting
from trajtransfer.paper.subsequent import (
    best_step,
    history_rows,
    standard,
    trained_on,
    transferred,
)

pytestmark = pytest.mark.usefixtures("home")  # one project for the module
TINY = setting("mnist5k-mlp", width=8, epochs=3, steps=3, next_epochs=2, next_lr=0.02)
PAIR = Seeds(1, 2)


@pytest.fixture
def lab():
    return Lab(TINY, "cpu")


def fine_tuned():
    """A laboratory of a setting that is pre-trained, and the same with a poor start; both short."""
    rich = setting("digits59-mlp", width=8, epochs=2, steps=2, next_epochs=3)
    parent = rich.pretrained
    rich = replace(rich, pretrained=replace(parent, recipe=replace(parent.recipe, epochs=2)))
    return Lab(rich, "cpu"), Lab(rich.with_source_fraction(0.5), "cpu")


def same(a, b):
    return (a - b).norm() == 0


def test_standard_training_is_that_of_the_kept_network(lab):
    target = networks.network(TINY, 2)
    trained = standard(lab, 2)
    assert same(trained.end, target.end) and trained.history == target.history


def test_standard_training_of_another_length_starts_at_the_same_point(lab):
    target = lab.network(2)
    short = standard(lab, 2, epochs=1)
    assert same(short.start, target.start)
    first = [row["accuracy"] for row in short.history]
    assert first == [target.history[0]["accuracy"]]
    assert same(standard(lab, 2, epochs=3).end, target.end)


def test_training_starts_at_the_step_that_is_best_on_the_selection_split(lab, monkeypatch):
    """Here that is neither the last step nor the best on the validation split."""
    original = Lab.follow
    walk = []

    def follow(*arguments, **options):
        found = original(*arguments, **options)
        for (step, row), selected in zip(found, (0.2, 0.7, 0.1), strict=True):
            walk.append((step, row | {"selection_accuracy": selected, "accuracy": 1 - selected}))
            yield walk[-1]

    monkeypatch.setattr(Lab, "follow", follow)
    trained, first = transferred(lab, "naive", PAIR)
    step, row = walk[1]
    assert same(trained.start, step.params)
    assert first == row["accuracy"] == pytest.approx(0.3)


def test_of_equal_steps_the_first_is_best():
    walk = [(t, {"selection_accuracy": a}) for t, a in enumerate((0.5, 0.7, 0.7, 0.6), 1)]
    assert best_step(iter(walk)) == walk[1]


def test_training_follows_the_next_recipe(lab, monkeypatch):
    asked = []
    original = Lab.continued

    def continued(lab, recipe, start, seed, label):
        asked.append((recipe.epochs, recipe.lr, seed, label))
        return original(lab, recipe, start, seed, label)

    monkeypatch.setattr(Lab, "continued", continued)
    *_, step = lab.steps("naive", PAIR)
    usual = trained_on(lab, "naive", PAIR, step)
    short = trained_on(lab, "naive", PAIR, step, epochs=1)
    transferred(lab, "naive", PAIR, epochs=1)
    about = (0.02, 2, "naive-from1")  # the target is trained, and its name tells the source
    assert asked == [(2, *about), (1, *about), (1, *about)]
    assert same(usual.start, step.params) and same(short.start, step.params)
    assert [row["accuracy"] for row in short.history] == [usual.history[0]["accuracy"]]


def test_sources_are_told_apart(lab):
    """Two sources for one target are two trainings, though seed and method are the same."""
    one, _ = transferred(lab, "fgmt", PAIR)
    other, _ = transferred(lab, "fgmt", Seeds(3, 2))
    assert not same(one.start, other.start) and not same(one.end, other.end)


def test_the_origin_is_where_the_source_comes_from(monkeypatch):
    rich, poor = fine_tuned()
    lines = []
    original = Lab.steps

    def steps(lab, method, seeds, line, *arguments):
        lines.append(line)
        return original(lab, method, seeds, line, *arguments)

    monkeypatch.setattr(Lab, "steps", steps)
    for origin, expected in ((poor, poor), (None, rich)):
        transferred(rich, "naive", PAIR, origin=origin)
        assert same(lines.pop().end, networks.network(expected.setting, 1).end)
    assert not same(poor.network(1).end, rich.network(1).end)


def test_rows_of_a_history_by_hand():
    history = [
        {"epoch": 1, "loss": 2.0, "accuracy": 0.25, "train_accuracy": 0.5, "seconds": 1.0},
        {"epoch": 2, "loss": 1.0, "accuracy": 0.75, "train_accuracy": 0.5, "seconds": 1.0},
    ]
    about = {"method": "fgmt", "pair": "1-2"}
    assert history_rows(Network(None, None, None, None, history), "fgmt", PAIR) == [
        about | {"epoch": 1, "accuracy": 0.25, "gap": 0.25},
        about | {"epoch": 2, "accuracy": 0.75, "gap": -0.25},
    ]
