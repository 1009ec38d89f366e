"""Checkpoints on disk: written atomically as safetensors with their history and identity, all of it checked when read."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Mapping
from itertools import takewhile
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from trajtransfer.paper.storage.progress import notice
from trajtransfer.paper.storage.results import set_aside
from trajtransfer.paper.training import Checkpoint
from trajtransfer.params import Params, buffers, parameters

History = list[dict[str, float]]


class CheckpointError(ValueError):
    """A file that is damaged, or holds another network than the one that was asked for."""


def save(path: Path, checkpoint: Checkpoint, history: History, identity: str) -> None:
    """Write a checkpoint and the rows of all epochs so far; a reader finds the old file or the whole new one.

    `identity` says what decides its numbers: what is trained, on what, from which seed, on which kind of device.
    """
    parts = {"params": checkpoint.params, "buffers": checkpoint.buffers, "momentum": checkpoint.momentum}
    tensors = {f"{part}/{name}": x.contiguous() for part, params in parts.items() for name, x in params.items()}
    about = {"identity": identity, "epoch": str(checkpoint.epoch), "history": json.dumps(history)}
    path.parent.mkdir(parents=True, exist_ok=True)
    partial_path = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}.partial")
    try:
        save_file(tensors, partial_path, metadata=about | {"sha256": checksum(tensors, about)})
        os.replace(partial_path, path)
    except SafetensorError as error:  # what safetensors makes of a disk that is full, or of a folder that is gone
        raise OSError(f"{path} cannot be written ({error}); make room, or set TRAJTRANSFER_HOME to another folder") from error
    finally:
        partial_path.unlink(missing_ok=True)


def load(path: Path, model: nn.Module, device: str, identity: str) -> tuple[Checkpoint, History]:
    """The checkpoint of a file on a device, in the order of the parameters of `model`, and its history.

    Raises `CheckpointError` for a file that is damaged, of another identity, or whose tensors are not those of `model`.
    """
    metadata, tensors = _read(path)
    _require(metadata.pop("sha256", None) == checksum(tensors, metadata), path, "its contents do not have their checksum")
    _require(metadata.get("identity") == identity, path, f"it holds another network: {metadata.get('identity')}")
    history: History = json.loads(metadata["history"])
    own = {"params": parameters(model), "buffers": buffers(model)}
    shapes = {f"{part}/{name}": x.shape for part, params in own.items() for name, x in params.items()}
    momentum = {key: x.shape for key, x in tensors.items() if key.startswith("momentum/")}
    found = {key: x.shape for key, x in tensors.items() if key not in momentum}
    _require(found == shapes, path, f"its tensors are not those of the network: {_difference(found, shapes)}")
    fitting = all(shapes.get(key.replace("momentum/", "params/", 1)) == shape for key, shape in momentum.items())
    _require(fitting, path, "its momentum is not that of the network")

    def part(name: str, like: Params) -> Params:  # in the order of the model: files are sorted by name
        return Params({key: tensors[f"{name}/{key}"] for key in like if f"{name}/{key}" in tensors}).to(device)

    checkpoint = Checkpoint(
        epoch=int(metadata["epoch"]),
        params=part("params", own["params"]),
        buffers=part("buffers", own["buffers"]),
        momentum=part("momentum", own["params"]),
        loss=history[-1]["loss"],
    )
    return checkpoint, history


class Place(NamedTuple):
    """The folder of a network, and its identity: a readable text of all that decides its numbers."""

    folder: Path
    identity: str

    def path(self, epoch: int, every_epoch: bool) -> Path:
        """The file of a checkpoint: one for all epochs, of which the latest stays, or one for each."""
        return self.folder / (f"epoch-{epoch:03d}.safetensors" if every_epoch else "checkpoint.safetensors")

    def kept(
        self, epochs: int, every_epoch: bool, model: nn.Module, device: str, *, mend: bool = False
    ) -> list[tuple[Checkpoint, History]]:
        """The checkpoints that are there with their histories: those of all `epochs` from the first, or the latest alone.

        To `mend` is to set aside files that are not what they should be, and to remove what killed trainings left;
        it needs the lock of the folder.
        """
        if mend:
            self._remove_leftovers()
        if every_epoch:
            found = (self._load(self.path(epoch, True), epoch, model, device, mend) for epoch in range(1, epochs + 1))
            return [one for one in takewhile(bool, found) if one]
        latest = self._load(self.path(epochs, False), None, model, device, mend)
        if latest is None or latest[0].epoch < epochs:
            latest = self._load(self.path(epochs, True), epochs, model, device, mend) or latest
        return [latest] if latest else []

    def _load(
        self, path: Path, epoch: int | None, model: nn.Module, device: str, mend: bool
    ) -> tuple[Checkpoint, History] | None:
        """The checkpoint of a file; nothing when it is not there, or is not that of this network and `epoch`."""
        if not path.exists():
            return None
        try:
            checkpoint, history = load(path, model, device, self.identity)
            _require(epoch in (None, checkpoint.epoch), path, f"it holds epoch {checkpoint.epoch}")
        except CheckpointError as error:
            if mend:
                notice(f"{error}; it is kept as {set_aside(path, 'refused').name}, and the network is trained anew")
            return None
        return checkpoint, history

    def _remove_leftovers(self) -> None:
        for partial in self.folder.glob("*.safetensors.*-*.partial"):
            if partial.is_file():
                partial.unlink()


def checksum(tensors: Mapping[str, Tensor], about: Mapping[str, str] | None = None) -> str:
    """SHA-256 of named tensors (names, types, shapes and numbers) and of what stands beside them, whatever their order."""
    digest = hashlib.sha256(json.dumps(dict(about or {}), sort_keys=True).encode())
    for name in sorted(tensors):
        x = tensors[name].cpu()
        digest.update(f"{name} {x.dtype} {tuple(x.shape)}".encode())
        digest.update(x.contiguous().numpy().tobytes())
    return digest.hexdigest()


def _read(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    if not path.is_file():
        raise CheckpointError(f"{path} is not a file")
    with path.open("rb"):  # a file that may not be read is the system's error, not a damaged one
        pass
    try:
        with safe_open(path, framework="pt") as file:
            return file.metadata() or {}, {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, ValueError, TypeError, LookupError, AttributeError) as error:
        raise CheckpointError(f"{path} is damaged or truncated ({error})") from error


def _require(condition: bool, path: Path, problem: str) -> None:
    if not condition:
        raise CheckpointError(f"{path}: {problem}")


def _difference(found: Mapping[str, Any], expected: Mapping[str, Any]) -> str:
    names = sorted({*found, *expected}, key=str)
    return ", ".join(name for name in names if found.get(name) != expected.get(name))[:200]
