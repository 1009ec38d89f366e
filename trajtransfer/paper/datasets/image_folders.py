"""Data sets that are folders of photographs: ImageNet, Stanford Cars, CUB-200-2011."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from trajtransfer.paper._torchvision import torchvision
from trajtransfer.paper.datasets.errors import DataError, MissingDataError
from trajtransfer.paper.datasets.images import Images
from trajtransfer.paper.datasets.photographs import Rows, decoded

CUB_LISTS = ("images.txt", "image_class_labels.txt", "train_test_split.txt")


def imagenet(root: Path, size: int | None) -> tuple[Images, Images]:
    """ImageNet with a folder for each class, unpacked under ``root/imagenet``."""
    folder = root / "imagenet"
    if not (folder / "train").is_dir() or not (folder / "val").is_dir():
        source = "https://image-net.org/download.php (needs an account)"
        command = f"unpack the archives to {folder}/train/<class>/ and {folder}/val/<class>/"
        raise MissingDataError("ImageNet", folder, source, command)
    remedy = "unpack the archives again"
    try:
        train = torchvision.datasets.ImageFolder(folder / "train")
        val = torchvision.datasets.ImageFolder(folder / "val")
    except FileNotFoundError as error:
        raise DataError(folder, f"is not complete ({error})", remedy) from error
    names = sorted(set(train.classes) ^ set(val.classes))
    if names:
        raise DataError(folder, f"has {names[:3]} in one of train and val only", remedy)
    return _decoded("imagenet", root, size, train.samples, val.samples)


def cars(root: Path, size: int | None) -> tuple[Images, Images]:
    """Stanford Cars, unpacked under ``root/stanford_cars``."""
    folder = root / "stanford_cars"
    command = (
        f"put devkit/, cars_train/, cars_test/ and cars_test_annos_withlabels.mat into {folder}"
    )
    try:
        train = torchvision.datasets.StanfordCars(root, split="train")._samples
        test = torchvision.datasets.StanfordCars(root, split="test")._samples
    except RuntimeError as error:
        source = "a copy of the data set (its own site is gone)"
        raise MissingDataError("Stanford Cars", folder, source, command) from error
    except Exception as error:  # SciPy raises many kinds for a file that is not MATLAB's
        wrong = f"holds annotations (*.mat) that cannot be read ({error})"
        raise DataError(folder, wrong, command) from error
    return _decoded("cars", root, size, train, test)


def cub(root: Path, size: int | None) -> tuple[Images, Images]:
    """CUB-200-2011, unpacked under ``root/CUB_200_2011``."""
    folder = root / "CUB_200_2011"
    if not all((folder / name).exists() for name in CUB_LISTS):
        source = "https://www.vision.caltech.edu/datasets/cub_200_2011/"
        command = f"unpack CUB_200_2011.tgz into {root}"
        raise MissingDataError("CUB-200-2011", folder, source, command)
    remedy = f"delete it and unpack CUB_200_2011.tgz into {root} again"
    train, test = _cub_rows(folder, remedy)
    return _decoded("cub", root, size, train, test)


def _cub_rows(folder: Path, remedy: str) -> tuple[Rows, Rows]:
    """The photographs of both parts, from the three lists of CUB."""
    name_list, label_list, split_list = (folder / name for name in CUB_LISTS)
    names = _numbered(name_list, remedy)
    labels = _numbered(label_list, remedy)
    in_training = _numbered(split_list, remedy)
    _require_entries(label_list, labels, range(1, 201), len(names), remedy)
    _require_entries(split_list, in_training, range(2), len(names), remedy)
    parts: dict[str, Rows] = {"1": [], "0": []}
    for name, label, part in zip(names, labels, in_training, strict=True):
        parts[part].append((str(folder / "images" / name), int(label) - 1))
    return parts["1"], parts["0"]


def _numbered(path: Path, remedy: str) -> list[str]:
    """The second word of each line ``number word``, numbered from 1."""
    try:
        lines = [line.split() for line in path.read_text().splitlines()]
    except UnicodeDecodeError as error:
        raise DataError(path, f"is not a text file ({error})", remedy) from error
    for number, words in enumerate(lines, 1):
        if len(words) != 2 or words[0] != str(number):
            found = " ".join(words)
            wrong = f"has a line {number} that does not read '{number} ...': {found!r}"
            raise DataError(path, wrong, remedy)
    return [words[1] for words in lines]


def _require_entries(path: Path, found: list[str], values: range, n: int, remedy: str) -> None:
    """Raise unless a list has an entry for each of `n` images, and these values only."""
    if len(found) != n:
        raise DataError(path, f"lists {len(found)} images and {CUB_LISTS[0]} {n}", remedy)
    unknown = set(found) - {str(value) for value in values}
    if unknown:
        wrong = f"holds {min(unknown)!r} instead of {values[0]}..{values[-1]}"
        raise DataError(path, wrong, remedy)


def _decoded(
    name: str, root: Path, size: int | None, train: Rows, test: Rows
) -> tuple[Images, Images]:
    folder = root / "decoded"
    side = size or 224
    train_images = decoded(folder, f"{name}-train", train, side)
    test_images = decoded(folder, f"{name}-test", test, side)
    return Images(train_images, _labels(train)), Images(test_images, _labels(test))


def _labels(rows: Rows) -> Tensor:
    return torch.tensor([int(label) for _, label in rows])
