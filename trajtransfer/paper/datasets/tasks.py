"""Tasks as uint8 tensors with train, validation, selection and test splits, and mini-batches.

Images stay uint8 on the device (sets too large for it: on disk); a mini-batch is converted and
normalised on the device it is used on. Nothing is downloaded: missing data is an error that says
how to get it.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from numbers import Integral
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from trajtransfer.paper.datasets import checks
from trajtransfer.paper.datasets.augmentation import augment
from trajtransfer.paper.datasets.images import Images
from trajtransfer.paper.datasets.sources import SOURCES

POOLED_AT_ONCE = 10_000  # images, which are floats meanwhile
READ_AT_ONCE = 64  # images of a set that may be larger than the memory
RESIDENT = 8 * 2**30  # bytes of images that are kept on the device


@dataclass(frozen=True)
class Split:
    """Labelled images: those of `pool` at the indices `order` (n,), with `labels`, int64 (n,).

    `pool` is uint8 (N, c, h, w); it is shared between splits and may stay on the host or on disk.
    `mean` and `std`, float32 (c, 1, 1), are those of the training images in units of full
    brightness; batches are made where `mean` is.
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
        return self.pool.index_select(0, self.order)  # several times as fast as an index

    def subset(self, indices: Tensor) -> Split:
        """The images with these indices, as a view."""
        order = self.order[indices.to(self.order.device)]
        labels = self.labels[indices.to(self.labels.device)]
        return replace(self, order=order, labels=labels)

    def tensors(
        self, augmentation: str = "none", generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """All images as normalised float32 (n, c, h, w) with their labels, augmented on request."""
        images = augment(self.images.to(self.mean.device), augmentation, generator)
        return images.float().div_(255).sub_(self.mean).div_(self.std), self.labels

    def batches(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Consecutive mini-batches of nearly equal sizes, at most `size`, in the split's order."""
        if not isinstance(size, Integral) or size < 1:
            wrong = f"batches of size {size!r} cannot be made"
            raise ValueError(f"{wrong}; choose a whole number, 1 or more")
        for indices in torch.arange(len(self)).tensor_split(math.ceil(len(self) / size)):
            yield self.subset(indices).tensors()


@dataclass(frozen=True)
class Task:
    """A classification task.

    The pool of training images is cut 5 % selection, then 9:1 train and validation. The trajectory
    step is chosen on `selection`, curves are drawn on `validation`, and `test` is the official
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
        c, h, w = self.train.pool.shape[1:]
        return c, h, w


def sample(split: Split, size: int, generator: torch.Generator) -> Iterator[Split]:
    """Endless mini-batches of exactly `size` images, drawn without replacement within each pass.

    Raises ``ValueError`` when `size` is larger than the split.
    """
    if not isinstance(size, Integral) or not 1 <= size <= len(split):
        wrong = f"a batch of {size} cannot be drawn from {len(split)} images"
        raise ValueError(f"{wrong}; choose a batch_size in 1..{len(split)}")
    while True:
        order = torch.randperm(len(split), generator=generator)
        for start in range(0, len(split) - size + 1, size):
            yield split.subset(order[start : start + size])


def load_task(
    name: str,
    root: Path,
    *,
    classes: Sequence[int] | None = None,
    size: int | None = None,
    pool: int = 1,
    device: torch.device | str = "cpu",
) -> Task:
    """Load a task by name (see `sources.SOURCES`) from the folder `root`.

    `classes` keeps these classes only and numbers them from 0. `pool` makes a pixel of each square
    of so many pixels a side, the mean of them; `size` then pads small images with black to that
    side, and is the side to which photographs are resized and cropped. Raises ``ValueError`` for an
    unknown name or class, a `pool` that does not divide images, a `size` below that of small images
    and sets too small to split, `sources.MissingDataError` when files are not there and
    `sources.DataError` when they are wrong.
    """
    known, test = _found(name, Path(root), classes, size, pool)
    selection, validation, train = _cut(name, len(known.labels))
    checks.require_all_classes(name, known.labels, train)
    checks.require_room(name, known.images, size)
    mean, std = _statistics(known.images, train, device)
    images = _placed(known.images, size, device)
    test_images = _placed(test.images, size, device)

    def split(images: Tensor, labels: Tensor, order: Tensor) -> Split:
        return Split(images, order.to(images.device), labels[order].to(device), mean, std)

    return Task(
        name,
        classes=int(known.labels.max()) + 1,
        checksum=_checksum(known),
        train=split(images, known.labels, train),
        validation=split(images, known.labels, validation),
        selection=split(images, known.labels, selection),
        test=split(test_images, test.labels, torch.arange(len(test.labels))),
    )


def _found(
    name: str, root: Path, classes: Sequence[int] | None, size: int | None, pool: int
) -> tuple[Images, Images]:
    """The training images and the test set of a source, both pooled and of these classes only."""
    if name not in SOURCES:
        raise ValueError(f"unknown data set {name!r}; known: {', '.join(sorted(SOURCES))}")
    checks.require_side(size)
    checks.require_classes(name, classes)
    known, test = SOURCES[name](root, size)
    checks.require_consistent(name, root, known, test)
    checks.require_pooling(name, known.images, pool)
    known, test = (Images(_pooled(part.images, pool), part.labels) for part in (known, test))
    if classes is None:
        return known, test
    return _only(known, tuple(classes), name), _only(test, tuple(classes), name)


def _pooled(images: Tensor, pool: int) -> Tensor:
    """Means of squares of so many pixels a side, uint8 as the images are."""
    if pool == 1:
        return images
    parts = [F.avg_pool2d(part.float(), pool) for part in images.split(POOLED_AT_ONCE)]
    return torch.cat(parts).round().to(torch.uint8)


def _only(part: Images, classes: tuple[int, ...], name: str) -> Images:
    unknown = set(classes) - set(part.labels.unique().tolist())
    if unknown:
        raise ValueError(f"{name} has no classes {sorted(unknown)}")
    kept = part.take(torch.isin(part.labels, torch.tensor(classes)).nonzero().flatten())
    renumbered = torch.zeros(max(classes) + 1, dtype=torch.long)
    renumbered[list(classes)] = torch.arange(len(classes))
    return Images(kept.images, renumbered[kept.labels])


def _cut(name: str, n: int) -> tuple[Tensor, Tensor, Tensor]:
    """The indices of selection, validation and training images, the same each time."""
    order = torch.randperm(n, generator=torch.Generator().manual_seed(0))
    selected = n // 20
    held_out = (n - selected) // 10
    if not selected:
        wrong = f"{name} has {n} training images"
        raise ValueError(f"{wrong}; at least 20 are needed, choose more classes")
    selection, validation, train = order.split([selected, held_out, n - selected - held_out])
    return selection, validation, train


def _statistics(images: Tensor, train: Tensor, device: torch.device | str) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation per channel, in units of full brightness.

    Some 10,000 evenly spaced training images stand for all. Their pixels are counted by level.
    """
    counts = torch.zeros(images.shape[1], 256, dtype=torch.long)
    for some in train[:: max(1, len(train) // 10_000)].split(READ_AT_ONCE):
        for channel, pixels in zip(counts, images[some].unbind(1), strict=True):
            channel += pixels.flatten().bincount(minlength=256)
    levels = torch.arange(256).double() / 255
    n = counts[0].sum()
    mean = counts.double() @ levels / n
    squares = (levels - mean[:, None]).square()
    std = ((counts * squares).sum(1) / (n - 1)).sqrt().clamp_min(1e-3).float()
    return mean.float()[:, None, None].to(device), std[:, None, None].to(device)


def _placed(images: Tensor, size: int | None, device: torch.device | str) -> Tensor:
    """Small images padded to `size` and on the device; large sets stay mapped from disk."""
    if images.numel() > RESIDENT:
        return images
    if size is not None and images.shape[-1] < size:
        margin = size - images.shape[-1]
        before = margin // 2
        after = margin - before
        images = F.pad(images, (before, after, before, after))
    return images.to(device)


def _checksum(pool: Images) -> str:
    """SHA-256 of the labels and of evenly spaced images (all of a small data set), shortened."""
    digest = hashlib.sha256(pool.labels.numpy().tobytes())
    step = max(1, pool.images[0].numel() * len(pool.images) // 2**26)
    for some in pool.images[::step].split(READ_AT_ONCE):
        digest.update(some.contiguous().numpy())
    return digest.hexdigest()[:16]
