"""Cached networks: kept, resumed after a kill, damaged files named; devices that are not there refused."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

import trajtransfer as tt
from trajtransfer import models, networks
from trajtransfer.checkpoints import CheckpointError
from trajtransfer.settings import SETTINGS, setting, settings


def tiny(name: str = "mnist5k-mlp", epochs: int = 3, **recipe) -> object:
    chosen = setting(name, width=16)
    shorter = replace(chosen, recipe=replace(chosen.recipe, epochs=epochs, **recipe))
    return replace(shorter, pretrained=shorter.pretrained and tiny(shorter.pretrained.name))


def only_checkpoint(project):
    (path,) = (project / "runs" / "networks").glob("*/checkpoint.safetensors")
    return path


def test_a_network_is_trained_once(project, monkeypatch):
    first = networks.network(tiny(), seed=1)
    monkeypatch.setattr(networks, "train", None)  # a second training would fail
    second = networks.network(tiny(), seed=1)
    assert (first.end - second.end).norm() == 0 and first.history == second.history
    assert list(first.end) == list(second.end) == [name for name, _ in first.model.named_parameters()]
    assert [row["epoch"] for row in first.history] == [1, 2, 3]
    folder = only_checkpoint(project).parent
    assert folder.name.startswith("mnist5k-mlp-w16-e3-seed1-")
    made_of = json.loads((folder / "network.json").read_text())
    assert made_of["seed"] == 1 and made_of["setting"]["recipe"]["epochs"] == 3
    assert not list(project.rglob("*.partial"))


def test_a_killed_run_goes_on_with_the_same_numbers(project, monkeypatch):
    whole = networks.network(tiny(), seed=1)
    only_checkpoint(project).unlink()
    original = networks.train

    def killed(*args, **kwargs):
        yield next(original(*args, **kwargs))
        raise KeyboardInterrupt

    monkeypatch.setattr(networks, "train", killed)
    with pytest.raises(KeyboardInterrupt):
        networks.network(tiny(), seed=1)
    epochs = []

    def spy(*args, start, **kwargs):
        epochs.append(start.epoch)
        return original(*args, start=start, **kwargs)

    monkeypatch.setattr(networks, "train", spy)
    resumed = networks.network(tiny(), seed=1)
    assert epochs == [1]
    assert (resumed.end - whole.end).norm() == 0
    assert [row["accuracy"] for row in resumed.history] == [row["accuracy"] for row in whole.history]


def test_a_recorded_trajectory_is_that_of_the_network(project, monkeypatch):
    trajectory = networks.recorded(tiny(), seed=1)
    monkeypatch.setattr(networks, "train", None)  # the network is the end of the trajectory: no second training
    found, again = networks.network(tiny(), seed=1), networks.recorded(tiny(), seed=1)
    assert len(trajectory) == 4 and (trajectory[0] - found.start).norm() == (trajectory[-1] - found.end).norm() == 0
    assert all((a - b).norm() == 0 for a, b in zip(trajectory, again, strict=True))
    assert [row["epoch"] for row in found.history] == [1, 2, 3]


def test_a_killed_recording_goes_on_with_the_same_numbers(project, monkeypatch):
    whole = networks.recorded(tiny(), seed=1)
    for late in project.rglob("epoch-00[23].safetensors"):
        late.unlink()
    original, starts = networks.train, []
    monkeypatch.setattr(networks, "train", lambda *a, start, **k: starts.append(start.epoch) or original(*a, start=start, **k))
    resumed = networks.recorded(tiny(), seed=1)
    assert starts == [1] and all((a - b).norm() == 0 for a, b in zip(whole, resumed, strict=True))


def test_a_continued_network_is_cached_by_where_it_started(project, monkeypatch):
    chosen = tiny(epochs=1)
    start, other = (networks.network(chosen, seed).end for seed in (1, 2))
    first = networks.continued(chosen, chosen.recipe, start, 3, "test")
    assert (first.start - start).norm() == 0 < (first.end - start).norm()
    assert first.history[0].keys() >= {"accuracy", "train_accuracy", "loss", "seconds"}
    second = networks.continued(chosen, chosen.recipe, other, 3, "test")
    assert (first.end - second.end).norm() > 0
    monkeypatch.setattr(networks, "train", None)
    assert (networks.continued(chosen, chosen.recipe, start, 3, "test").end - first.end).norm() == 0


def test_a_fraction_of_the_data_makes_another_network(project):
    whole, part = tiny(epochs=1), replace(tiny(epochs=1), fraction=0.1)
    sizes = [len(networks.task_of(chosen).train) for chosen in (whole, part)]
    assert sizes == [3848, 385] and networks.task_of(part).validation is networks.task_of(whole).validation
    assert (networks.network(whole, 1).end - networks.network(part, 1).end).norm() > 0
    with pytest.raises(ValueError, match=r"fraction must be in \(0, 1\], got 2"):
        replace(whole, fraction=2)
    with pytest.raises(ValueError, match="starts from random weights; choose a setting that is pre-trained"):
        whole.with_source_fraction(0.1)


@pytest.mark.parametrize(
    "damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b"noise" * 40, lambda b: b[:-5] + b"noise"]
)
def test_a_damaged_checkpoint_is_named(damage, project):
    networks.network(tiny(epochs=1), seed=1)
    path = only_checkpoint(project)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(CheckpointError, match=r"is damaged or truncated.*delete it and run again") as error:
        networks.network(tiny(epochs=1), seed=1)
    assert str(path) in str(error.value)


def test_everything_that_decides_the_result_names_another_network(project):
    for chosen in (tiny(epochs=1), tiny(epochs=1, lr=0.02), setting("mnist5k-mlp", width=8)):
        chosen = replace(chosen, recipe=replace(chosen.recipe, epochs=1))
        for seed in (1, 2):
            networks.network(chosen, seed)
    networks.network(replace(tiny(epochs=1), steps=99, schedule="cosine"), seed=1)  # says nothing about training
    assert len(list((project / "runs" / "networks").iterdir())) == 6


def test_a_pretrained_network_starts_where_its_parent_ended(project):
    chosen = tiny("digits59-mlp")
    child, parent = networks.network(chosen, seed=1), networks.network(chosen.pretrained, seed=1)
    assert torch.equal(child.start["hidden.weight"], parent.end["hidden.weight"])
    assert not torch.equal(child.start["head.weight"], parent.end["head.weight"])
    first_layer = models.build("mlp", (1, 28, 28), 5, 16, 1).hidden.weight.flatten()[:80]
    correlation = torch.corrcoef(torch.stack([first_layer.detach(), child.start["head.weight"].flatten()]))[0, 1]
    assert correlation.abs() < 0.5  # the head has a seed of its own, not the stream that drew the first layer
    other = networks.network(chosen, seed=2)
    assert not torch.equal(child.start["head.weight"], other.start["head.weight"])
    assert networks.checksums(chosen).keys() == {"mnist-5k"}


def test_a_diverged_network_is_named_and_not_kept(project):
    with pytest.raises(tt.DivergedError, match=r"'mnist5k-mlp-w16-e1-seed1-\w+' diverged in epoch 1"):
        networks.network(tiny(epochs=1, lr=1e30), seed=1)
    assert not list(project.rglob("checkpoint*"))


def test_devices_that_are_not_there_are_refused():
    assert str(networks.select_device("cpu")) == "cpu" and torch.are_deterministic_algorithms_enabled()
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match=r"device 'cuda' is not available.*--device cpu"):
            networks.select_device("cuda")
    with pytest.raises(ValueError, match="device 'abacus' is not available"):
        networks.select_device("abacus")


def test_settings_are_those_of_the_paper():
    mnist, cars = SETTINGS["mnist-mlp"], SETTINGS["cars-resnet18"]
    assert (mnist.width, mnist.steps, mnist.batch_size, mnist.recipe.epochs, mnist.recipe.lr) == (4096, 5, 128, 15, 0.01)
    assert (cars.steps, cars.batch_size, cars.statistics, cars.recipe.schedule) == (15, 640, 256, "cosine")
    released = setting("mnist-mlp", "released-code")
    assert (released.steps, released.recipe.epochs, released.schedule) == (10, 10, "cosine")
    assert setting("mnist-mlp", width=0, steps=0, schedule="") == mnist
    assert setting("digits59-mlp", width=64).pretrained.width == 64
    with pytest.raises(ValueError, match=r"unknown setting 'mnist'; known: mnist-mlp, cifar10-conv8"):
        setting("mnist")
    with pytest.raises(ValueError, match=r"unknown preset 'v1'; known: paper, released-code"):
        setting("mnist-mlp", "v1")
    with pytest.raises(ValueError, match=r"unknown schedule 'linear'; known: uniform, cosine"):
        setting("mnist-mlp", schedule="linear")
    with pytest.raises(ValueError, match="must be positive"):
        setting("mnist-mlp", steps=-1)


def test_changes_reach_the_training_and_pre_training():
    changed = setting("digits59-mlp", width=64, epochs=3, decay="cosine", fast=True)
    assert (changed.recipe.epochs, changed.recipe.schedule, changed.recipe.fast) == (3, "cosine", True)
    assert (changed.pretrained.recipe.epochs, changed.pretrained.recipe.fast, changed.pretrained.width) == (15, True, 64)
    cub = setting("cub-resnet18")
    assert (cub.next_recipe.lr, cub.next_recipe.epochs) == (0.01, 30) and cub.recipe.lr == 0.1
    assert [c.width for c in settings("mnist5k-mlp, fashion-mlp", widths="8, 16")] == [8, 16, 8, 16]
    with pytest.raises(ValueError, match="'8; 16' is not a list of whole numbers"):
        settings("mnist5k-mlp", widths="8; 16")
    with pytest.raises(ValueError, match="'0, 8': the numbers must be positive"):
        settings("mnist5k-mlp", widths="0, 8")
