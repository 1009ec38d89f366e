"""Training that goes on from a transfer: where it starts, what it sees, and that nothing is trained twice."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from trajtransfer.paper import experiment, networks, subsequent
from trajtransfer.paper.settings import setting
from trajtransfer.params import parameters

pytestmark = pytest.mark.usefixtures("home")  # one project for the module
PAIR, METHODS = (1, 2), ["standard", "naive", "fgmt"]


def tiny(**changes):
    return setting("mnist5k-mlp", width=8, epochs=3, steps=3, next_epochs=2, next_lr=0.02, **changes)


def task():
    return networks.task_of(tiny())


def fine_tuned(fraction: float = 0.5):
    """A setting that is pre-trained, and the same with a poor start; both short."""
    rich = setting("digits59-mlp", width=8, epochs=2, steps=2, next_epochs=3)
    rich = replace(rich, pretrained=replace(rich.pretrained, recipe=replace(rich.pretrained.recipe, epochs=2)))
    return rich, rich.with_source_fraction(fraction)


def spied(monkeypatch, module, name: str) -> list[tuple[tuple, dict]]:
    calls, original = [], getattr(module, name)
    monkeypatch.setattr(module, name, lambda *a, **k: calls.append((a, k)) or original(*a, **k))
    return calls


def same(a, b) -> bool:
    return (a - b).norm() == 0


def accuracies(rows, method: str) -> list[tuple[int, float]]:
    return [(row["epoch"], row["accuracy"]) for row in rows if row["method"] == method]


def test_standard_training_is_that_of_the_cached_network():
    target = networks.network(tiny(), 2)
    trained, first = subsequent.subsequent(tiny(), "standard", PAIR, "cpu")
    assert same(trained.end, target.end) and trained.history == target.history
    assert first == networks.evaluate(target.model, target.start, networks.task_of(tiny()).validation).accuracy
    rows = subsequent.training_rows(tiny(), ["standard"], [PAIR], "cpu")
    assert accuracies(rows, "standard") == [(0, first), *((row["epoch"], row["accuracy"]) for row in target.history)]


def test_standard_training_of_another_length_starts_at_the_same_point():
    target = networks.network(tiny(), 2)
    short, _ = subsequent.subsequent(tiny(), "standard", PAIR, "cpu", epochs=1)
    assert same(short.start, target.start) and [row["accuracy"] for row in short.history] == [target.history[0]["accuracy"]]
    asked, _ = subsequent.subsequent(tiny(), "standard", PAIR, "cpu", epochs=3)
    assert same(asked.end, target.end)


def test_training_starts_at_the_step_that_is_best_on_the_selection_split(monkeypatch):
    """Here that is neither the last step nor the best on the validation split."""
    original, walk = experiment.follow, []

    def follow(*args, **kwargs):
        for (step, row), selected in zip(original(*args, **kwargs), (0.2, 0.7, 0.1), strict=True):
            walk.append((step, row | {"selection_accuracy": selected, "accuracy": 1 - selected}))
            yield walk[-1]

    monkeypatch.setattr(subsequent, "follow", follow)
    trained, first = subsequent.subsequent(tiny(), "naive", PAIR, "cpu")
    assert same(trained.start, walk[1][0].params) and first == walk[1][1]["accuracy"] == pytest.approx(0.3)


@pytest.mark.parametrize("method", ["naive", "fgmt"])
def test_epoch_0_is_the_transfer_itself(method, monkeypatch):
    walk = list(experiment.follow(tiny(), method, PAIR, "cpu"))
    step, row = max(walk, key=lambda found: found[1]["selection_accuracy"])
    calls = spied(monkeypatch, subsequent, "continued")
    rows = subsequent.training_rows(tiny(), [method], [PAIR], "cpu")
    ((_, recipe, start, seed, *_), _), *none = calls
    assert same(start, step.params) and not none and (recipe.epochs, recipe.lr, seed) == (2, 0.02, 2)
    assert [epoch for epoch, _ in accuracies(rows, method)] == [0, 1, 2]
    assert rows[0]["accuracy"] == row["accuracy"] and rows[0]["gap"] is None
    assert rows[0]["accuracy"] == networks.evaluate(networks.initialised(tiny(), 2), start, task().validation).accuracy


def test_the_gap_is_between_as_many_images_of_both_splits():
    rows = subsequent.training_rows(tiny(), ["fgmt"], [PAIR], "cpu")
    trained, _ = subsequent.subsequent(tiny(), "fgmt", PAIR, "cpu")
    fitted = task().train.subset(torch.arange(len(task().validation)))
    on = [networks.evaluate(trained.model, trained.end, split).accuracy for split in (fitted, task().validation)]
    assert rows[-1]["gap"] == pytest.approx(on[0] - on[1]) and rows[-1]["accuracy"] == on[1]
    assert [row["gap"] for row in rows[1:]] == [row["train_accuracy"] - row["accuracy"] for row in trained.history]


def test_the_second_call_trains_nothing(monkeypatch):
    rows = subsequent.training_rows(tiny(), METHODS, [PAIR, (2, 1)], "cpu")
    assert len(rows) == 2 * (4 + 3 + 3) and {row["pair"] for row in rows} == {"1-2", "2-1"}
    monkeypatch.setattr(networks, "train", None)
    assert subsequent.training_rows(tiny(), METHODS, [PAIR, (2, 1)], "cpu") == rows


def test_sources_are_told_apart():
    """Two sources for one target are two trainings, though seed and method are the same."""
    (one, _), (other, _) = (subsequent.subsequent(tiny(), "fgmt", pair, "cpu") for pair in (PAIR, (3, 2)))
    assert not same(one.start, other.start) and not same(one.end, other.end)


def test_the_origin_is_where_the_source_comes_from(monkeypatch):
    rich, poor = fine_tuned()
    lines = spied(monkeypatch, subsequent, "source_line")
    for origin, expected in ((poor, poor), (None, rich)):
        subsequent.subsequent(rich, "naive", PAIR, "cpu", origin=origin)
        (_, source), _ = lines.pop()
        assert same(source.end, networks.network(expected, 1).end)
    assert not same(networks.network(poor, 1).end, networks.network(rich, 1).end)


def test_four_curves_of_one_length(monkeypatch):
    rich, poor = fine_tuned()
    calls = spied(monkeypatch, subsequent, "continued")
    rows = subsequent.generalization_rows(rich, poor, [PAIR], "cpu")
    methods = ["FGMT, part → all", "FGMT, part → part", "standard, all", "standard, part"]
    assert [(row["method"], row["epoch"]) for row in rows] == [(m, epoch) for m in methods for epoch in (1, 2, 3)]
    assert all(abs(row["gap"]) < 1 and 0 <= row["accuracy"] <= 1 for row in rows)
    settings, recipes, starts = zip(*(args[:3] for args, _ in calls), strict=True)
    assert settings == (rich, poor, rich, poor) and {recipe.epochs for recipe in recipes} == {3}
    assert same(starts[2], parameters(networks.initialised(rich, 2))) and same(
        starts[3], parameters(networks.initialised(poor, 2))
    )
    monkeypatch.setattr(networks, "train", None)
    assert subsequent.generalization_rows(rich, poor, [PAIR], "cpu") == rows


def test_a_poor_start_sees_only_its_part_of_the_data(monkeypatch):
    """The source and its like are pre-trained on a fifth; the good target, and what follows pre-training, on everything."""
    rich, _ = fine_tuned()
    calls = spied(monkeypatch, networks, "train")
    rich = replace(rich, pretrained=replace(rich.pretrained, recipe=replace(rich.pretrained.recipe, lr=0.02)))  # not cached yet
    poor = rich.with_source_fraction(0.2)
    subsequent.generalization_rows(rich, poor, [PAIR], "cpu")
    first, then = len(networks.task_of(rich.pretrained).train), len(networks.task_of(rich).train)
    seen = [(kwargs["name"].split("-")[0], kwargs["seed"], len(args[1])) for args, kwargs in calls]
    before = {(seed, count) for name, seed, count in seen if name == "digits04"}
    assert before == {(1, round(0.2 * first)), (2, round(0.2 * first)), (2, first)}
    assert {count for name, _, count in seen if name == "digits59"} == {then}


def test_starting_points_are_those_of_pre_training():
    rich, poor = fine_tuned()
    rows = subsequent.starting_points([tiny(), rich, poor], [(1, 2), (1, 3)], "cpu")
    assert [row["pre-trained on"] for row in rows] == [rich.pretrained.task(), f"{rich.pretrained.task()}, 50% of it"]
    ends = [networks.network(rich.pretrained, seed).history[-1]["accuracy"] for seed in (2, 3)]
    assert rows[0]["validation accuracy"] == pytest.approx(sum(ends) / 2)
