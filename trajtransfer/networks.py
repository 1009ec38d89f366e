"""Trained networks by setting and seed: cached under readable names, written atomically, resumed after a kill."""

from __future__ import annotations

import hashlib
import json
import os
import time
import warnings
from collections.abc import Iterator
from dataclasses import asdict, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from trajtransfer import models
from trajtransfer.checkpoints import History, checksum, load, save, write_json
from trajtransfer.data import Task, load_task
from trajtransfer.objective import evaluate
from trajtransfer.params import Params, parameters
from trajtransfer.progress import progress
from trajtransfer.settings import Setting
from trajtransfer.training import Checkpoint, Recipe, train

HEADS = 1_000_003  # distance between the seed of a network and that of its later head: one stream each


class Network(NamedTuple):
    """A training run: its `model` (structure only), both ends, final buffers, and one history row per epoch."""

    model: nn.Module
    start: Params
    end: Params
    buffers: Params
    history: list[dict[str, float]]


def home() -> Path:
    """The root of the project: ``TRAJTRANSFER_HOME``, or the nearest folder above with a ``_toc.yml``, or this one."""
    if "TRAJTRANSFER_HOME" in os.environ:
        return Path(os.environ["TRAJTRANSFER_HOME"])
    here = Path.cwd()
    return next((folder for folder in (here, *here.parents) if (folder / "_toc.yml").exists()), here)


def select_device(name: str = "auto") -> torch.device:
    """``"auto"`` (CUDA when there), or a device by name; makes PyTorch deterministic on it where it can.

    Raises ``ValueError`` when the device is not there: nothing falls back silently.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.backends.cudnn.benchmark = False
    torch.use_deterministic_algorithms(True, warn_only=True)
    # CUDA has no deterministic backward pass of max-pooling in general. Conv8's does not overlap, so its order is fixed;
    # the stem of ResNet-18 for photographs overlaps, and those runs repeat up to rounding.
    warnings.filterwarnings("ignore", message="max_pool2d_with_indices_backward_cuda")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        return torch.zeros((), device=name).device
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device {name!r} is not available: {str(error).splitlines()[0]}. Use --device cpu") from error


@lru_cache(maxsize=4)
def task(dataset: str, classes: tuple[int, ...] | None, size: int | None, device: str) -> Task:
    """A task from ``TRAJTRANSFER_DATA`` (default: the folder ``data`` of the project), kept in memory."""
    root = Path(os.environ.get("TRAJTRANSFER_DATA", home() / "data"))
    return load_task(dataset, root, classes=classes, size=size, device=device)


def task_of(setting: Setting, device: str = "cpu") -> Task:
    """The task that a setting is trained on, with its fraction of the training split."""
    whole = task(setting.dataset, setting.classes, setting.size, str(device))
    if setting.fraction == 1:
        return whole
    return replace(whole, train=whole.train.subset(torch.arange(round(setting.fraction * len(whole.train)))))


def checksums(setting: Setting, device: str = "cpu") -> dict[str, str]:
    """Data set -> checksum for everything a setting is trained on, pre-training included."""
    own = {setting.dataset: task_of(setting, device).checksum}
    return (checksums(setting.pretrained, device) if setting.pretrained else {}) | own


def network(setting: Setting, seed: int, device: str = "cpu") -> Network:
    """The network of a setting and a seed, trained now unless it is cached under ``runs/networks``.

    A killed training run continues from its last epoch. Raises `CheckpointError` for an unreadable file.
    """
    model, folder = initialised(setting, seed, device), _folder(setting, setting.training(), setting.recipe, seed, device)
    *_, (checkpoint, history) = _trained(setting, setting.recipe, seed, model, device, folder)
    return Network(model, parameters(model), checkpoint.params, checkpoint.buffers, history)


def recorded(setting: Setting, seed: int, device: str = "cpu") -> list[Params]:
    """The recorded trajectory of `network`: its start and its weights after every epoch, one file each."""
    model, folder = initialised(setting, seed, device), _folder(setting, setting.training(), setting.recipe, seed, device)
    run = _trained(setting, setting.recipe, seed, model, device, folder, every_epoch=True)
    return [parameters(model), *(checkpoint.params for checkpoint, _ in run)]


def continued(setting: Setting, recipe: Recipe, start: Params, seed: int, label: str, device: str = "cpu") -> Network:
    """A network of this setting's task trained from the weights `start`, cached by their content under a name with `label`."""
    data = task_of(setting, device)
    model = models.build(setting.architecture, data.shape, data.classes, setting.width, seed).to(device)
    model.load_state_dict(dict(start), strict=False)  # running statistics, if any, begin anew
    made_of = setting.training() | {"recipe": asdict(recipe), "start": checksum(start)}
    folder = _folder(setting, made_of, recipe, seed, device, f"-{label}")
    *_, (checkpoint, history) = _trained(setting, recipe, seed, model, device, folder)
    return Network(model, start, checkpoint.params, checkpoint.buffers, history)


