"""Trained networks by setting and seed: kept under readable names, resumed after a kill."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from trajtransfer.objective import evaluate
from trajtransfer.paper import architectures, requests
from trajtransfer.paper.checkpoints import History, Place, checksum, save
from trajtransfer.paper.datasets.tasks import Task, load_task
from trajtransfer.paper.provenance import circumstances
from trajtransfer.paper.recipe import Recipe
from trajtransfer.paper.requests import Argument, Request
from trajtransfer.paper.setting import Setting
from trajtransfer.paper.storage.locks import locked
from trajtransfer.paper.storage.progress import progress
from trajtransfer.paper.storage.project import home
from trajtransfer.paper.training import Checkpoint, train
from trajtransfer.params import Params, parameters

HEADS = 1_000_003  # distance between the seeds of a network and of its later head: one stream each
State = tuple[Checkpoint, History]


class Network(NamedTuple):
    """A training run: its `model` (structure only), both ends, final buffers, a row per epoch."""

    model: nn.Module
    start: Params
    end: Params
    buffers: Params
    history: list[dict[str, float]]


@lru_cache(maxsize=4)
def task(
    dataset: str, classes: tuple[int, ...] | None, size: int | None, device: str, pool: int = 1
) -> Task:
    """A task from ``TRAJTRANSFER_DATA`` (default: the folder ``data`` of the project)."""
    root = Path(os.environ.get("TRAJTRANSFER_DATA", home() / "data"))
    return load_task(dataset, root, classes=classes, size=size, pool=pool, device=device)


def task_of(setting: Setting, device: str = "cpu") -> Task:
    """The task that a setting is trained on, with its fraction of the training split."""
    whole = task(setting.dataset, setting.classes, setting.size, str(device), setting.pool)
    if setting.fraction == 1:
        return whole
    first = torch.arange(round(setting.fraction * len(whole.train)), device="cpu")
    return replace(whole, train=whole.train.subset(first))


def checksums(setting: Setting, device: str = "cpu") -> dict[str, str]:
    """Data set -> checksum for everything a setting is trained on, pre-training included."""
    earlier = checksums(setting.pretrained, device) if setting.pretrained else {}
    return earlier | {setting.dataset: task_of(setting, device).checksum}


def network(setting: Setting, seed: int, device: str = "cpu") -> Network:
    """The network of a setting and a seed, trained now unless it is kept under ``runs/networks``.

    A killed training run continues from its last epoch. A file that is damaged, or holds another
    network, is set aside, and the network trained anew. While another process trains it, this one
    waits.
    """
    _ask_for(network, setting, seed, device)
    run = _own_run(setting, seed, device)
    start = parameters(run.model)
    *_, (checkpoint, history) = run.states()
    return Network(run.model, start, checkpoint.params, checkpoint.buffers, history)


def recorded(setting: Setting, seed: int, device: str = "cpu") -> list[Params]:
    """The trajectory of `network`: its start and its weights after every epoch, one file each."""
    _ask_for(recorded, setting, seed, device)
    run = _own_run(setting, seed, device)
    start = parameters(run.model)
    return [start, *(checkpoint.params for checkpoint, _ in run.states(every_epoch=True))]


def continued(
    setting: Setting, recipe: Recipe, start: Params, seed: int, label: str, device: str = "cpu"
) -> Network:
    """A network of this setting's task trained from the weights `start`.

    It is kept by the content of `start`, under a name with the `label`.
    """
    model = _built(setting, seed, device)
    model.load_state_dict(dict(start), strict=False)  # running statistics, if any, begin anew
    made_of = setting.training() | {"recipe": recipe.identity(), "start": checksum(start)}
    place = _place(setting, made_of, recipe, seed, device, f"-{label}")
    *_, (checkpoint, history) = _Run(setting, recipe, seed, model, device, place).states()
    return Network(model, start, checkpoint.params, checkpoint.buffers, history)


def initialised(setting: Setting, seed: int, device: str = "cpu") -> nn.Module:
    """The network of a seed before training: freshly drawn, or pre-trained under a new head."""
    if setting.pretrained is None:
        return _built(setting, seed, device)
    parent = network(setting.pretrained, seed, device)
    parent.model.load_state_dict(dict(parent.end | parent.buffers))
    classes = task_of(setting, device).classes
    return architectures.reset_head(parent.model, classes, seed + HEADS).to(device)


def _built(setting: Setting, seed: int, device: str) -> nn.Module:
    data = task_of(setting, device)
    shape = data.shape
    model = architectures.build(setting.architecture, shape, data.classes, setting.width, seed)
    return model.to(device)


def present(setting: Setting, seed: int, device: str = "cpu", every_epoch: bool = False) -> bool:
    """Whether a network is there to its last epoch, and all that it was pre-trained as."""
    if setting.pretrained and not present(setting.pretrained, seed, device):
        return False
    return _own_run(setting, seed, device).complete(every_epoch)


def request(make: Callable[..., Any], setting: Setting, seed: int, device: str) -> Request:
    """What to ask others for: that they `make` a `network`, or a `recorded` one."""
    place = _place(setting, setting.training(), setting.recipe, seed, device)
    made_by = f"{make.__module__}.{make.__qualname__}"
    key = place.folder.name if make is network else f"{make.__name__}-{place.folder.name}"
    about = (key, made_by, setting, device, torch.get_num_threads(), (Argument(seed),))
    return Request(*about, tuple(missing(_parents(setting), [seed], device)))


def missing(settings: Iterable[Setting], seeds: Iterable[int], device: str) -> list[Request]:
    """Requests for those networks of all settings and seeds that are not there."""
    wanted = product(settings, seeds)
    return [request(network, *one, device) for one in wanted if not present(*one, device)]


def _parents(setting: Setting) -> list[Setting]:
    return [setting.pretrained] if setting.pretrained else []


def _ask_for(make: Callable[..., Any], setting: Setting, seed: int, device: str) -> None:
    """Ask others for a network that is not there, where others make them."""
    if requests.asking() and not present(setting, seed, device, make is recorded):
        requests.ask([request(make, setting, seed, device)])


def _own_run(setting: Setting, seed: int, device: str) -> _Run:
    model = initialised(setting, seed, device)
    place = _place(setting, setting.training(), setting.recipe, seed, device)
    return _Run(setting, setting.recipe, seed, model, device, place)


@dataclass(frozen=True)
class _Run:
    """One training run: what is trained, how, and where its checkpoints are kept."""

    setting: Setting
    recipe: Recipe
    seed: int
    model: nn.Module
    device: str
    place: Place

    def states(self, every_epoch: bool = False) -> Iterator[State]:
        """Checkpoints with the history so far: those on disk, then one after each epoch to come.

        There is one file, or one per epoch; who asks for the end alone finds that of a recorded
        trajectory too.
        """
        found = self._kept(every_epoch)
        if self._complete(found):
            yield from found
            return
        with locked(self.place.folder, f"the network {self.place.folder.name}", wait=True):
            # Somebody else may have trained it meanwhile; and what is not its file is set aside by
            # one process alone.
            found = self._kept(every_epoch, mend=True)
            yield from found
            for checkpoint, history in self._train(found[-1] if found else None):
                path = self.place.path(checkpoint.epoch, every_epoch)
                save(path, checkpoint, history, self.place.identity)
                yield checkpoint, history

    def _kept(self, every_epoch: bool, mend: bool = False) -> list[State]:
        epochs = self.recipe.epochs
        return self.place.kept(epochs, every_epoch, self.model, self.device, mend=mend)

    def complete(self, every_epoch: bool = False) -> bool:
        """Whether it is there to its last epoch."""
        return self._complete(self._kept(every_epoch))

    def _complete(self, found: list[State]) -> bool:
        return bool(found) and found[-1][0].epoch == self.recipe.epochs

    def _train(self, last: State | None) -> Iterator[State]:
        """Train on from the last state. Each epoch adds a row to the history.

        It holds the mean training loss of the epoch, the accuracies afterwards on the validation
        split and on as many training images, and seconds of the processor.
        """
        start, history = last or (None, [])
        data = task_of(self.setting, self.device)
        name = self.place.folder.name
        run = train(self.model, data.train, self.recipe, seed=self.seed, name=name, start=start)
        bar = {"total": self.recipe.epochs, "initial": len(history)}
        clock = time.process_time()
        for checkpoint in progress(run, f"training {name}", **bar):
            seconds = time.process_time() - clock
            history = [*history, self._row(data, checkpoint) | {"seconds": seconds}]
            yield checkpoint, history
            clock = time.process_time()

    def _row(self, data: Task, checkpoint: Checkpoint) -> dict[str, float]:
        fitted = data.train.subset(torch.arange(min(len(data.train), len(data.validation))))
        at = checkpoint.params | checkpoint.buffers
        return {
            "epoch": checkpoint.epoch,
            "loss": checkpoint.loss,
            "accuracy": evaluate(self.model, at, data.validation).accuracy,
            "train_accuracy": evaluate(self.model, at, fitted).accuracy,
        }


def _place(
    setting: Setting,
    made_of: dict[str, Any],
    recipe: Recipe,
    seed: int,
    device: str,
    label: str = "",
) -> Place:
    """A readable name with a short hash of the identity."""
    about = {
        "trained": made_of,
        "seed": seed,
        "data": task_of(setting, device).checksum,
        **circumstances(__name__, device),
    }
    identity = json.dumps(about, sort_keys=True)
    digest = hashlib.sha256(identity.encode()).hexdigest()[:8]
    name = f"{setting.name}{label}-w{setting.width:g}-e{recipe.epochs}-seed{seed}-{digest}"
    return Place(home() / "runs" / "networks" / name, identity)
