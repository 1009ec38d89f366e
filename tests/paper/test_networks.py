"""Kept networks: trained once, resumed after a kill, files that are not theirs set aside."""

from __future__ import annotations

import json
import os
import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch
from safetensors import safe_open

import trajtransfer as tt
from trajtransfer.paper import architectures, fitting, networks
from trajtransfer.paper.checkpoints import CheckpointError, load
from trajtransfer.paper.provenance import code_digest
from trajtransfer.paper.settings import SETTINGS, setting
from trajtransfer.paper.storage.locks import locked


def tiny(name: str = "mnist5k-mlp", epochs: int = 3, **recipe) -> object:
    chosen = setting(name, width=16)
    shorter = replace(chosen, recipe=replace(chosen.recipe, epochs=epochs, **recipe))
    return replace(shorter, pretrained=shorter.pretrained and tiny(shorter.pretrained.name))


def place_of(chosen, seed: int = 1) -> networks.Place:
    return networks._place(chosen, chosen.training(), chosen.recipe, seed, "cpu")


def checkpoints(project):
    return list((project / "runs" / "networks").glob("*/checkpoint.safetensors"))


def only_checkpoint(project):
    (path,) = checkpoints(project)
    return path


def same(a: tt.Params, b: tt.Params) -> bool:
    """Whether two networks have the same weights to the last bit."""
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def same_way(first: list[tt.Params], second: list[tt.Params]) -> bool:
    return all(same(a, b) for a, b in zip(first, second, strict=True))


def forbid_training(monkeypatch):
    """A training from now on fails."""
    monkeypatch.setattr(networks, "train", None)


def watch_training(monkeypatch) -> list:
    """The epochs that trainings start after."""
    original = networks.train
    epochs = []

    def train(*args, start, **kwargs):
        epochs.append(start and start.epoch)
        return original(*args, start=start, **kwargs)

    monkeypatch.setattr(networks, "train", train)
    return epochs


# Trained once, and resumed


def test_a_network_is_trained_once(project, monkeypatch):
    first = networks.network(tiny(), seed=1)
    forbid_training(monkeypatch)
    second = networks.network(tiny(), seed=1)
    assert same(first.end, second.end) and same(first.start, second.start)
    assert first.history == second.history
    names = [name for name, _ in first.model.named_parameters()]
    assert list(first.end) == list(second.end) == names
    assert [row["epoch"] for row in first.history] == [1, 2, 3]
    assert not list(project.rglob("*.partial"))


def test_a_kept_network_says_what_decides_its_numbers(project):
    networks.network(tiny(), seed=1)
    path = only_checkpoint(project)
    assert path.parent.name.startswith("mnist5k-mlp-w16-e3-seed1-")
    with safe_open(path, framework="pt") as file:
        made_of = json.loads(file.metadata()["identity"])
    assert made_of["seed"] == 1
    assert made_of["trained"]["recipe"]["epochs"] == 3
    assert made_of["trained"]["width"] == 16
    assert made_of["data"] == networks.task_of(tiny()).checksum
    assert made_of["device"] == "cpu, threads: 1"
    assert made_of["code"] == code_digest("trajtransfer.paper.networks")
    assert made_of["libraries"].keys() >= {"torch", "numpy"}


def test_a_killed_run_goes_on_with_the_same_numbers(project, monkeypatch):
    whole = networks.network(tiny(), seed=1)
    only_checkpoint(project).unlink()
    original = networks.train

    def killed(*args, **kwargs):
        yield next(original(*args, **kwargs))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(networks, "train", killed)
        with pytest.raises(KeyboardInterrupt):
            networks.network(tiny(), seed=1)
    epochs = watch_training(monkeypatch)
    resumed = networks.network(tiny(), seed=1)
    assert epochs == [1]
    assert same(resumed.end, whole.end)
    accuracies = [[row["accuracy"] for row in found.history] for found in (resumed, whole)]
    assert accuracies[0] == accuracies[1]


