"""Training against the best simple loop: normalised images in memory, no loader."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.measure import Row, in_turn, rows
from benchmarks.networks import task
from trajtransfer.paper.architectures import build
from trajtransfer.paper.datasets.tasks import Split
from trajtransfer.paper.recipe import Recipe
from trajtransfer.paper.training import train


def simple(model: nn.Module, data: Split, recipe: Recipe) -> Iterator[None]:
    """One epoch per item."""
    model = copy.deepcopy(model)
    model.to(memory_format=torch.channels_last)
    inputs, labels = data.tensors()
    inputs = inputs.contiguous(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=recipe.lr, momentum=recipe.momentum)
    while True:
        for indices in torch.randperm(len(labels)).split(recipe.batch_size):
            optimizer.zero_grad()
            F.cross_entropy(model(inputs[indices]), labels[indices]).backward()
            optimizer.step()
        yield


def compare(
    architecture: str, width: float, images: int, size: int | None = None, epochs: int = 3
) -> list[Row]:
    """Seconds per epoch."""
    chosen = task(size)
    data = chosen.train.subset(torch.arange(min(images, len(chosen.train))))
    model = build(architecture, chosen.shape, 10, width, seed=0)
    recipe = Recipe(epochs=epochs + 1, lr=0.01)
    fast = replace(recipe, fast=True)
    loops: dict[str, Iterator[object]] = {
        "simple loop": simple(model, data, recipe),
        "train": train(model, data, recipe, seed=0, name="benchmark"),
        "train, fast": train(model, data, fast, seed=0, name="benchmark"),
    }
    for loop in loops.values():
        next(loop)  # the first epoch pays for memory
    seconds = in_turn({name: loop.__next__ for name, loop in loops.items()}, epochs)
    about = f"{architecture}, width {width:g}, {len(data)} images"
    return rows("training", about, seconds, "simple loop")


def run(smoke: bool) -> list[Row]:
    """Seconds per epoch of the paper's networks."""
    if smoke:
        return compare("mlp", 256, 3000)
    table = []
    for width in (512, 1024, 4096):
        table += compare("mlp", width, 60_000)
    table += compare("conv8", 0.25, 4000, size=32)
    table += compare("resnet18", 1, 640, size=32)
    return table
