"""Settings: the paper's values, and changes that reach what they say and nothing else."""

from __future__ import annotations

import json
from dataclasses import asdict, fields, replace

import pytest

from trajtransfer.paper.recipe import Recipe
from trajtransfer.paper.reported import panels
from trajtransfer.paper.settings import PRESETS, RELEASED, SETTINGS, setting, settings

NAMES = pytest.mark.parametrize("name", SETTINGS)
PRETRAINED = [name for name, chosen in SETTINGS.items() if chosen.pretrained]


def changed(name: str, **changes) -> set[str]:
    """The fields in which a setting differs from its own values."""
    before = asdict(SETTINGS[name])
    after = asdict(setting(name, **changes))
    return {field for field in before if before[field] != after[field]}


@NAMES
def test_a_setting_is_known_by_its_name(name):
    chosen = SETTINGS[name]
    assert chosen.name == name and setting(name) == chosen
    assert chosen.panel in panels()


@NAMES
def test_nothing_changes_nothing(name):
    """0 and the empty text keep what a setting says."""
    nothing = {"width": 0, "epochs": 0, "decay": "", "fast": False}
    nothing |= {"steps": 0, "batch_size": 0, "schedule": "", "next_lr": 0.0, "next_epochs": 0}
    assert setting(name, **nothing) == SETTINGS[name]


@NAMES
def test_the_identity_is_made_of_what_decides_the_numbers(name):
    """It is text, and nothing of it says how a figure is drawn."""
    chosen = SETTINGS[name]
    identity = chosen.identity()
    assert json.loads(json.dumps(identity))
    told = replace(chosen, name="other", panel="5b", exact=not chosen.exact)
    assert told.identity() == identity
    for change in ({"steps": 77}, {"batch_size": 77}, {"statistics": 77}, {"next_epochs": 77}):
        assert replace(chosen, **change).identity() != identity
        assert replace(chosen, **change).training() == chosen.training()
    recipe = replace(chosen.recipe, lr=0.77)
    for change in ({"width": 77}, {"classes": (0,)}, {"size": 7}, {"recipe": recipe}):
        assert replace(chosen, **change).training() != chosen.training()
    assert replace(chosen, fraction=0.5).training() != chosen.training()


@NAMES
def test_whole_and_real_numbers_are_one_setting(name):
    chosen = SETTINGS[name]
    real = replace(chosen, width=float(chosen.width))
    assert json.dumps(real.identity()) == json.dumps(replace(chosen, width=chosen.width).identity())
    recipe = replace(chosen.recipe, weight_decay=0)
    other = replace(chosen.recipe, weight_decay=0.0)
    assert json.dumps(recipe.identity()) == json.dumps(other.identity())


@pytest.mark.parametrize("name", PRETRAINED)
def test_pre_training_is_for_the_same_network(name):
    chosen = SETTINGS[name]
    parent = chosen.pretrained
    assert (parent.architecture, parent.width) == (chosen.architecture, chosen.width)
    assert chosen.training()["pretrained"] == parent.training()
    assert chosen.route() == f"{parent.task()} → {chosen.task()}"


def test_settings_are_those_of_the_paper():
    mnist = SETTINGS["mnist-mlp"]
    assert (mnist.width, mnist.steps, mnist.batch_size) == (4096, 5, 128)
    assert (mnist.recipe.epochs, mnist.recipe.lr) == (15, 0.01)
    cars = SETTINGS["cars-resnet18"]
    assert (cars.steps, cars.batch_size, cars.statistics) == (15, 640, 256)
    assert cars.recipe.schedule == "cosine"
    cub = setting("cub-resnet18")
    assert (cub.next_recipe.lr, cub.next_recipe.epochs) == (0.01, 30)
    assert cub.recipe.lr == 0.1


def test_the_released_code_has_settings_of_its_own():
    released = setting("mnist-mlp", "released-code")
    assert (released.steps, released.recipe.epochs, released.schedule) == (10, 10, "cosine")


@NAMES
def test_the_released_code_differs_in_what_is_listed_alone(name):
    before = SETTINGS[name]
    after = setting(name, "released-code")
    listed = RELEASED.get(name, {})
    assert after.schedule == "cosine"
    for field in ("steps", "batch_size", "statistics", "width"):
        assert getattr(after, field) == listed.get(field, getattr(before, field))
    epochs = listed.get("epochs", before.recipe.epochs)
    assert after.recipe == replace(before.recipe, epochs=epochs)
    assert RELEASED.keys() <= SETTINGS.keys() and PRESETS == ("paper", "released-code")


