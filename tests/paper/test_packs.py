"""Decoded photographs in one file: the same images, whoever was killed, came second or met damage.

Photographs are small JPEG files of noise.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from trajtransfer.paper.datasets import packs, photographs, tasks
from trajtransfer.paper.datasets.errors import DataError
from trajtransfer.paper.datasets.tasks import load_task

SIDE = 8
# Decodes the photographs that are named, and writes a letter into `log` for each of them; is killed
# where it should write the letter number `last`.
DECODING = """
import os, signal, sys
from pathlib import Path
from threading import Lock
from trajtransfer.paper.datasets import packs, photographs

log, last, block, folder, *paths = sys.argv[1:]
plain = photographs._photograph
turn = Lock()

def logged(path, size):
    with turn, open(log, "a") as file:
        if file.tell() == int(last):
            os.kill(os.getpid(), signal.SIGKILL)
        file.write("x")
    return plain(path, size)

packs.BLOCK = int(block)
photographs._photograph = logged
photographs.decoded(Path(folder), "some", [(path, 0) for path in paths], 8)
"""
# Goes through a task of photographs, and may not take 64 MiB of memory for itself meanwhile.
READING = """
import resource, sys
from pathlib import Path
import torch
from trajtransfer.paper._torchvision import torchvision
from trajtransfer.paper.datasets.tasks import load_task

torchvision.datasets  # imported before memory is counted
status = Path("/proc/self/status").read_text()
data = 1024 * int(status.partition("VmData:")[2].split()[0])
resource.setrlimit(resource.RLIMIT_DATA, (data + 2**26, -1))
task = load_task("imagenet", Path(sys.argv[1]), size=224)
images = sum(len(labels) for _, labels in task.train.batches(16))
print(images, *task.shape)
"""


def drawn(folder: Path, n: int) -> photographs.Rows:
    """JPEG files of noise, of many shapes and some of them grey."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    rows = []
    for i in range(n):
        pixels = rng.integers(0, 256, (9 + i % 5, 9 + i % 7, 3), dtype=np.uint8)
        path = folder / f"{i:03d}.jpg"
        Image.fromarray(pixels if i % 9 else pixels[..., 0]).save(path)
        rows.append((str(path), 0))
    return rows


def one_by_one(rows: photographs.Rows, size: int = SIDE) -> torch.Tensor:
    return torch.stack([torch.tensor(photographs._photograph(path, size)) for path, _ in rows])


def decoding(log: Path, last: int, folder: Path, rows: photographs.Rows) -> subprocess.Popen:
    paths = [path for path, _ in rows]
    block = str(packs.BLOCK)
    command = [sys.executable, "-c", DECODING, str(log), str(last), block, str(folder), *paths]
    return subprocess.Popen(command, stderr=subprocess.PIPE)


