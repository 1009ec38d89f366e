"""Trained networks by setting and seed: cached under readable names, written atomically, resumed after a kill."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
import warnings
import zlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from tqdm import tqdm

from trajtransfer import models
from trajtransfer.data import Task, load_task
from trajtransfer.objective import evaluate
from trajtransfer.params import Params, buffers, parameters
from trajtransfer.settings import Setting
from trajtransfer.training import Checkpoint, train

HEADS = 1_000_003  # distance between the seed of a network and that of its later head: one stream each


class CheckpointError(OSError):
    """A cached network that cannot be read."""


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
    """The task that a setting is trained on."""
    return task(setting.dataset, setting.classes, setting.size, str(device))


def checksums(setting: Setting, device: str = "cpu") -> dict[str, str]:
    """Data set -> checksum for everything a setting is trained on, pre-training included."""
    own = {setting.dataset: task_of(setting, device).checksum}
    return (checksums(setting.pretrained, device) if setting.pretrained else {}) | own


def network(setting: Setting, seed: int, device: str = "cpu") -> Network:
    """The network of a setting and a seed, trained now unless it is cached under ``runs/networks``.

    A killed training run continues from its last epoch. Raises `CheckpointError` for an unreadable file.
    """
    data = task_of(setting, device)
    model = _initialised(setting, seed, data, device)
    start, folder = parameters(model), _folder(setting, seed, data, device)
    checkpoint, history = _load(folder / "checkpoint.safetensors", model, device)
    if checkpoint is None or checkpoint.epoch < setting.recipe.epochs:
        _write_json(folder / "network.json", {"setting": setting.training(), "seed": seed, "data": data.checksum})
        run = train(model, data.train, setting.recipe, seed=seed, name=folder.name, start=checkpoint)
        bar = tqdm(run, desc=f"training {folder.name}", total=setting.recipe.epochs, initial=len(history), leave=False)
        clock = time.perf_counter()
        for checkpoint in bar:
            seconds = time.perf_counter() - clock
            score = evaluate(model, checkpoint.params | checkpoint.buffers, data.validation)
            history.append({"epoch": checkpoint.epoch, "loss": checkpoint.loss, "accuracy": score.accuracy, "seconds": seconds})
            _save(folder / "checkpoint.safetensors", checkpoint, history)
            clock = time.perf_counter()
    assert checkpoint is not None
    return Network(model, start, checkpoint.params, checkpoint.buffers, history)


def _initialised(setting: Setting, seed: int, data: Task, device: str) -> nn.Module:
    """The network of a seed before training: freshly drawn, or pre-trained under a head of its own."""
    if setting.pretrained is None:
        return models.build(setting.architecture, data.shape, data.classes, setting.width, seed).to(device)
    parent = network(setting.pretrained, seed, device)
    parent.model.load_state_dict(dict(parent.end | parent.buffers))
    return models.reset_head(parent.model, data.classes, seed + HEADS).to(device)


def _folder(setting: Setting, seed: int, data: Task, device: str) -> Path:
    """A readable name with a short hash of setting, seed, data and kind of device."""
    kind = torch.device(device).type
    identity = json.dumps([setting.training(), seed, data.checksum] + [kind] * (kind != "cpu"), sort_keys=True)
    digest = hashlib.sha256(identity.encode()).hexdigest()[:8]
    return home() / "runs" / "networks" / f"{setting.name}-w{setting.width:g}-e{setting.recipe.epochs}-seed{seed}-{digest}"


def _save(path: Path, checkpoint: Checkpoint, history: list[dict[str, float]]) -> None:
    parts = {"params": checkpoint.params, "buffers": checkpoint.buffers, "momentum": checkpoint.momentum}
    tensors = {f"{part}/{name}": x.contiguous() for part, params in parts.items() for name, x in params.items()}
    partial_path = _partial(path)
    about = {"epoch": str(checkpoint.epoch), "history": json.dumps(history), "crc32": _crc32(tensors)}
    save_file(tensors, partial_path, metadata=about)
    os.replace(partial_path, path)


def _load(path: Path, model: nn.Module, device: str) -> tuple[Checkpoint | None, list[dict[str, float]]]:
    if not path.exists():
        return None, []
    try:
        with safe_open(path, framework="pt", device=device) as file:
            metadata, tensors = file.metadata(), {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        history = json.loads(metadata["history"])
        if metadata["crc32"] != _crc32(tensors):
            raise ValueError("its numbers do not have their checksum")
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged or truncated ({error}); delete it and run again to train it anew") from error

    def part(name: str, own: Params) -> Params:  # in the order of the model: files are sorted by name
        return Params({key: tensors[f"{name}/{key}"] for key in own if f"{name}/{key}" in tensors})

    params, momentum = (part(name, parameters(model)) for name in ("params", "momentum"))
    return Checkpoint(int(metadata["epoch"]), params, part("buffers", buffers(model)), momentum, history[-1]["loss"]), history


def _crc32(tensors: Mapping[str, Tensor]) -> str:
    total = 0
    for name in sorted(tensors):
        total = zlib.crc32(tensors[name].cpu().numpy().tobytes(), total)
    return f"{total:08x}"


def _partial(path: Path) -> Path:
    """Where a file is written before it takes its place, apart from what other processes and threads write."""
    return path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}.partial")


def _write_json(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial_path = _partial(path)
    partial_path.write_text(json.dumps(content, indent=1))
    os.replace(partial_path, path)
