"""Splits, batches and augmentation; every source read from small files in its own format; every absence explained."""

from __future__ import annotations

import gzip
import pickle
import struct

import numpy as np
import pytest
import scipy.io
import torch
from PIL import Image

from trajtransfer import data, sources
from trajtransfer.data import augment, load_task, sample


@pytest.fixture(scope="module")
def digits():
    from pathlib import Path

    return load_task("mnist-5k", Path("nowhere"))


def test_mnist_5k_is_all_there(digits):
    sizes = [len(s) for s in (digits.train, digits.validation, digits.selection, digits.test)]
    assert sum(sizes) == 5000 and sizes == [3848, 427, 225, 500]
    assert digits.classes == 10 and digits.shape == (1, 28, 28)
    assert torch.equal(digits.test.labels.bincount(), torch.full((10,), 50))


def test_splits_are_disjoint_and_nine_to_one(digits):
    images = torch.cat([s.images.flatten(1) for s in (digits.train, digits.validation, digits.selection, digits.test)])
    assert len(images.unique(dim=0)) >= 4990  # a handful of digits are equal in the source itself
    assert len(digits.train) / len(digits.validation) == pytest.approx(9, rel=0.01)


def test_batches_are_normalised_by_the_training_images(digits):
    x, y = digits.train.tensors()
    assert x.dtype == torch.float32 and y.dtype == torch.int64 and digits.train.images.dtype == torch.uint8
    assert float(x.mean()) == pytest.approx(0, abs=1e-3) and float(x.std()) == pytest.approx(1, abs=1e-3)
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
    with pytest.raises(ValueError, match=rf"a batch of {size} cannot be drawn from 40 images; choose a batch_size in 1\.\.40"):
        next(sample(split, size, generator))


def test_crop_and_flip_only_shifts_and_mirrors(generator):
    images = torch.randint(1, 256, (200, 2, 6, 6), generator=generator).to(torch.uint8)
    shifted = augment(images, "crop+flip", generator)
    padded = torch.nn.functional.pad(images, (4, 4, 4, 4))
    candidates = torch.stack([padded[:, :, i : i + 6, j : j + 6] for i in range(9) for j in range(9)])
    candidates = torch.cat([candidates, candidates.flip(-1)])
    found = (candidates == shifted).flatten(2).all(2)
    assert found.any(0).all()
    assert len(found.float().argmax(0).unique()) > 80
    assert augment(images, "none", None) is images


# --- formats


def idx(path, array):
    with gzip.open(path, "wb") if path.suffix == ".gz" else path.open("wb") as file:
        file.write(struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes())


def idx_folder(folder, suffix):
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for part, n in (("train", 60), ("t10k", 20)):
        idx(folder / f"{part}-images-idx3-ubyte{suffix}", rng.integers(0, 256, (n, 28, 28)))
        idx(folder / f"{part}-labels-idx1-ubyte{suffix}", np.arange(n) % 10)


@pytest.mark.parametrize(("name", "folder", "suffix"), [("fashion-mnist", "fashion-mnist", ".gz"), ("mnist", "MNIST/raw", "")])
def test_idx_files(name, folder, suffix, tmp_path):
    idx_folder(tmp_path / folder, suffix)
    task = load_task(name, tmp_path)
    assert len(task.train) + len(task.validation) + len(task.selection) == 60 and len(task.test) == 20
    expected = np.random.default_rng(0).integers(0, 256, (60, 28, 28))
    pool, _ = sources.SOURCES[name](tmp_path, None)
    assert torch.equal(pool.images[:, 0], torch.from_numpy(expected.astype(np.uint8))) and pool.labels[13] == 3


def test_fashion_mnist_where_torchvision_puts_it(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "DEBIAN_FASHION_MNIST", tmp_path / "not installed")
    idx_folder(tmp_path / "FashionMNIST" / "raw", "")
    assert len(load_task("fashion-mnist", tmp_path).test) == 20