def test_what_is_not_known_is_refused_with_what_is():
    with pytest.raises(
        ValueError, match=r"unknown setting 'mnist'; known: mnist-mlp, cifar10-conv8"
    ):
        setting("mnist")
    with pytest.raises(ValueError, match=r"unknown preset 'v1'; known: paper, released-code"):
        setting("mnist-mlp", "v1")
    with pytest.raises(ValueError, match=r"unknown schedule 'linear'; known: uniform, cosine"):
        setting("mnist-mlp", schedule="linear")
    with pytest.raises(
        ValueError, match=r"unknown learning-rate schedule 'steps'; known: constant"
    ):
        setting("mnist-mlp", decay="steps")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": -1}, "must be positive"),
        ({"batch_size": -1}, "must be positive"),
        ({"width": -1}, "must be positive"),
        ({"width": float("nan")}, "must be positive"),
        ({"epochs": -1}, "must be positive"),
        ({"steps": 10**9}, "steps=1000000000 cannot be meant; choose at most"),
        ({"fraction": 2}, r"fraction must be in \(0, 1\], got 2"),
        ({"fraction": -0.5}, r"fraction must be in \(0, 1\], got -0.5"),
    ],
)
def test_numbers_that_cannot_be_meant_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        setting("mnist5k-mlp", **changes)


def test_changes_reach_what_they_say_alone():
    assert changed("digits59-mlp", steps=7) == {"steps"}
    assert changed("digits59-mlp", schedule="cosine", batch_size=9) == {"schedule", "batch_size"}
    assert changed("digits59-mlp", epochs=3, decay="cosine") == {"recipe"}
    assert changed("digits59-mlp", width=64) == {"width", "pretrained"}
    assert changed("digits59-mlp", fast=True) == {"recipe", "pretrained"}


def test_changes_reach_the_training_and_pre_training():
    found = setting("digits59-mlp", width=64, epochs=3, decay="cosine", fast=True)
    parent = found.pretrained
    recipe = found.recipe
    assert (recipe.epochs, recipe.schedule, recipe.fast) == (3, "cosine", True)
    assert (parent.recipe.epochs, parent.recipe.fast, parent.width) == (15, True, 64)


def test_a_source_of_a_part_of_the_data_is_pre_trained_on_it():
    chosen = setting("digits59-mlp")
    poor = chosen.with_source_fraction(0.1)
    assert poor.pretrained == replace(chosen.pretrained, fraction=0.1)
    assert replace(poor, pretrained=chosen.pretrained) == chosen
    assert "10% of it" in poor.title()
    with pytest.raises(
        ValueError, match="starts from random weights; choose a setting that is pre"
    ):
        setting("mnist5k-mlp").with_source_fraction(0.1)


def test_several_settings_are_each_at_all_widths():
    found = settings(["mnist5k-mlp", "fashion-mlp"], [8, 16], steps=3)
    assert [(one.name, one.width) for one in found] == [
        ("mnist5k-mlp", 8),
        ("mnist5k-mlp", 16),
        ("fashion-mlp", 8),
        ("fashion-mlp", 16),
    ]
    assert {one.steps for one in found} == {3}


def test_without_widths_settings_have_their_own():
    names = ["mnist5k-mlp", "mnist5k-conv8-small"]
    assert settings(names) == settings(names, []) == [SETTINGS[name] for name in names]


@NAMES
def test_a_reader_is_told_what_was_done(name):
    chosen = SETTINGS[name]
    facts = chosen.facts()
    assert facts["setting"] == name
    assert [facts[field] for field in ("width", "steps", "batch_size", "schedule")] == [
        getattr(chosen, field) for field in ("width", "steps", "batch_size", "schedule")
    ]
    summary = chosen.summary()
    assert f"T = {chosen.steps}, B = {chosen.batch_size}" in summary["transfer"]
    assert f"{chosen.recipe.epochs} epochs" in summary["training"]
    assert (summary["the same experiment as the paper's"] == "yes") == chosen.exact


@pytest.mark.parametrize("field", [field.name for field in fields(Recipe)])
def test_every_field_of_a_recipe_is_part_of_its_identity(field):
    recipe = Recipe(epochs=2, lr=0.1)
    other = {"schedule": "cosine", "augmentation": "crop+flip", "fast": True}.get(field, 7)
    assert replace(recipe, **{field: other}).identity() != recipe.identity()
    assert recipe.identity().keys() == {one.name for one in fields(Recipe)}
