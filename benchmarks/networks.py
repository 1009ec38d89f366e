"""Networks and real gradients for benchmarks, made on the fly from Fashion-MNIST or MNIST-5k."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import torch

import trajtransfer as tt
from trajtransfer.matching.gains import VectorPair
from trajtransfer.paper.architectures import build
from trajtransfer.paper.datasets.errors import MissingDataError
from trajtransfer.paper.datasets.tasks import Task, load_task, sample
from trajtransfer.paper.recipe import Recipe
from trajtransfer.paper.training import train

DATA = Path("data")


@cache
def task(size: int | None = None) -> Task:
    """The data set, announced on the terminal when it is not Fashion-MNIST."""
    try:
        return load_task("fashion-mnist", DATA, size=size)
    except MissingDataError:
        print(
            "Fashion-MNIST is missing: benchmarks use the 4,500 images of MNIST-5k, and epochs "
            "are shorter"
        )
        return load_task("mnist-5k", DATA, size=size)


class Case:
    """Two initialisations of an architecture, and the first one after training on some images."""

    def __init__(self, architecture: str, width: float, images: int, size: int | None = None):
        chosen = task(size)
        self.data = chosen.train
        self.selection = chosen.selection
        self.source = build(architecture, chosen.shape, 10, width, seed=1)
        self.target = build(architecture, chosen.shape, 10, width, seed=2)
        self.spec = tt.permutation_spec(self.source, self.examples())
        few = self.data.subset(torch.arange(min(images, len(self.data))))
        recipe = Recipe(epochs=1, lr=0.01, batch_size=64)
        (end,) = train(self.source, few, recipe, seed=0, name=architecture)
        self.start = tt.parameters(self.source)
        self.end = end.params

    def examples(self) -> torch.Tensor:
        inputs, _ = self.data.subset(torch.arange(2)).tensors()
        return inputs

    def line(self, steps: int) -> tt.Line:
        return tt.Line(self.start, self.end, tt.uniform(steps))

    def gradients(self, batch: int = 128) -> Callable[[tt.Params, tt.Params], VectorPair]:
        batches = sample(self.data, batch, torch.Generator().manual_seed(0))
        return tt.paired_gradients(self.source, batches)

    def pairs(self, count: int, batch: int = 128) -> Iterator[VectorPair]:
        """Gradients at the target's start and along the source's line."""
        gradients = self.gradients(batch)
        line = self.line(count)
        target = tt.parameters(self.target)
        return (gradients(target, line[t]) for t in range(count))


def mlp(width: int, images: int = 60_000) -> Case:
    """The paper's first network."""
    return Case("mlp", width, images)
