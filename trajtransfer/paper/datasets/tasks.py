"""Tasks as uint8 tensors with train, validation, selection and test splits, and seeded mini-batches.

Images stay uint8 on the device (sets too large for it: on disk); a mini-batch is converted and normalised on
the device it is used on. Nothing is downloaded: missing data is an error that says how to get it.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from numbers import Integral
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from trajtransfer.batches import Batch
from trajtransfer.paper.datasets.errors import DataError
from trajtransfer.paper.datasets.sources import SOURCES, Images

LARGEST_SIDE = 4096  # pixels; more is a mistake, and would fill the memory
RESIDENT = 8 * 2**30  # bytes of images that are kept on the device


@dataclass(frozen=True)
class Split:
    """Labelled images: those of `pool`, uint8 (N, c, h, w), at the indices `order` (n,); `labels` int64 (n,).

    `mean` and `std`, float32 (c, 1, 1), are those of the training images in units of full brightness. The pool is
    shared between splits and may stay on the host or on disk; batches are made where `mean` is.
    """

    pool: Tensor
    order: Tensor
    labels: Tensor
    mean: Tensor
    std: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def images(self) -> Tensor:
        """The images of this split, uint8 (n, c, h, w), copied from the pool."""
        return self.pool[self.order]

    def subset(self, indices: Tensor) -> Split:
        """The images with these indices, as a view."""
        order = self.order[indices.to(self.order.device)]
        return replace(self, order=order, labels=self.labels[indices.to(self.labels.device)])

    def tensors(self, augmentation: str = "none", generator: torch.Generator | None = None) -> Batch:
        """All images as normalised float32 (n, c, h, w) with their labels, augmented on request."""
        images = augment(self.images.to(self.mean.device), augmentation, generator)
        return images.float().div_(255).sub_(self.mean).div_(self.std), self.labels

    def batches(self, size: int) -> Iterator[Batch]:
        """Consecutive mini-batches of nearly equal sizes, at most `size`, in the order of the split."""
        if not isinstance(size, Integral) or size < 1:
            raise ValueError(f"batches of size {size!r} cannot be made; choose a whole number, 1 or more")
        for indices in torch.arange(len(self)).tensor_split(math.ceil(len(self) / size)):
            yield self.subset(indices).tensors()


@dataclass(frozen=True)
class Task:
    """A classification task. The pool of training images is cut 5 % selection, then 9:1 train and validation.

    The trajectory step is chosen on `selection`, curves are drawn on `validation`, and `test` is the official
    test set (for MNIST-5k, which has none, every tenth digit). `checksum` identifies the data.
    """

    name: str
    classes: int
    checksum: str
    train: Split
    validation: Split
    selection: Split
    test: Split

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape (c, h, w) of an image."""
        c, h, w = self.train.images.shape[1:]
        return c, h, w


def load_task(
    name: str,
    root: Path,
    *,
    classes: Sequence[int] | None = None,
    size: int | None = None,
    device: torch.device | str = "cpu",
) -> Task:
    """Load a task by name (see `sources.SOURCES`) from the folder `root`.

    `classes` keeps these classes only and numbers them from 0; `size` pads small images with black to that
    side, and is the side to which photographs are resized and cropped. Raises ``ValueError`` for an unknown
    name or class, a `size` below that of small images and sets too small to split, `sources.MissingDataError`
    when files are not there and `sources.DataError` when they are wrong.
    """
    if name not in SOURCES:
        raise ValueError(f"unknown data set {name!r}; known: {', '.join(sorted(SOURCES))}")
    _require_side(size)
    _require_classes(name, classes)
    pool, test = SOURCES[name](Path(root), size)
    _require_consistent(name, Path(root), pool, test)
    if classes is not None:
        pool, test = (_only(part, tuple(classes), name) for part in (pool, test))
    order = torch.randperm(len(pool.labels), generator=torch.Generator().manual_seed(0))
    selected, held_out = len(order) // 20, (len(order) - len(order) // 20) // 10
    if not selected:
        raise ValueError(f"{name} has {len(order)} training images; at least 20 are needed, choose more classes")
    selection, validation, train = order.split([selected, held_out, len(order) - selected - held_out])
    _require_all_classes(name, pool.labels, train)
    if size is not None and size < pool.images.shape[-1]:
        raise ValueError(
            f"{name} has images of side {pool.images.shape[-1]}, which size={size} would have to cut; "
            "choose a size that is not smaller, or leave it out"
        )
    statistics = [x.to(device) for x in _statistics(pool.images, train)]
    images, test_images = (_placed(part.images, size, device) for part in (pool, test))

    def split(images: Tensor, labels: Tensor, order: Tensor) -> Split:
        return Split(images, order.to(images.device), labels[order].to(device), *statistics)

    parts = [split(images, pool.labels, order) for order in (train, validation, selection)]
    parts.append(split(test_images, test.labels, torch.arange(len(test.labels))))
    return Task(name, int(pool.labels.max()) + 1, _checksum(pool), *parts)


def _require_side(size: int | None) -> None:
    if size is None:
        return
    if not isinstance(size, Integral) or isinstance(size, bool):
        raise TypeError(f"size={size!r} is not a whole number; give the side of the images in pixels, e.g. 32")
    if not 1 <= size <= LARGEST_SIDE:
        raise ValueError(f"size={size} is not within 1..{LARGEST_SIDE}; give the side of the images in pixels, e.g. 32")


