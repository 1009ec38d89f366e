"""Photographs decoded to arrays, once."""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from trajtransfer.paper._torchvision import torchvision
from trajtransfer.paper.datasets.errors import DataError
from trajtransfer.paper.datasets.packs import Pack

Rows = list[tuple[str, int]]  # path and label of each photograph


def decoded(folder: Path, name: str, rows: Rows, size: int) -> Tensor:
    """Photographs (path, label) as uint8 (n, 3, size, size), mapped from disk for reading only.

    Their shorter side is brought to `size` and the central square cut out. They are decoded once
    into a pack in `folder`. Other photographs, or another decoder, have another pack.
    """
    if not rows:
        raise DataError(folder.parent, f"holds no photographs for {name}", "fetch them again")
    made_of = f"{name}, photographs {_digest(rows)}, decoded by {_decoder()}"
    short = hashlib.sha256(made_of.encode()).hexdigest()[:12]
    pack = Pack(folder / f"{name}-{size}-{short}.pack", made_of, (len(rows), 3, size, size))
    return pack.images(lambda i: _photograph(rows[i][0], size))


def _digest(rows: Rows) -> str:
    """Which photographs, in which order, how large and how old: others are decoded anew."""
    digest = hashlib.sha256()
    for path, label in rows:
        try:
            found = Path(path).stat()
        except OSError as error:
            wrong = f"cannot be decoded ({error.strerror})"
            raise DataError(Path(path), wrong, "fetch it again") from error
        digest.update(f"{path} {label} {found.st_size} {found.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _decoder() -> str:
    """What decides pixels beside the photographs, without the build for a kind of GPU."""
    used = {name: version(name).partition("+")[0] for name in ("pillow", "torchvision")}
    return ", ".join(f"{name} {number}" for name, number in used.items())


def _photograph(path: str, size: int) -> NDArray[np.uint8]:
    resize = torchvision.transforms.Resize(size)
    crop = torchvision.transforms.CenterCrop(size)
    try:
        photograph = torchvision.datasets.folder.default_loader(path)
    except Exception as error:  # Pillow raises many kinds for files that are broken
        raise DataError(Path(path), f"cannot be decoded ({error})", "fetch it again") from error
    return np.asarray(crop(resize(photograph))).transpose(2, 0, 1)
