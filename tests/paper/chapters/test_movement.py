"""What is varied: one thing at a time, all else as in the setting; rows are those of transfers."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from trajtransfer.paper.chapters import movement
from trajtransfer.paper.controls import trained
from trajtransfer.paper.lab import Lab
from trajtransfer.paper.seeds import Seeds
from trajtransfer.paper.settings import setting
from trajtransfer.paper.transfers import transfers

pytestmark = pytest.mark.usefixtures("home")  # one project for the module
PAIRS = [Seeds(1, 2), Seeds(3, 4)]
METHODS = ["naive", "fgmt"]


@pytest.fixture
def lab():
    return Lab(setting("mnist5k-mlp", width=8, epochs=2, steps=3), "cpu")


def different(first, second):
    return {
        one.name for one in fields(first) if getattr(first, one.name) != getattr(second, one.name)
    }


@pytest.mark.parametrize(("field", "values"), [("lr", [0.1, 0.2]), ("epochs", [1, 2])])
def test_of_a_recipe_one_field_is_another(lab, field, values):
    variants = movement.of_recipe(lab, field, values)
    assert [(one.varied, one.value) for one in variants] == [(field, value) for value in values]
    for one in variants:
        assert different(one.lab.setting, lab.setting) <= {"recipe"}
        assert different(one.lab.setting.recipe, lab.setting.recipe) <= {field}
        assert getattr(one.lab.setting.recipe, field) == one.value


@pytest.mark.parametrize(("field", "values"), [("batch_size", [16, 32]), ("steps", [2, 5])])
def test_of_a_transfer_one_field_is_another_and_the_networks_are_the_same(lab, field, values):
    for one, value in zip(movement.of_transfer(lab, field, values), values, strict=True):
        assert one.lab.setting == replace(lab.setting, **{field: value})
        assert one.lab.setting.training() == lab.setting.training()


def test_a_width_is_that_of_the_pre_training_too():
    lab = Lab(setting("digits59-mlp"), "cpu")
    (one,) = movement.of_width(lab, [16])
    assert one.lab.setting.width == one.lab.setting.pretrained.width == 16


def test_rows_are_the_networks_and_the_chosen_steps_of_every_variant(lab):
    variants = [*movement.of_recipe(lab, "lr", [0.01, 0.1]), *movement.of_width(lab, [4, 8])]
    rows = movement.reached(variants, METHODS, PAIRS)
    assert len(rows) == len(variants) * len(PAIRS) * len(METHODS)
    for one in variants:
        mine = rows[(rows["varied"] == one.varied) & (rows["value"] == one.value)]
        networks = trained(one.lab, PAIRS)
        steps = transfers(one.lab, METHODS, PAIRS)
        best = steps.loc[steps.groupby(["pair", "method"])["selection_accuracy"].idxmax()]
        for number, seeds in enumerate(PAIRS):
            of_pair = mine[mine["pair"] == str(seeds)]
            for name in networks.columns:
                assert set(of_pair[name]) == {networks[name][number]}
            chosen = best[best["pair"] == str(seeds)]
            peaks = dict(zip(chosen["method"], chosen["accuracy"], strict=True))
            assert dict(zip(of_pair["method"], of_pair["accuracy"], strict=True)) == peaks