def _require_classes(name: str, classes: Sequence[int] | None) -> None:
    """Raise unless these are whole numbers, each there once; two at least, or there is nothing to tell apart."""
    if classes is None:
        return
    if not isinstance(classes, Iterable) or not all(isinstance(c, Integral) and not isinstance(c, bool) for c in classes):
        raise TypeError(f"classes={classes!r} are not whole numbers; list labels of {name}, e.g. (0, 1)")
    repeated = sorted({c for c in classes if list(classes).count(c) > 1})
    if repeated:
        raise ValueError(f"classes={tuple(classes)} repeat {repeated}; list each class of {name} once")
    if len(classes) < 2:
        raise ValueError(f"classes={tuple(classes)} leave nothing to tell apart; list two classes of {name} at least")


def _require_consistent(name: str, root: Path, pool: Images, test: Images) -> None:
    """Raise unless training pool and test set are images of one shape with labels that both know."""
    for part in (pool, test):
        if not len(part.labels) or len(part.images) != len(part.labels):
            raise DataError(root, f"holds {len(part.labels)} labels for {len(part.images)} images of {name}", "fetch it again")
    shapes = [tuple(part.images.shape[1:]) for part in (pool, test)]
    if shapes[0] != shapes[1]:
        raise DataError(root, f"holds training images of {shapes[0]} and test images of {shapes[1]}", "fetch it again")
    if pool.labels.unique().numel() < 2:
        raise DataError(root, f"holds one class of {name} only", "fetch the others, too")
    labels = int(pool.labels.min()), int(test.labels.min()), int(test.labels.max())
    if min(labels) < 0 or labels[2] > int(pool.labels.max()):
        raise DataError(root, f"holds labels of {name} that no training image has", "fetch it again")


def _require_all_classes(name: str, labels: Tensor, train: Tensor) -> None:
    counts = labels[train].bincount(minlength=int(labels.max()) + 1)
    if not counts.all():
        absent = (counts == 0).nonzero().flatten().tolist()
        raise ValueError(
            f"no training image of {name} has the classes {absent[:5]}: the others are held out, or there are none; "
            "choose other classes, or a set with more images"
        )


def sample(split: Split, size: int, generator: torch.Generator) -> Iterator[Split]:
    """Endless mini-batches of exactly `size` images, drawn without replacement within each pass.

    Raises ``ValueError`` when `size` is larger than the split.
    """
    if not isinstance(size, Integral) or not 1 <= size <= len(split):
        raise ValueError(f"a batch of {size} cannot be drawn from {len(split)} images; choose a batch_size in 1..{len(split)}")
    while True:
        order = torch.randperm(len(split), generator=generator)
        for start in range(0, len(split) - size + 1, size):
            yield split.subset(order[start : start + size])


def augment(images: Tensor, kind: str, generator: torch.Generator | None) -> Tensor:
    """``"none"``, or ``"crop+flip"``: a random crop after padding by 4 black pixels and a random mirror image."""
    if kind == "none":
        return images
    if kind != "crop+flip":
        raise ValueError(f"unknown augmentation {kind!r}; known: none, crop+flip")
    n, _, h, w = images.shape
    shifts = torch.randint(0, 9, (2, n, 1), generator=generator)
    mirrored = torch.rand(n, 1, generator=generator) < 0.5
    rows, columns = shifts[0] + torch.arange(h), shifts[1] + torch.arange(w)
    columns = torch.where(mirrored, columns.flip(1), columns)
    rows, columns = rows.to(images.device), columns.to(images.device)
    padded = F.pad(images, (4, 4, 4, 4))
    which = torch.arange(n, device=images.device)[:, None, None]
    return padded[which, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2).contiguous()


def _only(part: Images, classes: tuple[int, ...], name: str) -> Images:
    unknown = set(classes) - set(part.labels.unique().tolist())
    if unknown:
        raise ValueError(f"{name} has no classes {sorted(unknown)}")
    kept = part.take(torch.isin(part.labels, torch.tensor(classes)).nonzero().flatten())
    renumbered = torch.zeros(max(classes) + 1, dtype=torch.long)
    renumbered[list(classes)] = torch.arange(len(classes))
    return Images(kept.images, renumbered[kept.labels])


def _statistics(images: Tensor, train: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation per channel of some 10,000 evenly spaced training images, in units of full brightness."""
    some = images[train[:: max(1, len(train) // 10_000)]].double() / 255
    mean, std = some.mean((0, 2, 3)), some.std((0, 2, 3)).clamp_min(1e-3)
    return mean.float()[:, None, None], std.float()[:, None, None]


def _placed(images: Tensor, size: int | None, device: torch.device | str) -> Tensor:
    """Small images padded to `size` and on the device; large sets stay mapped from disk."""
    if images.numel() > RESIDENT:
        return images
    if size is not None and images.shape[-1] < size:
        margin = size - images.shape[-1]
        images = F.pad(images, (margin // 2, margin - margin // 2) * 2)
    return images.to(device)


def _checksum(pool: Images) -> str:
    """SHA-256 of the labels and of evenly spaced images (all of a small data set), shortened."""
    digest = hashlib.sha256(pool.labels.numpy().tobytes())
    step = max(1, pool.images[0].numel() * len(pool.images) // 2**26)
    digest.update(pool.images[::step].contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