def test_a_recorded_trajectory_is_that_of_the_network(project, monkeypatch):
    trajectory = networks.recorded(tiny(), seed=1)
    forbid_training(monkeypatch)  # the network is the end of the trajectory
    found = networks.network(tiny(), seed=1)
    again = networks.recorded(tiny(), seed=1)
    assert len(trajectory) == 4
    assert same(trajectory[0], found.start) and same(trajectory[-1], found.end)
    assert same_way(trajectory, again)
    assert [row["epoch"] for row in found.history] == [1, 2, 3]


def test_a_killed_recording_goes_on_with_the_same_numbers(project, monkeypatch):
    whole = networks.recorded(tiny(), seed=1)
    for late in project.rglob("epoch-00[23].safetensors"):
        late.unlink()
    epochs = watch_training(monkeypatch)
    resumed = networks.recorded(tiny(), seed=1)
    assert epochs == [1]
    assert same_way(whole, resumed)


def test_a_continued_network_is_kept_by_where_it_started(project, monkeypatch):
    chosen = tiny(epochs=1)
    start, other = (networks.network(chosen, seed).end for seed in (1, 2))
    first = networks.continued(chosen, chosen.recipe, start, 3, "test")
    assert same(first.start, start) and not same(first.end, start)
    assert first.history[0].keys() >= {"accuracy", "train_accuracy", "loss", "seconds"}
    second = networks.continued(chosen, chosen.recipe, other, 3, "test")
    assert not same(first.end, second.end)
    forbid_training(monkeypatch)
    again = networks.continued(chosen, chosen.recipe, start, 3, "test")
    assert same(again.end, first.end)


def test_leftovers_of_killed_trainings_are_removed(project):
    folder = place_of(tiny()).folder
    folder.mkdir(parents=True)
    for name in ("checkpoint.safetensors.99999-1.partial", "notes.partial"):
        (folder / name).write_text("half")
    networks.network(tiny(), 1)
    assert not list(folder.glob("*99999*")) and (folder / "notes.partial").exists()


def test_a_diverged_network_is_named_and_not_kept(project):
    with pytest.raises(
        tt.DivergedError, match=r"'mnist5k-mlp-w16-e1-seed1-\w+' diverged in epoch 1"
    ):
        networks.network(tiny(epochs=1, lr=1e30), seed=1)
    assert not list(project.rglob("checkpoint*"))


# What makes another network, and what does not


def test_a_fraction_of_the_data_makes_another_network(project):
    whole = tiny(epochs=1)
    part = replace(whole, fraction=0.1)
    tasks = [networks.task_of(chosen) for chosen in (whole, part)]
    assert [len(task.train) for task in tasks] == [3848, 385]
    assert tasks[0].validation is tasks[1].validation
    assert not same(networks.network(whole, 1).end, networks.network(part, 1).end)


def test_everything_that_decides_the_result_names_another_network(project):
    for chosen in (tiny(epochs=1), tiny(epochs=1, lr=0.02), setting("mnist5k-mlp", width=8)):
        chosen = replace(chosen, recipe=replace(chosen.recipe, epochs=1))
        for seed in (1, 2):
            networks.network(chosen, seed)
    # Says nothing about training.
    networks.network(replace(tiny(epochs=1), steps=99, schedule="cosine"), seed=1)
    assert len(checkpoints(project)) == 6


@pytest.mark.parametrize(
    "other",
    [
        {"code": "another"},
        {"libraries": {"torch": "0.1"}},
        {"device": "cpu, threads: 2"},
        {"device": "cuda"},
    ],
    ids=str,
)
def test_other_circumstances_name_another_network(other, project, monkeypatch):
    original = networks.circumstances
    before = place_of(tiny())
    assert place_of(tiny()) == before
    monkeypatch.setattr(networks, "circumstances", lambda *a: original(*a) | other)
    after = place_of(tiny())
    assert after.identity != before.identity and after.folder != before.folder


