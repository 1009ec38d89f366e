"""Cached networks: kept, resumed after a kill, damaged files named; devices that are not there refused."""

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
from trajtransfer.paper import architectures, networks
from trajtransfer.paper.checkpoints import CheckpointError, load
from trajtransfer.paper.settings import SETTINGS, setting, settings
from trajtransfer.paper.storage.locks import locked


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
    with safe_open(only_checkpoint(project), framework="pt") as file:
        made_of = json.loads(file.metadata()["identity"])
    assert made_of["seed"] == 1 and made_of["trained"]["recipe"]["epochs"] == 3 and made_of["device"] == "cpu"
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


DAMAGES = [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b"noise" * 40, lambda b: b[:-5] + b"noise"]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_named_set_aside_and_made_again(damage, project, capsys):
    first = networks.network(tiny(epochs=1), seed=1)
    path = only_checkpoint(project)
    damaged = damage(path.read_bytes())
    path.write_bytes(damaged)
    again = networks.network(tiny(epochs=1), seed=1)
    assert (first.end - again.end).norm() == 0
    said = capsys.readouterr().err
    assert str(path) in said and "it is kept as checkpoint.refused-1.safetensors, and the network is trained anew" in said
    assert path.with_name("checkpoint.refused-1.safetensors").read_bytes() == damaged


def exchanged(project, one, other):
    """Train two networks, and put the file of the second in the place of the first."""
    first, second = networks.network(*one), networks.network(*other)
    paths = {path.parent.name: path for path in (project / "runs" / "networks").glob("*/checkpoint.safetensors")}
    places = [networks._place(c, c.training(), c.recipe, seed, "cpu").folder.name for c, seed in (one, other)]
    paths[places[0]].write_bytes(paths[places[1]].read_bytes())
    return first, second


@pytest.mark.parametrize(
    "other",
    [
        (tiny(epochs=1), 2),
        (tiny(epochs=1, lr=0.02), 1),
        (replace(tiny(epochs=1), width=17), 1),
        (replace(tiny(epochs=1), fraction=0.5), 1),
        (replace(tiny(epochs=1), classes=(0, 1)), 1),
        (tiny("digits59-mlp", epochs=1), 1),
        (replace(tiny(epochs=1), size=32, architecture="conv8", width=1 / 32), 1),
    ],
    ids=["seed", "recipe", "width", "part of the data", "classes", "setting", "architecture"],
)
def test_the_file_of_another_network_is_refused(other, project, capsys):
    first, _ = exchanged(project, (tiny(epochs=1), 1), other)
    again = networks.network(tiny(epochs=1), 1)
    assert "holds another network" in capsys.readouterr().err
    assert again.end.keys() == first.end.keys() and (again.end - first.end).norm() == 0


def test_exchanged_epochs_of_one_trajectory_are_refused(project, capsys):
    whole = networks.recorded(tiny(), seed=1)
    (one, two) = (next(project.rglob(f"epoch-00{n}.safetensors")) for n in (1, 2))
    two.write_bytes(one.read_bytes())
    again = networks.recorded(tiny(), seed=1)
    assert "epoch-002.safetensors: it holds epoch 1" in capsys.readouterr().err
    assert all((a - b).norm() == 0 for a, b in zip(whole, again, strict=True))


def test_no_flipped_bit_goes_unnoticed(project):
    """Each is refused, or in the padding of the header, where it says nothing."""
    chosen = replace(tiny(epochs=2), width=2)
    whole = networks.network(chosen, seed=1)
    path, place = only_checkpoint(project), networks._place(chosen, chosen.training(), chosen.recipe, 1, "cpu")
    intact, chance = path.read_bytes(), random.Random(0)
    header = int.from_bytes(intact[:8], "little") + 8
    refused = 0
    for number in range(320):
        flipped = bytearray(intact)
        flipped[chance.randrange(header if number % 2 else len(intact))] ^= 1 << chance.randrange(8)
        path.write_bytes(flipped)
        try:
            checkpoint, history = load(path, whole.model, "cpu", place.identity)
        except CheckpointError:
            refused += 1
        else:
            assert (checkpoint.params - whole.end).norm() == 0 and history == whole.history and checkpoint.epoch == 2
    assert refused > 300


