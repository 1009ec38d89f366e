"""Checkpoints on disk: written atomically as safetensors with their history, checked when read."""

from __future__ import annotations

import json
import os
import threading
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from trajtransfer.params import Params, buffers, parameters
from trajtransfer.training import Checkpoint

History = list[dict[str, float]]


class CheckpointError(OSError):
    """A cached network that cannot be read."""


def save(path: Path, checkpoint: Checkpoint, history: History) -> None:
    """Write a checkpoint and the rows of all epochs so far; a reader finds the old file or the whole new one."""
    parts = {"params": checkpoint.params, "buffers": checkpoint.buffers, "momentum": checkpoint.momentum}
    tensors = {f"{part}/{name}": x.contiguous() for part, params in parts.items() for name, x in params.items()}
    partial_path = _partial(path)
    about = {"epoch": str(checkpoint.epoch), "history": json.dumps(history), "crc32": checksum(tensors)}
    save_file(tensors, partial_path, metadata=about)
    os.replace(partial_path, path)


def load(path: Path, model: nn.Module, device: str) -> tuple[Checkpoint | None, History]:
    """The checkpoint of a file, in the order of the parameters of `model`, and its history; nothing for no file.

    Raises `CheckpointError` for a file that is damaged.
    """
    if not path.exists():
        return None, []
    try:
        with safe_open(path, framework="pt", device=device) as file:
            metadata, tensors = file.metadata(), {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        history = json.loads(metadata["history"])
        if metadata["crc32"] != checksum(tensors):
            raise ValueError("its numbers do not have their checksum")
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged or truncated ({error}); delete it and run again to train it anew") from error

    def part(name: str, own: Params) -> Params:  # in the order of the model: files are sorted by name
        return Params({key: tensors[f"{name}/{key}"] for key in own if f"{name}/{key}" in tensors})

    params, momentum = (part(name, parameters(model)) for name in ("params", "momentum"))
    return Checkpoint(int(metadata["epoch"]), params, part("buffers", buffers(model)), momentum, history[-1]["loss"]), history


def checksum(tensors: Mapping[str, Tensor]) -> str:
    """CRC-32 of named tensors, whatever their order."""
    total = 0
    for name in sorted(tensors):
        total = zlib.crc32(tensors[name].cpu().numpy().tobytes(), total)
    return f"{total:08x}"


def _partial(path: Path) -> Path:
    """Where a file is written before it takes its place, apart from what other processes and threads write."""
    return path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}.partial")


def write_json(path: Path, content: Any) -> None:
    """Write JSON atomically, making the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial_path = _partial(path)
    partial_path.write_text(json.dumps(content, indent=1))
    os.replace(partial_path, path)