def test_one_width_is_one_identity(project, monkeypatch):
    networks.network(replace(tiny(epochs=1), width=1024), 1)
    forbid_training(monkeypatch)
    for width in (1024.0, SETTINGS["mnist5k-mlp"].width):
        networks.network(replace(tiny(epochs=1), width=width), 1)
    networks.network(replace(tiny(epochs=1, weight_decay=0), width=1024), 1)


def test_the_cpu_has_one_name(project, monkeypatch):
    first = networks.network(tiny(epochs=1), 1)
    forbid_training(monkeypatch)
    assert same(networks.network(tiny(epochs=1), 1, "cpu:0").end, first.end)


def test_a_pretrained_network_starts_where_its_parent_ended(project):
    chosen = tiny("digits59-mlp")
    child = networks.network(chosen, seed=1)
    parent = networks.network(chosen.pretrained, seed=1)
    assert torch.equal(child.start["hidden.weight"], parent.end["hidden.weight"])
    head = child.start["head.weight"]
    assert not torch.equal(head, parent.end["head.weight"])
    other = networks.network(chosen, seed=2)
    assert not torch.equal(head, other.start["head.weight"])
    assert networks.checksums(chosen).keys() == {"mnist-5k"}


def test_a_head_has_a_seed_of_its_own(project):
    """It does not repeat the stream that drew the first layer."""
    chosen = tiny("digits59-mlp", epochs=1)
    head = tt.parameters(networks.initialised(chosen, 1))["head.weight"].flatten()
    drawn = architectures.build("mlp", (1, 28, 28), 5, 16, 1).hidden.weight
    first_layer = drawn.detach().flatten()[: len(head)]
    correlation = torch.corrcoef(torch.stack([first_layer, head]))[0, 1]
    assert correlation.abs() < 0.5


# Files that are damaged, or another's

