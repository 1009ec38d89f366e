"""A poor source and a good target: four curves, and which data each of them has seen."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pandas.testing import assert_frame_equal

from trajtransfer.paper import networks
from trajtransfer.paper.chapters import generalization
from trajtransfer.paper.lab import Lab
from trajtransfer.paper.seeds import Seeds
from trajtransfer.paper.settings import setting

pytestmark = pytest.mark.usefixtures("home")  # one project for the module
PAIR = Seeds(1, 2)
CURVES = [
    "FGMT, part → all",
    "FGMT, part → part",
    "standard, all",
    "standard, part",
    "Naive, part → all",
]


def fine_tuned(fraction=0.5, **recipe):
    """A laboratory of a setting that is pre-trained, and the same with a poor start; both short."""
    rich = setting("digits59-mlp", width=8, epochs=2, steps=2, next_epochs=3)
    parent = rich.pretrained
    parent = replace(parent, recipe=replace(parent.recipe, epochs=2, **recipe))
    rich = replace(rich, pretrained=parent)
    return Lab(rich, "cpu"), Lab(rich.with_source_fraction(fraction), "cpu")


def spied(monkeypatch, name):
    """What a function of `networks` is called with."""
    calls = []
    original = getattr(networks, name)

    def spy(*arguments, **options):
        calls.append((arguments, options))
        return original(*arguments, **options)

    monkeypatch.setattr(networks, name, spy)
    return calls


def same(a, b):
    return (a - b).norm() == 0


def test_curves_of_one_length(monkeypatch):
    rich, poor = fine_tuned()
    calls = spied(monkeypatch, "continued")
    rows = generalization.training(rich, poor, [PAIR])
    found = list(zip(rows["method"], rows["epoch"], strict=True))
    assert found == [(method, epoch) for method in CURVES for epoch in (1, 2, 3)]
    assert (rows["gap"].abs() < 1).all()
    assert rows["accuracy"].between(0, 1).all()
    settings, recipes, starts = zip(*(arguments[:3] for arguments, _ in calls), strict=True)
    assert settings == tuple(lab.setting for lab in (rich, poor, rich, poor, rich))
    assert {recipe.epochs for recipe in recipes} == {3}
    assert same(starts[2], rich.start(2)) and same(starts[3], poor.start(2))
    monkeypatch.setattr(networks, "train", None)
    assert_frame_equal(generalization.training(*fine_tuned(), [PAIR]), rows)


def test_standard_training_keeps_the_learning_rate_of_the_source(monkeypatch):
    """The others have that of the next recipe, as in the paper."""
    rich, poor = fine_tuned()
    labs = [Lab(replace(lab.setting, next_lr=0.03), "cpu") for lab in (rich, poor)]
    calls = spied(monkeypatch, "continued")
    generalization.training(*labs, [PAIR])
    rates = [arguments[1].lr for arguments, _ in calls]
    own = rich.setting.recipe.lr
    assert rates == [0.03, 0.03, own, own, 0.03] and own != 0.03


def test_the_source_is_the_poor_one_in_all_transfers(monkeypatch):
    rich, poor = fine_tuned()
    sources = []
    original = Lab.along
    monkeypatch.setattr(Lab, "along", lambda lab, s: sources.append((lab, s)) or original(lab, s))
    for target, method in ((rich, "fgmt"), (poor, "fgmt"), (rich, "naive")):
        generalization.after_transfer(target, PAIR, poor, method)
        lab, source = sources.pop()
        assert lab is target and source is poor.network(PAIR.source)
    assert not sources


def test_a_poor_start_sees_only_its_part_of_the_data(monkeypatch):
    """The source and its like are pre-trained on a fifth of it.

    The good target, and what follows pre-training, is trained on everything.
    """
    calls = spied(monkeypatch, "train")
    rich, poor = fine_tuned(0.2, lr=0.02)  # not trained yet
    generalization.training(rich, poor, [PAIR])
    first = len(networks.task_of(rich.setting.pretrained).train)
    then = len(rich.task.train)
    before = set()
    after = set()
    for arguments, options in calls:
        images = len(arguments[1])
        if options["name"].startswith("digits04"):
            before.add((options["seed"], images))
        else:
            assert options["name"].startswith("digits59")
            after.add(images)
    fifth = round(0.2 * first)
    assert before == {(1, fifth), (2, fifth), (2, first)}
    assert after == {then}


def test_starting_points_are_those_of_pre_training():
    rich, poor = fine_tuned()
    tiny = Lab(setting("mnist5k-mlp", width=8, epochs=1), "cpu")
    rows = generalization.pre_training([tiny, rich, poor], [Seeds(1, 2), Seeds(1, 3)])
    parent = rich.setting.pretrained
    assert list(rows["pre-trained on"]) == [parent.task(), f"{parent.task()}, 50% of it"]
    ends = [networks.network(parent, seed).history[-1]["accuracy"] for seed in (2, 3)]
    assert rows["validation accuracy"][0] == pytest.approx(sum(ends) / 2)