@pytest.mark.parametrize(
    ("name", "folder", "files", "key"),
    [
        ("cifar-10", "cifar-10-batches-py", [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"], "labels"),
        ("cifar-100", "cifar-100-python", ["train", "test"], "fine_labels"),
    ],
)
def test_cifar_pickles(name, folder, files, key, tmp_path, monkeypatch):
    from trajtransfer._torchvision import torchvision

    (tmp_path / folder).mkdir()
    rng = np.random.default_rng(0)
    for file in files:
        content = {"data": rng.integers(0, 256, (20, 3072), dtype=np.uint8), key: [i % 10 for i in range(20)]}
        (tmp_path / folder / file).write_bytes(pickle.dumps(content))
    (tmp_path / folder / "meta").write_bytes(pickle.dumps({"fine_label_names": list("abc")}))
    (tmp_path / folder / "batches.meta").write_bytes(pickle.dumps({"label_names": list("abc")}))
    kind = {"cifar-10": torchvision.datasets.CIFAR10, "cifar-100": torchvision.datasets.CIFAR100}[name]
    monkeypatch.setattr(kind, "_check_integrity", lambda self: True)  # our files have checksums of their own
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda *a: True)
    pool, test = sources.SOURCES[name](tmp_path, None)
    assert pool.images.shape == (20 * (len(files) - 1), 3, 32, 32) and len(test.labels) == 20
    first = np.random.default_rng(0).integers(0, 256, (20, 3072), dtype=np.uint8)[0].reshape(3, 32, 32)
    assert torch.equal(pool.images[0], torch.from_numpy(first))


def photograph(path, colour, size=(40, 30)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


def test_imagenet_folders_are_decoded_once(tmp_path):
    for part, n in (("train", 30), ("val", 4)):
        for i in range(n):
            photograph(tmp_path / "imagenet" / part / f"n{i % 2}" / f"{i}.png", (i, 100 * (i % 2), 7))
    task = load_task("imagenet", tmp_path, size=16)
    assert task.shape == (3, 16, 16) and task.classes == 2 and len(task.test) == 4
    images, labels = task.train.images, task.train.labels
    assert torch.equal(images[:, 1, 0, 0] == 100, labels == 1)
    for part in ("train", "val"):
        for file in (tmp_path / "imagenet" / part).rglob("*.png"):
            file.write_bytes(b"")  # a second load must not read the photographs again
    assert torch.equal(load_task("imagenet", tmp_path, size=16).train.images, images)


def test_cub_lists(tmp_path):
    folder = tmp_path / "CUB_200_2011"
    names = [f"{c:03d}.Bird/{i}.png" for i, c in enumerate([1, 2] * 20)]
    for i, name in enumerate(names):
        photograph(folder / "images" / name, (i, 0, 0))
    (folder / "images.txt").write_text("".join(f"{i} {n}\n" for i, n in enumerate(names, 1)))
    (folder / "image_class_labels.txt").write_text("".join(f"{i} {int(n[:3])}\n" for i, n in enumerate(names, 1)))
    (folder / "train_test_split.txt").write_text("".join(f"{i} {int(i <= 30)}\n" for i in range(1, 41)))
    pool, test = sources.SOURCES["cub"](tmp_path, 16)
    assert len(pool.labels) == 30 and len(test.labels) == 10
    assert pool.images[:, 0, 0, 0].tolist() == list(range(30)) and pool.labels[:4].tolist() == [0, 1, 0, 1]


def test_cars_annotations(tmp_path):
    folder = tmp_path / "stanford_cars"
    (folder / "devkit").mkdir(parents=True)
    scipy.io.savemat(folder / "devkit" / "cars_meta.mat", {"class_names": np.array([["a", "b"]], dtype=object)})
    kinds = (("cars_train", 24, "devkit/cars_train_annos.mat"), ("cars_test", 6, "cars_test_annos_withlabels.mat"))
    for part, n, path in kinds:
        rows = [(f"{i:05d}.png", i % 2 + 1) for i in range(n)]
        for i, (name, _) in enumerate(rows):
            photograph(folder / part / name, (i, 0, 0))
        annotations = np.array(rows, dtype=[("fname", object), ("class", object)])
        scipy.io.savemat(folder / path, {"annotations": annotations})
    pool, test = sources.SOURCES["cars"](tmp_path, 16)
    assert pool.images[:, 0, 0, 0].tolist() == list(range(24)) and test.labels.tolist() == [0, 1] * 3


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
    assert not list(tmp_path.rglob("*.npy"))


def test_unknown_data_sets_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"unknown data set 'mnits'; known: cars, .*mnist-5k"):
        data.load_task("mnits", tmp_path)
