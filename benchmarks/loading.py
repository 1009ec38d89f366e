"""A folder of JPEG files as mini-batches: packed, against what loops usually do.

All give normalised float32 images of side 224 in random order; what a GPU is handed, which
normalises by itself, has a row of its own.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from benchmarks.measure import Row, in_turn, rows
from trajtransfer.paper._torchvision import torchvision
from trajtransfer.paper.datasets.tasks import Split, Task, load_task

SIDE = 224
BATCH = 256
CLASSES = 10
DISTINCT = 50  # photographs; the others are the same files under other names
TEST = 50
WORKERS = 2


def draw(folder: Path, n: int) -> None:
    """JPEG files of some 256 x 256 pixels in a folder for each class."""
    rng = np.random.default_rng(0)
    paths = [folder / str(i % CLASSES) / f"{i:05d}.jpg" for i in range(n)]
    for path, first in zip(paths, paths[:DISTINCT] * n, strict=False):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path == first:
            photograph(rng).save(path, quality=90)
        else:
            path.hardlink_to(first)


def photograph(rng: np.random.Generator) -> Image.Image:
    """Smooth colours under the noise of a camera."""
    width, height = rng.integers(240, 273, 2).tolist()
    colours = Image.fromarray(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8))
    smooth = np.asarray(colours.resize((width, height), Image.Resampling.BICUBIC))
    noisy = smooth + rng.normal(0, 6, smooth.shape)
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


class Photographs(Dataset):
    """As most scripts have it: a photograph is decoded whenever it is asked for."""

    def __init__(self, folder: Path):
        self.paths = sorted(folder.glob("*/*.jpg"))

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        path = self.paths[i]
        with Image.open(path) as image:
            return prepared()(image.convert("RGB")), int(path.parent.name)


@cache
def prepared() -> Callable[[Image.Image], Tensor]:
    known = torchvision.transforms
    normalised = known.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    steps = [known.Resize(SIDE), known.CenterCrop(SIDE), known.ToTensor(), normalised]
    return known.Compose(steps)


def workers(photographs: Photographs) -> DataLoader:
    """PyTorch's loader; its processes are there before an epoch begins, and stay."""
    loader = DataLoader(
        photographs,
        BATCH,
        shuffle=True,
        num_workers=WORKERS,
        persistent_workers=True,
        multiprocessing_context="spawn",
    )
    for _ in loader:
        break
    return loader


def whole(task: Task) -> Split:
    """All training images of a folder, those that are held out too."""
    parts = (task.train, task.validation, task.selection)
    order = torch.cat([part.order for part in parts])
    return replace(task.train, order=order, labels=torch.cat([part.labels for part in parts]))


def drawn(data: Split) -> Iterator[Split]:
    """The batches of an epoch, as `train` draws them."""
    for indices in torch.randperm(len(data)).split(BATCH):
        yield data.subset(indices)


def epochs(photographs: Photographs, data: Split) -> dict[str, Callable[[], None]]:
    """An epoch of each way."""
    loader = workers(photographs)

    def simple() -> None:
        for indices in torch.randperm(len(photographs)).split(BATCH):
            torch.stack([photographs[int(i)][0] for i in indices])

    def loaded() -> None:
        for _ in loader:
            pass

    def packed() -> None:
        for batch in drawn(data):
            batch.tensors()

    def handed() -> None:
        for batch in drawn(data):
            _ = batch.images

    return {
        "simplest loop": simple,
        f"DataLoader, {WORKERS} workers": loaded,
        "packed": packed,
        "packed, as bytes": handed,
    }


def compare(root: Path, n: int, repeats: int) -> list[Row]:
    """Seconds per epoch, and of the packing before the first one."""
    for part, size in (("train", n), ("val", TEST)):
        draw(root / "imagenet" / part, size)
    prepared()  # torchvision takes two seconds to import
    clock = time.perf_counter()
    data = whole(load_task("imagenet", root, size=SIDE))
    packing = time.perf_counter() - clock
    ways = epochs(Photographs(root / "imagenet" / "train"), data)
    seconds = {"packing, once": [packing], **in_turn(ways, repeats)}
    table = rows("loading", f"{n} photographs", seconds, "simplest loop")
    return [row | {"images per second": n / row["seconds"]} for row in table]


def run(smoke: bool) -> list[Row]:
    """A folder of 20,000 photographs."""
    with tempfile.TemporaryDirectory() as folder:
        return compare(Path(folder), *((200, 1) if smoke else (20_000, 3)))