def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The photographs that are decoded from now on."""
    plain = photographs._photograph
    calls: list[str] = []

    def logged(path, size):
        calls.append(path)
        return plain(path, size)

    monkeypatch.setattr(photographs, "_photograph", logged)
    return calls


@pytest.mark.parametrize("n", [1, 3, 64, 65, 150])
def test_packed_is_decoded_one_by_one(n, tmp_path):
    rows = drawn(tmp_path / "photographs", n)
    images = photographs.decoded(tmp_path / "decoded", "some", rows, SIDE)
    assert images.dtype == torch.uint8
    assert torch.equal(images, one_by_one(rows))
    order = torch.randperm(n, generator=torch.Generator().manual_seed(0))
    assert torch.equal(images.index_select(0, order), one_by_one(rows)[order])


def test_a_pack_is_opened_without_decoding(tmp_path, monkeypatch):
    rows = drawn(tmp_path / "photographs", 70)
    images = photographs.decoded(tmp_path / "decoded", "some", rows, SIDE)
    calls = counted(monkeypatch)
    assert torch.equal(photographs.decoded(tmp_path / "decoded", "some", rows, SIDE), images)
    assert not calls


def test_other_photographs_sides_and_decoders_have_other_packs(tmp_path, monkeypatch):
    folder = tmp_path / "decoded"
    rows = drawn(tmp_path / "photographs", 4)
    assert photographs.decoded(folder, "some", rows, SIDE).shape == (4, 3, SIDE, SIDE)
    assert photographs.decoded(folder, "some", rows[:3], SIDE).shape == (3, 3, SIDE, SIDE)
    assert photographs.decoded(folder, "some", rows, 6).shape == (4, 3, 6, 6)
    monkeypatch.setattr(photographs, "version", lambda name: "0.1")
    photographs.decoded(folder, "some", rows, SIDE)
    assert len(list(folder.glob("*.pack"))) == 4
    assert not list(folder.glob("*refused*"))


def test_a_pack_under_the_name_of_another_is_told_from_it(tmp_path):
    folder = tmp_path / "decoded"
    rows = drawn(tmp_path / "photographs", 4)
    photographs.decoded(folder, "some", rows, SIDE)
    (path,) = folder.glob("*.pack")
    others = photographs.decoded(tmp_path / "elsewhere", "some", rows[::-1], SIDE)
    (other,) = (tmp_path / "elsewhere").glob("*.pack")
    shutil.copy(other, path)
    assert torch.equal(photographs.decoded(folder, "some", rows, SIDE), others.flip(0))


@pytest.mark.slow
def test_a_killed_packing_is_finished_by_the_next_call(tmp_path, monkeypatch):
    """Only the blocks that the threads, 32 at most, were at are made again."""
    monkeypatch.setattr(packs, "BLOCK", 2)
    folder = tmp_path / "decoded"
    rows = drawn(tmp_path / "photographs", 150)
    log = tmp_path / "log"
    killed = decoding(log, 140, folder, rows)
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL and len(log.read_text()) == 140
    assert [path.suffix for path in folder.glob("some*")] == [".partial"]
    with monkeypatch.context() as patch:
        calls = counted(patch)
        images = photographs.decoded(folder, "some", rows, SIDE)
    assert 10 <= len(calls) <= 10 + 2 * 32
    assert torch.equal(images, one_by_one(rows))
    assert [path.suffix for path in folder.glob("some*")] == [".pack"]


def test_what_a_torn_packing_holds_is_not_believed(tmp_path, monkeypatch):
    """A power cut may have left holes, and a file of another length."""
    folder = tmp_path / "decoded"
    rows = drawn(tmp_path / "photographs", 3 * packs.BLOCK)
    images = photographs.decoded(folder, "some", rows, SIDE).clone()
    (path,) = folder.glob("*.pack")
    content = path.read_bytes()
    partial = path.with_name(f"{path.name}.partial")
    hole = len(content) // 2
    for torn in (b"", content[:-1], content[:hole] + bytes(99) + content[hole + 99 :], content):
        path.unlink()
        partial.write_bytes(torn)
        assert torch.equal(photographs.decoded(folder, "some", rows, SIDE), images)
        assert path.read_bytes() == content and not partial.exists()
    path.rename(partial)
    calls = counted(monkeypatch)
    photographs.decoded(folder, "some", rows, SIDE)
    assert not calls


def test_an_interrupted_packing_is_gone_on_with(tmp_path, monkeypatch):
    folder = tmp_path / "decoded"
    rows = drawn(tmp_path / "photographs", 3)

    def interrupted(path, size):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(photographs, "_photograph", interrupted)
        photographs.decoded(folder, "some", rows, SIDE)
    assert torch.equal(photographs.decoded(folder, "some", rows, SIDE), one_by_one(rows))


def test_a_photograph_that_cannot_be_decoded_leaves_nothing_behind(tmp_path):
    rows = drawn(tmp_path / "photographs", 3)
    Path(rows[1][0]).write_bytes(b"no photograph")
    with pytest.raises(DataError, match=r"001.jpg cannot be decoded .*; fetch it again"):
        photographs.decoded(tmp_path / "decoded", "some", rows, SIDE)
    assert not list((tmp_path / "decoded").glob("some*"))


def damage(content: bytes) -> list[bytes]:
    """A file cut at all kinds of places, longer, and with other bytes in its line and images."""
    line = content.index(b"\n") + 1
    cut = [content[:n] for n in (0, 5, line, line + 1, len(content) // 2, len(content) - 1)]
    places = (*range(0, line, 29), *range(line, len(content), 131), len(content) - 1)
    changed = [content[:n] + bytes([content[n] ^ 1]) + content[n + 1 :] for n in places]
    return [*cut, content + b"0", *changed, b"not found"]


def test_a_damaged_pack_is_set_aside_and_made_anew(tmp_path, capsys):
    folder = tmp_path / "decoded"
    rows = drawn(tmp_path / "photographs", 4)
    whole = photographs.decoded(folder, "some", rows, SIDE).clone()
    (path,) = folder.glob("*.pack")
    content = path.read_bytes()
    for number, broken in enumerate(damage(content), 1):
        path.write_bytes(broken)
        assert torch.equal(photographs.decoded(folder, "some", rows, SIDE), whole)
        assert path.read_bytes() == content
        aside = f"{path.stem}.refused-{number}.pack"
        assert (folder / aside).read_bytes() == broken
        assert f"{path} is damaged; it is kept as {aside}" in capsys.readouterr().err


def test_of_a_large_pack_evenly_spaced_images_are_checked(tmp_path, monkeypatch):
    rows = drawn(tmp_path / "photographs", 40)
    photographs.decoded(tmp_path / "decoded", "some", rows, SIDE)
    monkeypatch.setattr(packs, "CHECKED", 10 * (3 * SIDE**2 + 4))
    checked = []
    plain = packs._are_sound
    monkeypatch.setattr(packs, "_are_sound", lambda rows: checked.append(len(rows)) or plain(rows))
    photographs.decoded(tmp_path / "decoded", "some", rows, SIDE)
    assert checked == [10]


@pytest.mark.slow
def test_two_processes_at_once_make_one_pack(tmp_path):
    folder = tmp_path / "decoded"
    rows = drawn(tmp_path / "photographs", 3 * packs.BLOCK)
    log = tmp_path / "log"
    both = [decoding(log, -1, folder, rows) for _ in range(2)]
    assert all(not process.communicate()[1].count(b"Traceback") for process in both)
    assert [process.returncode for process in both] == [0, 0]
    assert len(log.read_text()) == len(rows)
    assert [path.suffix for path in folder.glob("some*")] == [".pack"]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="limits of Linux")
def test_reading_takes_little_memory(tmp_path):
    """A process reads 120 MB that may take half of it: nothing holds the set, not for a moment."""
    colours = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)
    for part, n in (("train", 800), ("val", 4)):
        for i in range(n):
            path = tmp_path / "imagenet" / part / f"n{i % 2}" / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(colours[i % 2]).save(path)
    load_task("imagenet", tmp_path, size=224)
    # Of the process, not of its allocator: blocks go back to the system, and no thread has a stack.
    alone = os.environ | {"MALLOC_MMAP_THRESHOLD_": str(2**20), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", READING, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env=alone)
    assert done.stdout.split() == ["684", "3", "224", "224"], done.stderr


def test_statistics_are_those_of_all_pixels_at_once():
    """To the last bit, whatever the number of images that are read at a time."""
    generator = torch.Generator().manual_seed(0)
    for shape in ((700, 3, 5, 5), (300, 1, 28, 28), (40, 3, 32, 32)):
        bright = torch.rand(shape, generator=generator).pow(3).mul(256).to(torch.uint8)
        train = torch.randperm(len(bright), generator=generator)[: len(bright) // 2]
        mean, std = tasks._statistics(bright, train, "cpu")
        pixels = bright[train].double() / 255
        assert torch.equal(mean.flatten(), pixels.mean((0, 2, 3)).float())
        assert torch.equal(std.flatten(), pixels.std((0, 2, 3)).float())
