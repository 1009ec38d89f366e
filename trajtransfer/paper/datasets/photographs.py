"""Photographs decoded to arrays, once."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from tokenize import TokenError

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trajtransfer.paper._torchvision import torchvision
from trajtransfer.paper.datasets.errors import DataError

Rows = list[tuple[str, int]]  # path and label of each photograph

# What NumPy raises for a file that is not there, or whose header is broken.
UNREADABLE = (FileNotFoundError, ValueError, EOFError, OverflowError, SyntaxError, TokenError)


def decoded(folder: Path, name: str, rows: Rows, size: int) -> Tensor:
    """Photographs (path, label) as uint8 (n, 3, size, size).

    Their shorter side is brought to `size` and the central square cut out. They are decoded once
    into a file of `folder`, and mapped from disk. Other photographs have another file.
    """
    if not rows:
        raise DataError(folder.parent, f"holds no photographs for {name}", "fetch them again")
    cache = folder / f"{name}-{size}-{_digest(rows)}.npy"
    shape = (len(rows), 3, size, size)
    images = _mapped(cache, shape)
    if images is None:
        _write_photographs(cache, rows, shape)
        images = _mapped(cache, shape)
    return torch.from_numpy(images)


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
    return digest.hexdigest()[:12]


def _mapped(cache: Path, shape: tuple[int, ...]) -> NDArray[np.uint8] | None:
    """The array in `cache`; None where there is none, or not one of whole bytes and this shape."""
    try:
        images = np.lib.format.open_memmap(cache, "c")
    except UNREADABLE:
        return None
    if images.shape != shape or images.dtype != np.uint8:
        return None
    return images


def _write_photographs(cache: Path, rows: Rows, shape: tuple[int, ...]) -> None:
    """Decode all photographs into `cache`, which appears when all are there.

    Two processes may do so at once: each writes into a file of its own.
    """
    cache.parent.mkdir(parents=True, exist_ok=True)
    partial = cache.with_name(f"{cache.name}.{os.getpid()}.partial")
    try:
        images = np.lib.format.open_memmap(partial, "w+", np.uint8, shape)
        for i, (path, _) in enumerate(rows):
            images[i] = _photograph(path, shape[-1])
        images.flush()
        os.replace(partial, cache)
    finally:
        partial.unlink(missing_ok=True)


def _photograph(path: str, size: int) -> np.ndarray:
    resize = torchvision.transforms.Resize(size)
    crop = torchvision.transforms.CenterCrop(size)
    try:
        photograph = torchvision.datasets.folder.default_loader(path)
    except Exception as error:  # Pillow raises many kinds for files that are broken
        raise DataError(Path(path), f"cannot be decoded ({error})", "fetch it again") from error
    return np.asarray(crop(resize(photograph))).transpose(2, 0, 1)
