"""Checkpoints on disk: safetensors with their history and identity.

They are written atomically, and all of it is checked when read.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from trajtransfer.paper.storage.files import set_aside
from trajtransfer.paper.storage.progress import notice
from trajtransfer.paper.training import Checkpoint
from trajtransfer.params import Params, buffers, parameters

History = list[dict[str, float]]
State = tuple[Checkpoint, History]


class CheckpointError(ValueError):
    """A file that is damaged, or holds another network than the one that was asked for."""


def save(path: Path, checkpoint: Checkpoint, history: History, identity: str) -> None:
    """Write a checkpoint and the rows of all epochs so far.

    A reader finds the old file or the whole new one. `identity` says what decides its numbers: what
    is trained, on what, from which seed, on which kind of device.
    """
    parts = {
        "params": checkpoint.params,
        "buffers": checkpoint.buffers,
        "momentum": checkpoint.momentum,
    }
    tensors = {key: x.contiguous() for key, x in _flat(parts).items()}
    about = {"identity": identity, "epoch": str(checkpoint.epoch), "history": json.dumps(history)}
    path.parent.mkdir(parents=True, exist_ok=True)
    partial_path = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}.partial")
    try:
        save_file(tensors, partial_path, metadata=about | {"sha256": checksum(tensors, about)})
        os.replace(partial_path, path)
    except SafetensorError as error:
        # What safetensors makes of a disk that is full, or of a folder that is gone.
        remedy = "make room, or set TRAJTRANSFER_HOME to another folder"
        raise OSError(f"{path} cannot be written ({error}); {remedy}") from error
    finally:
        partial_path.unlink(missing_ok=True)


def load(path: Path, model: nn.Module, device: str, identity: str) -> State:
    """The checkpoint of a file on a device, in the order of `model`, and its history.

    Raises `CheckpointError` for a file that is damaged, of another identity, or whose tensors are
    not those of `model`.
    """
    metadata, tensors = _read(path)
    stated = metadata.pop("sha256", None)
    intact = stated == checksum(tensors, metadata)
    _require(intact, path, "its contents do not have their checksum")
    found = metadata.get("identity")
    _require(found == identity, path, f"it holds another network: {found}")
    history: History = json.loads(metadata["history"])
    own = {"params": parameters(model), "buffers": buffers(model)}
    _require_shapes(path, tensors, own)
    checkpoint = Checkpoint(
        epoch=int(metadata["epoch"]),
        params=_part("params", own["params"], tensors).to(device),
        buffers=_part("buffers", own["buffers"], tensors).to(device),
        momentum=_part("momentum", own["params"], tensors).to(device),
        loss=history[-1]["loss"],
    )
    return checkpoint, history


def _flat(parts: Mapping[str, Params]) -> dict[str, Tensor]:
    """All tensors in one dictionary, by ``part/name``."""
    flat = {}
    for part, params in parts.items():
        for name, x in params.items():
            flat[f"{part}/{name}"] = x
    return flat


def _part(part: str, like: Params, tensors: Mapping[str, Tensor]) -> Params:
    """The tensors of a part in the order of the model: files are sorted by name."""
    keys = {name: f"{part}/{name}" for name in like}
    return Params({name: tensors[key] for name, key in keys.items() if key in tensors})


def _require_shapes(path: Path, tensors: Mapping[str, Tensor], own: Mapping[str, Params]) -> None:
    """Raise unless the tensors of a file are those of a network, momentum as far as there is."""
    shapes = {key: x.shape for key, x in _flat(own).items()}
    momentum = {key: x.shape for key, x in tensors.items() if key.startswith("momentum/")}
    found = {key: x.shape for key, x in tensors.items() if key not in momentum}
    difference = _difference(found, shapes)
    _require(found == shapes, path, f"its tensors are not those of the network: {difference}")
    for key, shape in momentum.items():
        fitting = shapes.get(key.replace("momentum/", "params/", 1)) == shape
        _require(fitting, path, "its momentum is not that of the network")


class Place(NamedTuple):
    """The folder of a network and its identity: a readable text of all that decides its numbers."""

    folder: Path
    identity: str

    def path(self, epoch: int, every_epoch: bool) -> Path:
        """The file of a checkpoint: one for all epochs, where the latest stays, or one for each."""
        if every_epoch:
            return self.folder / f"epoch-{epoch:03d}.safetensors"
        return self.folder / "checkpoint.safetensors"

    def kept(
        self, epochs: int, every_epoch: bool, model: nn.Module, device: str, *, mend: bool = False
    ) -> list[State]:
        """The checkpoints that are there with their histories.

        They are those of all `epochs` from the first, or the latest alone. To `mend` is to set
        aside files that are not what they should be, and to remove what killed trainings left; it
        needs the lock of the folder.
        """
        if mend:
            self._remove_leftovers()
        if every_epoch:
            return self._first_epochs(epochs, model, device, mend)
        latest = self._load(self.path(epochs, False), None, model, device, mend)
        if latest is None or latest[0].epoch < epochs:
            latest = self._load(self.path(epochs, True), epochs, model, device, mend) or latest
        return [latest] if latest else []

    def _first_epochs(self, epochs: int, model: nn.Module, device: str, mend: bool) -> list[State]:
        """The checkpoints of the first epochs, up to the first that is not there."""
        found: list[State] = []
        for epoch in range(1, epochs + 1):
            state = self._load(self.path(epoch, True), epoch, model, device, mend)
            if state is None:
                break
            found.append(state)
        return found

    def _load(
        self, path: Path, epoch: int | None, model: nn.Module, device: str, mend: bool
    ) -> State | None:
        """The checkpoint of a file; None unless it is that of this network and `epoch`."""
        if not path.exists():
            return None
        try:
            checkpoint, history = load(path, model, device, self.identity)
            _require(epoch in (None, checkpoint.epoch), path, f"it holds epoch {checkpoint.epoch}")
        except FileNotFoundError:  # another process has just set it aside
            return None
        except CheckpointError as error:
            if mend:
                refused = set_aside(path, "refused")
                notice(f"{error}; it is kept as {refused.name}, and the network is trained anew")
            return None
        return checkpoint, history

    def _remove_leftovers(self) -> None:
        for partial in self.folder.glob("*.safetensors.*-*.partial"):
            if partial.is_file():
                partial.unlink()


def checksum(tensors: Mapping[str, Tensor], about: Mapping[str, str] | None = None) -> str:
    """SHA-256 of named tensors and of what stands beside them, whatever their order.

    Names, types, shapes and numbers of the tensors decide it.
    """
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
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, ValueError, TypeError, LookupError, AttributeError) as error:
        raise CheckpointError(f"{path} is damaged or truncated ({error})") from error
    return metadata, tensors


def _require(condition: bool, path: Path, problem: str) -> None:
    if not condition:
        raise CheckpointError(f"{path}: {problem}")


def _difference(found: Mapping[str, Any], expected: Mapping[str, Any]) -> str:
    names = sorted({*found, *expected}, key=str)
    return ", ".join(name for name in names if found.get(name) != expected.get(name))[:200]