def initialised(setting: Setting, seed: int, device: str = "cpu") -> nn.Module:
    """The network of a setting and a seed before training: freshly drawn, or pre-trained under a head of its own."""
    data = task_of(setting, device)
    if setting.pretrained is None:
        return models.build(setting.architecture, data.shape, data.classes, setting.width, seed).to(device)
    parent = network(setting.pretrained, seed, device)
    parent.model.load_state_dict(dict(parent.end | parent.buffers))
    return models.reset_head(parent.model, data.classes, seed + HEADS).to(device)


def _trained(
    setting: Setting, recipe: Recipe, seed: int, model: nn.Module, device: str, folder: Path, every_epoch: bool = False
) -> Iterator[tuple[Checkpoint, History]]:
    """Checkpoints with the history so far: first those on disk, then one after each epoch that is still to be trained.

    There is one file, or one per epoch; who asks for the end alone finds that of a recorded trajectory too. Each row
    of the history has the mean training loss of its epoch, the accuracies afterwards on the validation split and
    on as many training images, and seconds.
    """
    data = task_of(setting, device)
    fitted = data.train.subset(torch.arange(min(len(data.train), len(data.validation))))
    recorded_names = [f"epoch-{epoch:03d}" for epoch in range(recipe.epochs + 1)]
    names = recorded_names if every_epoch else ["checkpoint"] * len(recorded_names)
    checkpoint, history = None, []
    for name in names[1:] if every_epoch else ("checkpoint", recorded_names[-1]):
        found, rows = load(folder / f"{name}.safetensors", model, device)
        if found is None and every_epoch:
            break
        if found is not None:
            checkpoint, history = found, rows
            yield checkpoint, history
    if checkpoint is not None and checkpoint.epoch == recipe.epochs:
        return
    write_json(
        folder / "network.json", {"setting": setting.training(), "recipe": asdict(recipe), "seed": seed, "data": data.checksum}
    )
    run = train(model, data.train, recipe, seed=seed, name=folder.name, start=checkpoint)
    clock = time.perf_counter()
    for checkpoint in progress(run, f"training {folder.name}", total=recipe.epochs, initial=len(history)):
        seconds = time.perf_counter() - clock
        at = checkpoint.params | checkpoint.buffers
        accuracy, fit = (evaluate(model, at, split).accuracy for split in (data.validation, fitted))
        row = {
            "epoch": checkpoint.epoch,
            "loss": checkpoint.loss,
            "accuracy": accuracy,
            "train_accuracy": fit,
            "seconds": seconds,
        }
        history = [*history, row]
        save(folder / f"{names[checkpoint.epoch]}.safetensors", checkpoint, history)
        yield checkpoint, history
        clock = time.perf_counter()


def _folder(setting: Setting, made_of: dict[str, Any], recipe: Recipe, seed: int, device: str, label: str = "") -> Path:
    """A readable name with a short hash of what decides the numbers: training, seed, data and kind of device."""
    kind = torch.device(device).type
    identity = json.dumps([made_of, seed, task_of(setting, device).checksum] + [kind] * (kind != "cpu"), sort_keys=True)
    digest = hashlib.sha256(identity.encode()).hexdigest()[:8]
    name = f"{setting.name}{label}-w{setting.width:g}-e{recipe.epochs}-seed{seed}-{digest}"
    return home() / "runs" / "networks" / name
