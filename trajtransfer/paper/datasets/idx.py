"""Files in the IDX format of MNIST and Fashion-MNIST, gzipped or not."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from trajtransfer.paper.datasets.errors import DataError, MissingDataError
from trajtransfer.paper.datasets.images import Images


def idx_sets(kind: str, folder: Path, suffix: str, remedy: str) -> tuple[Images, Images]:
    """The training pool and the test set: images of side 28 in ten classes, two files each."""
    train = _images(kind, folder, "train", suffix, remedy)
    test = _images(kind, folder, "t10k", suffix, remedy)
    return train, test


def unpacked(path: Path, remedy: str) -> bytes:
    """What is in a file, gzipped or not."""
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if path.suffix == ".gz" else content
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(path, f"cannot be unpacked ({error})", remedy) from error


def _images(kind: str, folder: Path, part: str, suffix: str, remedy: str) -> Images:
    image_file = folder / f"{part}-images-idx3-ubyte{suffix}"
    label_file = folder / f"{part}-labels-idx1-ubyte{suffix}"
    for path in (image_file, label_file):
        if not path.exists():
            source = f"torchvision.datasets.{kind}"
            raise MissingDataError(f"{path.name} of {kind}", folder, source, remedy)
    images = _read_idx(image_file, 3, remedy)
    labels = _read_idx(label_file, 1, remedy)
    _, height, width = images.shape
    if (height, width) != (28, 28):
        wrong = f"holds images of {height} x {width} instead of 28 x 28"
        raise DataError(image_file, wrong, remedy)
    if not len(images) or len(images) != len(labels):
        wrong = f"holds {len(labels)} labels for {len(images)} images"
        raise DataError(label_file, wrong, remedy)
    if labels.max() > 9:
        raise DataError(label_file, f"holds the label {labels.max()} instead of 0..9", remedy)
    own = images.reshape(-1, 1, 28, 28).copy()  # the bytes of a file may not be written
    return Images(torch.from_numpy(own), torch.from_numpy(labels.astype(np.int64)))


def _read_idx(path: Path, ndim: int, remedy: str) -> NDArray[np.uint8]:
    """The bytes of an IDX file.

    It is big-endian: the magic number 0x0800 + `ndim`, `ndim` lengths, then that many bytes.
    """
    content = unpacked(path, remedy)
    header_bytes = 4 + 4 * ndim
    header = np.frombuffer(content[:header_bytes].ljust(header_bytes, b"\0"), ">u4")
    if header[0] != 0x0800 + ndim:
        wrong = f"begins with {content[:4]!r}: it is not an IDX file of {ndim} axes of bytes"
        raise DataError(path, wrong, remedy)
    shape = tuple(int(n) for n in header[1:])
    there = len(content) - header_bytes
    if math.prod(shape) != there:
        wrong = f"announces an array of {shape} and holds {there} bytes"
        raise DataError(path, wrong, remedy)
    return np.frombuffer(content, np.uint8, offset=header_bytes).reshape(shape)