def test_one_width_is_one_identity(project, monkeypatch):
    networks.network(replace(tiny(epochs=1), width=1024), 1)
    monkeypatch.setattr(networks, "train", None)  # a second training would fail
    for width in (1024.0, SETTINGS["mnist5k-mlp"].width):
        networks.network(replace(tiny(epochs=1), width=width), 1)
    networks.network(replace(tiny(epochs=1, weight_decay=0), width=1024), 1)


def test_of_two_trainings_of_one_network_the_second_waits(project, capsys):
    """The second process finds the network that the first has trained meanwhile."""
    folder = networks._place(tiny(), tiny().training(), tiny().recipe, 1, "cpu").folder
    with ThreadPoolExecutor() as lanes, locked(folder, "the network"):
        second = lanes.submit(networks.network, tiny(), 1)
        with pytest.raises(TimeoutError):
            second.result(timeout=1.5)
    assert second.result(timeout=60).history[-1]["epoch"] == 3
    said = capsys.readouterr().err
    assert f"waiting for process {os.getpid()} on" in said and f"which is writing the network {folder.name}" in said


def test_several_callers_on_one_damaged_file_do_not_meet(project, capsys):
    chosen = tiny(epochs=1)
    first = networks.network(chosen, 1)
    only_checkpoint(project).write_bytes(b"junk")
    with ThreadPoolExecutor(4) as lanes:
        found = list(lanes.map(lambda _: networks.network(chosen, 1), range(4)))
    assert all((one.end - first.end).norm() == 0 for one in found)
    assert len(list(only_checkpoint(project).parent.glob("*.refused-*"))) == 1


def test_a_folder_in_place_of_a_checkpoint_is_set_aside(project):
    first = networks.network(tiny(epochs=1), 1)
    path = only_checkpoint(project)
    path.unlink()
    path.mkdir()
    assert (networks.network(tiny(epochs=1), 1).end - first.end).norm() == 0
    assert path.with_name("checkpoint.refused-1.safetensors").is_dir()


def test_the_cpu_has_one_name(project, monkeypatch):
    first = networks.network(tiny(epochs=1), 1)
    monkeypatch.setattr(networks, "train", None)  # a second training would fail
    assert (networks.network(tiny(epochs=1), 1, "cpu:0").end - first.end).norm() == 0


def test_leftovers_of_killed_trainings_are_removed(project):
    folder = networks._place(tiny(), tiny().training(), tiny().recipe, 1, "cpu").folder
    folder.mkdir(parents=True)
    for name in ("checkpoint.safetensors.99999-1.partial", "notes.partial"):
        (folder / name).write_text("half")
    networks.network(tiny(), 1)
    assert not list(folder.glob("*99999*")) and (folder / "notes.partial").exists()


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
    first_layer = architectures.build("mlp", (1, 28, 28), 5, 16, 1).hidden.weight.flatten()[:80]
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
    for name in ("abacus", "cpu:99", "", "cpu cpu"):
        with pytest.raises(ValueError, match=f"device {name!r} is not available"):
            networks.select_device(name)


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
    with pytest.raises(ValueError, match="'16,16' names a number twice"):
        settings("mnist5k-mlp", widths="16,16")
    with pytest.raises(ValueError, match="names a setting twice"):
        settings("mnist5k-mlp, mnist5k-mlp")
    with pytest.raises(ValueError, match="cannot be meant"):
        setting("mnist5k-mlp", steps=10**9)
    with pytest.raises(ValueError, match="'0, 8': the numbers must be positive"):
        settings("mnist5k-mlp", widths="0, 8")