DAMAGES = {
    "cut off": lambda content: content[: len(content) // 2],
    "empty": lambda content: b"",
    "noise": lambda content: b"noise" * 40,
    "noise at the end": lambda content: content[:-5] + b"noise",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_named_set_aside_and_made_again(damage, project, capsys):
    first = networks.network(tiny(epochs=1), seed=1)
    path = only_checkpoint(project)
    damaged = DAMAGES[damage](path.read_bytes())
    path.write_bytes(damaged)
    again = networks.network(tiny(epochs=1), seed=1)
    assert same(first.end, again.end)
    said = capsys.readouterr().err
    kept = "checkpoint.refused-1.safetensors"
    assert str(path) in said
    assert f"it is kept as {kept}, and the network is trained anew" in said
    assert path.with_name(kept).read_bytes() == damaged


OTHERS = {
    "seed": (tiny(epochs=1), 2),
    "recipe": (tiny(epochs=1, lr=0.02), 1),
    "width": (replace(tiny(epochs=1), width=17), 1),
    "part of the data": (replace(tiny(epochs=1), fraction=0.5), 1),
    "classes": (replace(tiny(epochs=1), classes=(0, 1)), 1),
    "setting": (tiny("digits59-mlp", epochs=1), 1),
    "architecture": (
        replace(tiny(epochs=1), size=32, architecture="conv8", width=1 / 32),
        1,
    ),
}


@pytest.mark.parametrize("other", OTHERS)
def test_the_file_of_another_network_is_refused(other, project, capsys):
    chosen = tiny(epochs=1)
    first = networks.network(chosen, 1)
    networks.network(*OTHERS[other])
    stranger = place_of(*OTHERS[other]).path(1, every_epoch=False)
    place_of(chosen).path(1, every_epoch=False).write_bytes(stranger.read_bytes())
    again = networks.network(chosen, 1)
    assert "holds another network" in capsys.readouterr().err
    assert same(again.end, first.end)


def test_exchanged_epochs_of_one_trajectory_are_refused(project, capsys):
    whole = networks.recorded(tiny(), seed=1)
    place = place_of(tiny())
    one, two = (place.path(epoch, every_epoch=True) for epoch in (1, 2))
    two.write_bytes(one.read_bytes())
    again = networks.recorded(tiny(), seed=1)
    assert "epoch-002.safetensors: it holds epoch 1" in capsys.readouterr().err
    assert same_way(whole, again)


def test_no_flipped_bit_goes_unnoticed(project):
    """Each is refused, or in the padding of the header, where it says nothing."""
    chosen = replace(tiny(epochs=2), width=2)
    whole = networks.network(chosen, seed=1)
    path = only_checkpoint(project)
    identity = place_of(chosen).identity
    intact = path.read_bytes()
    header = int.from_bytes(intact[:8], "little") + 8
    chance = random.Random(0)
    refused = 0
    for number in range(320):
        flipped = bytearray(intact)
        size = header if number % 2 else len(intact)
        flipped[chance.randrange(size)] ^= 1 << chance.randrange(8)
        path.write_bytes(flipped)
        try:
            checkpoint, history = load(path, whole.model, "cpu", identity)
        except CheckpointError:
            refused += 1
        else:
            assert same(checkpoint.params, whole.end)
            assert history == whole.history and checkpoint.epoch == 2
    assert refused > 300


def test_a_folder_in_place_of_a_checkpoint_is_set_aside(project):
    first = networks.network(tiny(epochs=1), 1)
    path = only_checkpoint(project)
    path.unlink()
    path.mkdir()
    assert same(networks.network(tiny(epochs=1), 1).end, first.end)
    assert path.with_name("checkpoint.refused-1.safetensors").is_dir()


# Several at a time


def test_of_two_trainings_of_one_network_the_second_waits(project, capsys):
    """The second process finds the network that the first has trained meanwhile."""
    folder = place_of(tiny()).folder
    with ThreadPoolExecutor() as lanes, locked(folder, "the network"):
        second = lanes.submit(networks.network, tiny(), 1)
        with pytest.raises(TimeoutError):
            second.result(timeout=1.5)
    assert second.result(timeout=60).history[-1]["epoch"] == 3
    said = capsys.readouterr().err
    assert f"waiting for process {os.getpid()} on" in said
    assert f"which is writing the network {folder.name}" in said


def test_several_callers_on_one_damaged_file_do_not_meet(project):
    chosen = tiny(epochs=1)
    first = networks.network(chosen, 1)
    path = only_checkpoint(project)
    path.write_bytes(b"junk")
    with ThreadPoolExecutor(4) as lanes:
        found = list(lanes.map(lambda _: networks.network(chosen, 1), range(4)))
    assert all(same(one.end, first.end) for one in found)
    assert len(list(path.parent.glob("*.refused-*"))) == 1


# What a setting asks for and its data or its network cannot give


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"batch_size": 3849},
            r"a batch of 3849 cannot be drawn .* choose a batch_size in 1..3848",
        ),
        (
            {"statistics": 9999},
            r"a batch of 9999 cannot be drawn .* choose a statistics in 1..3848",
        ),
        ({"fraction": 0.01}, "a batch of 128 cannot be drawn from 38 images"),
        ({"architecture": "vgg"}, "vgg"),
        (
            {"architecture": "resnet10", "width": 0.125},
            "statistics=0 would leave those of other weights",
        ),
    ],
)
def test_what_a_setting_cannot_get_is_refused(changes, message, project):
    with pytest.raises(ValueError, match=message):
        fitting.require_fit(replace(tiny(), **changes))


def test_a_batch_of_training_fits_its_images(project):
    fitting.require_fit(tiny(batch_size=3848))
    fitting.require_fit(replace(tiny(), batch_size=3848))
    expected = "the training batch of 3849 is larger than the training set of 3848"
    for require in (fitting.require_fit, fitting.require_trainable):
        with pytest.raises(ValueError, match=expected):
            require(tiny(batch_size=3849))


def test_photographs_are_left_to_the_run(project):
    """There is no data here, and decoding it would take hours."""
    fitting.require_fit(setting("imagenet-resnet18"))
