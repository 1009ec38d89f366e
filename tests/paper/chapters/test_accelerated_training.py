"""Training that goes on from a transfer, epoch by epoch: what its rows say, and what is kept."""

from __future__ import annotations

import pytest
import torch
from pandas.testing import assert_frame_equal

from trajtransfer.algorithms import METHODS as KNOWN
from trajtransfer.paper import networks
from trajtransfer.paper.chapters import accelerated_training
from trajtransfer.paper.lab import Lab
from trajtransfer.paper.seeds import Seeds
from trajtransfer.paper.settings import setting
from trajtransfer.paper.subsequent import transferred

pytestmark = pytest.mark.usefixtures("home")  # one project for the module
TINY = setting("mnist5k-mlp", width=8, epochs=3, steps=3, next_epochs=2, next_lr=0.02)
PAIR = Seeds(1, 2)
METHODS = ["naive", "fgmt"]


@pytest.fixture
def lab():
    return Lab(TINY, "cpu")


def spied(monkeypatch, module, name):
    """What a function of a module is called with."""
    calls = []
    original = getattr(module, name)

    def spy(*arguments, **options):
        calls.append(arguments)
        return original(*arguments, **options)

    monkeypatch.setattr(module, name, spy)
    return calls


def same(a, b):
    return (a - b).norm() == 0


def of(rows, method):
    return rows[rows["method"] == method].to_dict("records")


def accuracies(rows):
    return [(row["epoch"], row["accuracy"]) for row in rows]


def accuracy(lab, params, split):
    return networks.evaluate(lab.initialised(2), params, split).accuracy


def test_standard_training_starts_before_any(lab):
    rows = of(accelerated_training.training(lab, METHODS, [PAIR]), "standard")
    target = lab.network(2)
    first = accuracy(lab, target.start, lab.task.validation)
    assert accuracies(rows) == [(0, first), *accuracies(target.history)]


def test_standard_training_needs_no_method(lab):
    rows = accelerated_training.training(lab, [], [PAIR])
    assert set(rows["method"]) == {"standard"} and len(rows) == 4


@pytest.mark.parametrize("method", METHODS)
def test_epoch_0_is_the_transfer_itself(method, lab, monkeypatch):
    walk = list(lab.follow(method, PAIR))
    step, row = max(walk, key=lambda found: found[1]["selection_accuracy"])
    calls = spied(monkeypatch, networks, "continued")
    rows = accelerated_training.subsequent(lab, method, PAIR)
    ((_, recipe, start, seed, *_),) = calls
    assert same(start, step.params)
    assert (recipe.epochs, recipe.lr, seed) == (2, 0.02, 2)
    assert [row["epoch"] for row in rows] == [0, 1, 2]
    assert rows[0]["accuracy"] == row["accuracy"] == accuracy(lab, start, lab.task.validation)
    assert rows[0]["gap"] is None


def test_the_gap_is_between_as_many_images_of_both_splits(lab):
    rows = of(accelerated_training.training(lab, ["fgmt"], [PAIR]), "fgmt")
    trained, _ = transferred(lab, "fgmt", PAIR)
    validation = lab.task.validation
    fitted = lab.task.train.subset(torch.arange(len(validation)))
    held_out = accuracy(lab, trained.end, validation)
    assert rows[-1]["gap"] == pytest.approx(accuracy(lab, trained.end, fitted) - held_out)
    assert rows[-1]["accuracy"] == held_out
    gaps = [row["train_accuracy"] - row["accuracy"] for row in trained.history]
    assert [row["gap"] for row in rows[1:]] == gaps


def test_the_second_call_trains_nothing_and_transfers_nothing(lab, monkeypatch):
    pairs = [PAIR, Seeds(2, 1)]
    rows = accelerated_training.training(lab, METHODS, pairs)
    assert len(rows) == 2 * (4 + 3 + 3)
    assert set(rows["pair"]) == {"1-2", "2-1"}
    assert list(rows["method"].unique()) == ["standard", *METHODS]
    monkeypatch.setattr(networks, "train", None)
    for method in METHODS:
        monkeypatch.setitem(KNOWN, method, None)
    again = accelerated_training.training(Lab(TINY, "cpu"), METHODS, pairs)
    assert_frame_equal(again, rows)
