"""Trained networks by setting and seed: cached under readable names, written atomically, resumed after a kill."""

from __future__ import annotations

import hashlib
import json
import os
import time
import warnings
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from trajtransfer.objective import evaluate
from trajtransfer.paper import architectures
from trajtransfer.paper.checkpoints import History, Place, checksum, save
from trajtransfer.paper.datasets.tasks import Task, load_task
from trajtransfer.paper.recipe import Recipe
from trajtransfer.paper.settings import PHOTOGRAPHS, Setting
from trajtransfer.paper.storage.locks import locked
from trajtransfer.paper.storage.progress import progress
from trajtransfer.paper.storage.project import home
from trajtransfer.paper.training import Checkpoint, train
from trajtransfer.params import Params, parameters

HEADS = 1_000_003  # distance between the seed of a network and that of its later head: one stream each


class Network(NamedTuple):
    """A training run: its `model` (structure only), both ends, final buffers, and one history row per epoch."""

    model: nn.Module
    start: Params
    end: Params
    buffers: Params
    history: list[dict[str, float]]


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
    return require_device(name)


def require_device(name: str) -> torch.device:
    """A device by name (`"auto"` is the CPU here). Raises ``ValueError`` when it is not there."""
    try:
        device = torch.zeros((), device="cpu" if name == "auto" else name).device
    except (RuntimeError, AssertionError, ImportError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(f"device {name!r} is not available: {reason}. Use --device cpu") from error
    if device.type == "meta":
        raise ValueError("device 'meta' is not available: it holds no numbers. Use --device cpu")
    if device.type == "cpu" and name not in ("auto", "cpu", "cpu:0"):
        raise ValueError(f"device {name!r} is not available: there is one CPU, whatever its cores. Use --device cpu")
    return device


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

    A killed training run continues from its last epoch. A file that is damaged, or holds another network, is set aside,
    and the network trained anew. While another process trains it, this one waits.
    """
    model = initialised(setting, seed, device)
    place = _place(setting, setting.training(), setting.recipe, seed, device)
    *_, (checkpoint, history) = _trained(setting, setting.recipe, seed, model, device, place)
    return Network(model, parameters(model), checkpoint.params, checkpoint.buffers, history)


def recorded(setting: Setting, seed: int, device: str = "cpu") -> list[Params]:
    """The recorded trajectory of `network`: its start and its weights after every epoch, one file each."""
    model = initialised(setting, seed, device)
    place = _place(setting, setting.training(), setting.recipe, seed, device)
    run = _trained(setting, setting.recipe, seed, model, device, place, every_epoch=True)
    return [parameters(model), *(checkpoint.params for checkpoint, _ in run)]


def continued(setting: Setting, recipe: Recipe, start: Params, seed: int, label: str, device: str = "cpu") -> Network:
    """A network of this setting's task trained from the weights `start`, cached by their content under a name with `label`."""
    data = task_of(setting, device)
    model = architectures.build(setting.architecture, data.shape, data.classes, setting.width, seed).to(device)
    model.load_state_dict(dict(start), strict=False)  # running statistics, if any, begin anew
    made_of = setting.training() | {"recipe": recipe.identity(), "start": checksum(start)}
    place = _place(setting, made_of, recipe, seed, device, f"-{label}")
    *_, (checkpoint, history) = _trained(setting, recipe, seed, model, device, place)
    return Network(model, start, checkpoint.params, checkpoint.buffers, history)


def initialised(setting: Setting, seed: int, device: str = "cpu") -> nn.Module:
    """The network of a setting and a seed before training: freshly drawn, or pre-trained under a head of its own."""
    data = task_of(setting, device)
    if setting.pretrained is None:
        return architectures.build(setting.architecture, data.shape, data.classes, setting.width, seed).to(device)
    parent = network(setting.pretrained, seed, device)
    parent.model.load_state_dict(dict(parent.end | parent.buffers))
    return architectures.reset_head(parent.model, data.classes, seed + HEADS).to(device)


def require_fit(setting: Setting) -> None:
    """Raise ``ValueError`` where a setting asks for more images than there are, or for a network that cannot be built.

    Photographs, which take long to decode, are left to the run. Raises `MissingDataError` without the data.
    """
    if setting.dataset in PHOTOGRAPHS:
        return
    data = task_of(setting)
    images = len(data.train)
    for name, size in (("batch_size", setting.batch_size), ("statistics", setting.statistics)):
        if size > images:
            raise ValueError(f"a batch of {size} cannot be drawn from {images} images; choose a {name} in 1..{images}")
    require_trainable(setting)
    with torch.device("meta"):
        architectures.build(setting.architecture, data.shape, data.classes, setting.width, 0)


def require_trainable(setting: Setting) -> None:
    """Raise ``ValueError`` where a batch of training is larger than the training set."""
    batch, images = setting.recipe.batch_size, len(task_of(setting).train)
    if batch > images:
        raise ValueError(f"the training batch of {batch} is larger than the training set of {images}")


def _trained(
    setting: Setting, recipe: Recipe, seed: int, model: nn.Module, device: str, place: Place, every_epoch: bool = False
) -> Iterator[tuple[Checkpoint, History]]:
    """Checkpoints with the history so far: first those on disk, then one after each epoch that is still to be trained.

    There is one file, or one per epoch; who asks for the end alone finds that of a recorded trajectory too.
    """
    found = place.kept(recipe.epochs, every_epoch, model, device)
    if not found or found[-1][0].epoch < recipe.epochs:
        with locked(place.folder, f"the network {place.folder.name}", wait=True):
            # Somebody else may have trained it meanwhile; and what is not its file is set aside by one process alone.
            found = place.kept(recipe.epochs, every_epoch, model, device, mend=True)
            yield from found
            last = found[-1] if found else (None, [])
            for checkpoint, history in _epochs(setting, recipe, seed, model, device, place.folder.name, *last):
                save(place.path(checkpoint.epoch, every_epoch), checkpoint, history, place.identity)
                yield checkpoint, history
    else:
        yield from found


def _epochs(
    setting: Setting,
    recipe: Recipe,
    seed: int,
    model: nn.Module,
    device: str,
    name: str,
    start: Checkpoint | None,
    history: History,
) -> Iterator[tuple[Checkpoint, History]]:
    """Train on from `start`. Each epoch adds a row to the history: the mean training loss of the epoch, the accuracies
    afterwards on the validation split and on as many training images, and seconds of the processor.
    """
    data = task_of(setting, device)
    fitted = data.train.subset(torch.arange(min(len(data.train), len(data.validation))))
    run = train(model, data.train, recipe, seed=seed, name=name, start=start)
    clock = time.process_time()
    for checkpoint in progress(run, f"training {name}", total=recipe.epochs, initial=len(history)):
        seconds = time.process_time() - clock
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
        yield checkpoint, history
        clock = time.process_time()


def _place(setting: Setting, made_of: dict[str, Any], recipe: Recipe, seed: int, device: str, label: str = "") -> Place:
    """A readable name with a short hash of the identity."""
    identity = json.dumps(
        {
            "trained": made_of,
            "seed": seed,
            "data": task_of(setting, device).checksum,
            "device": torch.device(device).type,
        },
        sort_keys=True,
    )
    digest = hashlib.sha256(identity.encode()).hexdigest()[:8]
    name = f"{setting.name}{label}-w{setting.width:g}-e{recipe.epochs}-seed{seed}-{digest}"
    return Place(home() / "runs" / "networks" / name, identity)
