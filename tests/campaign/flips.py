"""Bits that are flipped in every kind of file that is read back."""

from __future__ import annotations

import random
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from tests.campaign.small import small
from tests.campaign.tally import Tally, home
from tests.folders import ROOT
from trajtransfer.paper import checkpoints, networks
from trajtransfer.paper.datasets import tasks
from trajtransfer.paper.storage import results
from trajtransfer.paper.storage.documents import DocumentError
from trajtransfer.paper.storage.project import RunError
from trajtransfer.paper.units import kept

ROWS = [{"pair": "1-2", "t": t, "accuracy": t / 7} for t in range(20)]


def flipped(content: bytes, chance: random.Random, until: int | None = None) -> bytes:
    """Some bytes with one bit changed, among the first `until`."""
    changed = bytearray(content)
    changed[chance.randrange(until or len(content))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def flips_in_checkpoints(folder: Path, chance: random.Random, flips: int) -> Tally:
    """Every second one in the header with its history and identity."""
    tally = Tally("bits flipped: checkpoints")
    chosen = replace(small(), width=2)
    with home(folder):
        whole = networks.network(chosen, 1)
        place = networks._place(chosen, chosen.training(), chosen.recipe, 1, "cpu")
    path = place.folder / "checkpoint.safetensors"
    content = path.read_bytes()
    header = 8 + int.from_bytes(content[:8], "little")
    for number in range(flips):
        path.write_bytes(flipped(content, chance, header if number % 2 else None))
        try:
            found, history = checkpoints.load(path, whole.model, "cpu", place.identity)
            same = checkpoints.checksum(found.params) == checkpoints.checksum(whole.end)
            same = same and history == whole.history
        except checkpoints.CheckpointError:
            same = True
        tally.add(same, f"flip {number}")
    return tally


def flips_in_units(folder: Path, chance: random.Random, flips: int) -> Tally:
    """A table that is kept is made anew when it is not as it was written, or read as it was."""
    tally = Tally("bits flipped: units of work")
    address = {"setting": "small", "pair": "1-2"}
    with home(folder):
        kept("rows", address, lambda: ROWS)
        (path,) = folder.rglob("table.json")
        for number in range(flips):
            path.write_bytes(flipped(path.read_bytes(), chance))
            found = kept("rows", address, lambda: ROWS)
            again = kept("rows", address, lambda: None)
            tally.add(found.content == again.content == ROWS, f"flip {number}")
    return tally


def flips_in_results(folder: Path, chance: random.Random, flips: int) -> Tally:
    """In notebooks, records, tables and the listing of executed results."""
    tally = Tally("bits flipped: listing, records, notebooks, tables")
    source = ROOT / "tests" / "reference"
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns(".*"))
    listing, before = results.read(folder)
    files = sorted(name for made in listing.runs.values() for name in made.files)
    for number in range(flips):
        path = folder / ("results.json" if number % 4 == 0 else chance.choice(files))
        content = path.read_bytes()
        path.write_bytes(flipped(content, chance))
        try:
            same = results.read(folder) == (listing, before) and path.suffix == ".json"
        except (DocumentError, RunError):
            same = True
        tally.add(same, f"flip {number} in {path.name}")
        path.write_bytes(content)
    return tally


def flips_in_data(folder: Path, chance: random.Random, flips: int) -> Tally:
    """Decoded photographs are decoded again."""
    tally = Tally("bits flipped: data sets")
    _draw_images(folder / "imagenet")
    before = tasks.load_task("imagenet", folder, size=8).checksum
    (path,) = (folder / "decoded").glob("imagenet-train-8-*.pack")
    content = path.read_bytes()
    for number in range(flips):
        path.write_bytes(flipped(content, chance, 128 if number % 2 else None))
        found = tasks.load_task("imagenet", folder, size=8).checksum
        tally.add(found == before and path.read_bytes() == content, f"flip {number}")
    return tally


def _draw_images(folder: Path) -> None:
    """Forty small images of two classes."""
    for number in range(40):
        part = "train" if number < 32 else "val"
        path = folder / part / f"n{number % 2}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (9, 9, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
