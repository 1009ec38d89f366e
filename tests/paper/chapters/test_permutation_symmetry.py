"""The symmetry, and the network small enough to draw: what tables and pictures say of it is so."""

from __future__ import annotations

import pytest
import torch

from trajtransfer.landscape import Interpolation
from trajtransfer.objective import Score
from trajtransfer.paper import networks
from trajtransfer.paper.chapters import permutation_symmetry
from trajtransfer.paper.lab import Lab
from trajtransfer.paper.seeds import Seeds
from trajtransfer.paper.settings import setting
from trajtransfer.params import parameters

pytestmark = pytest.mark.usefixtures("home")  # one project for the module


def pocket_transfer():
    lab = Lab(setting("mnist5k-mlp"), "cpu")
    return permutation_symmetry.pocket_transfer(lab, Seeds(1, 2), hidden=8, epochs=20, steps=2)


@pytest.fixture(scope="module")
def pocket(home):
    return pocket_transfer()


def test_a_pocket_network_is_moved_unit_by_unit(pocket):
    pi = pocket.permutation
    networks = pocket.ends()
    start, end, target, moved = (network.params for network in networks.values())
    size = float(end.norm())
    assert (moved - target - pi(end - start)).norm() <= 1e-5 * size
    given = (moved - target)["hidden.weight"]
    movement = (end - start)["hidden.weight"]
    for unit, origin in enumerate(networks["target, transferred"].units):
        # A unit moves as the one whose colour it has.
        assert torch.allclose(given[unit], movement[origin], rtol=0, atol=1e-5 * size)


def test_every_unit_of_a_pocket_network_has_a_colour(pocket):
    networks = pocket.ends()
    assert list(networks) == [
        "source, untrained",
        "source, trained",
        "target, untrained",
        "target, transferred",
    ]
    for name, network in networks.items():
        assert sorted(network.units) == list(range(8))
        if name.startswith("source"):
            assert network.units == list(range(8))


def test_a_pocket_network_learns_and_repeats(pocket):
    networks = pocket.ends()
    trained = networks["source, trained"].accuracy
    assert trained > networks["source, untrained"].accuracy
    again = pocket_transfer()
    assert again.permutation == pocket.permutation
    for name, network in networks.items():
        assert again.ends()[name].accuracy == network.accuracy


def test_a_walk_has_every_weight_of_both_networks_at_every_step(pocket):
    rows = pocket.rows()
    assert len(rows) == 2 * 3 * (4 * 8 + 8 * 3)
    last = rows[(rows["network"] == "target") & (rows["t"] == 2)]
    moved = pocket.target[-1]
    for row in last.to_dict("records"):
        weight = moved.params[f"{row['layer']}.weight"][int(row["to"]), int(row["from"])]
        assert row["weight"] == float(weight)
        hidden = row["to"] if row["layer"] == "hidden" else row["from"]
        assert row["unit"] == moved.units[int(hidden)]
    assert set(last["accuracy"]) == {moved.accuracy}


@pytest.mark.parametrize(("name", "width"), [("mnist5k-mlp", 16), ("mnist5k-conv8-small", 0.125)])
def test_permutations_change_no_output_but_one_tensor_alone_does(name, width):
    lab = Lab(setting(name, width=width), "cpu")
    model = lab.initialised(1)
    inputs, _ = lab.task.train.subset(torch.arange(8)).tensors()
    rows = permutation_symmetry.output_changes(model, parameters(model), lab.spec, inputs, 3)
    assert list(rows["permutation"]) == [1, 2, 3]
    assert (rows["change"] < 1e-12).all()
    assert (rows["control"] > 1e-5).all()


def test_rows_of_profiles():
    profile = Interpolation((0, 1), (Score(2.0, 0.25), Score(1.0, 0.75)))
    rows = permutation_symmetry.profile_rows({"as trained": profile, "matched": profile})
    assert list(rows["source"]) == ["as trained"] * 2 + ["matched"] * 2
    assert list(rows["position"]) == [0, 1] * 2
    assert list(rows["loss"]) == [2, 1] * 2
    assert list(rows["accuracy"]) == [0.25, 0.75] * 2


def test_pictures_are_of_the_data_of_the_setting():
    lab = Lab(setting("mnist5k-mlp"), "cpu")
    split = permutation_symmetry._pocket_data(lab, "validation")
    task = networks.task("mnist-5k", (0, 1, 2), None, "cpu")
    inputs, labels = split.tensors()
    assert inputs.shape == (len(task.validation), 1, 2, 2)
    assert labels.equal(task.validation.labels)
    first = task.validation.images[0].float()
    corner = first[0, :14, :14].mean().round() / 255
    assert float(inputs[0, 0, 0, 0]) == pytest.approx(float(corner) - 0.5, abs=1e-6)
