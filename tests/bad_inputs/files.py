"""Files of data sets, and parts of data sets, that are refused."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from trajtransfer.paper.datasets.tasks import load_task


def idx(content: bytes, *shape: int, magic: int | None = None) -> bytes:
    """An IDX file, gzipped."""
    number = 0x0800 + len(shape) if magic is None else magic
    return gzip.compress(struct.pack(f">{1 + len(shape)}I", number, *shape) + content, 1)


def fashion(options: Mapping[str, Any] | None = None, **files: bytes) -> Callable[[Path], object]:
    """A load that would work, but for the options and files: images and labels of both parts."""
    images = idx(bytes(40 * 784), 40, 28, 28)
    labels = idx(bytes(i % 10 for i in range(40)), 40)
    whole = {
        "train_images": images,
        "train_labels": labels,
        "t10k_images": images,
        "t10k_labels": labels,
    }

    def call(folder: Path) -> object:
        place = folder / "fashion-mnist"
        place.mkdir()
        for what, content in (whole | files).items():
            part, kind = what.split("_")
            (place / f"{part}-{kind}-idx{3 if kind == 'images' else 1}-ubyte.gz").write_bytes(
                content
            )
        return load_task("fashion-mnist", folder, **options or {})

    return call


def digits(**options: Any) -> Callable[[Path], object]:
    return lambda folder: load_task("mnist-5k", folder, **options)


FILES = [
    ("images that are empty", fashion(train_images=b""), "it is not an IDX file of 3 axes"),
    (
        "images that are text",
        fashion(train_images=b"<html>not found</html>"),
        "train-images-idx3-ubyte.gz cannot be unpacked",
    ),
    (
        "images that are cut",
        fashion(t10k_images=idx(bytes(40 * 784), 40, 28, 28)[:-9]),
        "t10k-images-idx3-ubyte.gz cannot be unpacked",
    ),
    (
        "images with a damaged stream",
        fashion(train_images=idx(bytes(40 * 784), 40, 28, 28)[:20] + b"\xff" * 99),
        "cannot be unpacked",
    ),
    (
        "images of another magic number",
        fashion(train_images=idx(bytes(40 * 784), 40, 28, 28, magic=0x0D03)),
        "it is not an IDX file of 3 axes",
    ),
    (
        "labels in place of images",
        fashion(train_images=idx(bytes(40), 40)),
        "it is not an IDX file of 3 axes",
    ),
    (
        "images in place of labels",
        fashion(train_labels=idx(bytes(40 * 784), 40, 28, 28)),
        "it is not an IDX file of 1 axes",
    ),
    (
        "images fewer than announced",
        fashion(train_images=idx(bytes(39 * 784), 40, 28, 28)),
        "announces an array of (40, 28, 28)",
    ),
    (
        "images more than announced",
        fashion(train_images=idx(bytes(41 * 784), 40, 28, 28)),
        "announces an array of (40, 28, 28)",
    ),
    (
        "images of another side",
        fashion(t10k_images=idx(bytes(40 * 1024), 40, 32, 32)),
        "holds images of 32 x 32 instead of 28 x 28",
    ),
    (
        "images that are none",
        fashion(train_images=idx(b"", 0, 28, 28), train_labels=idx(b"", 0)),
        "holds 0 labels for 0 images",
    ),
    (
        "labels fewer than images",
        fashion(train_labels=idx(bytes(39), 39)),
        "train-labels-idx1-ubyte.gz holds 39 labels for 40 images",
    ),
    (
        "label 77",
        fashion(train_labels=idx(bytes([77] * 40), 40)),
        "holds the label 77 instead of 0..9",
    ),
    (
        "labels all the same",
        fashion(train_labels=idx(bytes(40), 40)),
        "holds one class of fashion-mnist only",
    ),
    (
        "class in no training image",
        fashion(train_labels=idx(bytes([0] * 20 + [9] * 20), 40)),
        "no training image of fashion-mnist has the classes [1, 2",
    ),
    (
        "images too few to split",
        fashion(
            train_images=idx(bytes(19 * 784), 19, 28, 28),
            train_labels=idx(bytes([*range(10)] * 2)[:19], 19),
        ),
        "has 19 training images; at least 20",
    ),
    ("size of 0", digits(size=0), "size=0 is not within"),
    ("size of -32", digits(size=-32), "size=-32 is not within"),
    ("size of 10**6", digits(size=10**6), "size=1000000 is not within"),
    ("size of 32.5", digits(size=32.5), "size=32.5 is not a whole number"),
    (
        "size below that of the images",
        fashion({"size": 14}),
        "images of side 28, which size=14 would have to cut",
    ),
    ("class twice", digits(classes=(3, 7, 3)), "repeat [3]; list each class of mnist-5k once"),
    ("class below 0", fashion({"classes": (-1, 3)}), "fashion-mnist has no classes [-1]"),
    ("class of 2.5", digits(classes=(2.5, 3)), "are not whole numbers"),
    ("class in words", digits(classes="13"), "are not whole numbers"),
    ("class True", digits(classes=(True, 3)), "are not whole numbers"),
    ("one class of the digits", digits(classes=(3,)), "leave nothing to tell apart"),
    ("no class of the digits", digits(classes=()), "leave nothing to tell apart"),
]
