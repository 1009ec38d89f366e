"""What is asked of a task, and what a source hands over, checked before it is used."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from numbers import Integral
from pathlib import Path

from torch import Tensor

from trajtransfer.paper.datasets.errors import DataError
from trajtransfer.paper.datasets.images import Images

LARGEST_SIDE = 4096  # pixels; more is a mistake, and would fill the memory


def require_side(size: int | None) -> None:
    """Raise unless `size` is None, or the side of an image in pixels."""
    if size is None:
        return
    remedy = "give the side of the images in pixels, e.g. 32"
    if not _is_whole(size):
        raise TypeError(f"size={size!r} is not a whole number; {remedy}")
    if not 1 <= size <= LARGEST_SIDE:
        raise ValueError(f"size={size} is not within 1..{LARGEST_SIDE}; {remedy}")


def require_classes(name: str, classes: Sequence[int] | None) -> None:
    """Raise unless these are whole numbers, each there once, two at least.

    With fewer there is nothing to tell apart.
    """
    if classes is None:
        return
    if not isinstance(classes, Iterable) or not all(map(_is_whole, classes)):
        wrong = f"classes={classes!r} are not whole numbers"
        raise TypeError(f"{wrong}; list labels of {name}, e.g. (0, 1)")
    repeated = sorted({c for c in classes if list(classes).count(c) > 1})
    if repeated:
        wrong = f"classes={tuple(classes)} repeat {repeated}"
        raise ValueError(f"{wrong}; list each class of {name} once")
    if len(classes) < 2:
        wrong = f"classes={tuple(classes)} leave nothing to tell apart"
        raise ValueError(f"{wrong}; list two classes of {name} at least")


def require_consistent(name: str, root: Path, pool: Images, test: Images) -> None:
    """Raise unless both sets are images of one shape with labels that the training pool knows."""
    remedy = "fetch it again"
    for part in (pool, test):
        if not len(part.labels) or len(part.images) != len(part.labels):
            wrong = f"holds {len(part.labels)} labels for {len(part.images)} images of {name}"
            raise DataError(root, wrong, remedy)
    shape = tuple(pool.images.shape[1:])
    test_shape = tuple(test.images.shape[1:])
    if shape != test_shape:
        wrong = f"holds training images of {shape} and test images of {test_shape}"
        raise DataError(root, wrong, remedy)
    if pool.labels.unique().numel() < 2:
        raise DataError(root, f"holds one class of {name} only", "fetch the others, too")
    lowest = min(int(pool.labels.min()), int(test.labels.min()))
    if lowest < 0 or int(test.labels.max()) > int(pool.labels.max()):
        raise DataError(root, f"holds labels of {name} that no training image has", remedy)


def require_all_classes(name: str, labels: Tensor, train: Tensor) -> None:
    """Raise unless the training split has an image of each class."""
    counts = labels[train].bincount(minlength=int(labels.max()) + 1)
    if not counts.all():
        absent = (counts == 0).nonzero().flatten().tolist()
        raise ValueError(
            f"no training image of {name} has the classes {absent[:5]}: the others are held out, "
            "or there are none; choose other classes, or a set with more images"
        )


def require_pooling(name: str, images: Tensor, pool: int) -> None:
    """Raise unless images can be cut into squares of `pool` pixels a side."""
    if not _is_whole(pool):
        raise TypeError(f"pool={pool!r} is not a whole number; give a side in pixels, e.g. 2")
    side = images.shape[-1]
    if pool < 1 or side % pool:
        wrong = f"{name} has images of side {side}, which is no multiple of pool={pool}"
        raise ValueError(f"{wrong}; choose a divisor, or leave it out")


def require_room(name: str, images: Tensor, size: int | None) -> None:
    """Raise unless the images fit into the side `size`."""
    side = images.shape[-1]
    if size is not None and size < side:
        raise ValueError(
            f"{name} has images of side {side}, which size={size} would have to cut; "
            "choose a size that is not smaller, or leave it out"
        )


def _is_whole(number: object) -> bool:
    return isinstance(number, Integral) and not isinstance(number, bool)
