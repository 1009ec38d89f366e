"""Networks and real gradients for benchmarks, made on the fly from Fashion-MNIST, or from MNIST-5k where it is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import torch

import trajtransfer as tt
from trajtransfer.paper.architectures import build
from trajtransfer.paper.datasets.sources import MissingDataError
from trajtransfer.paper.datasets.tasks import Task, load_task, sample
from trajtransfer.paper.training import Recipe, train


@cache
def task(size: int | None = None) -> Task:
    """The data set, announced on the terminal when it is not Fashion-MNIST."""
    try:
        return load_task("fashion-mnist", Path("data"), size=size)
    except MissingDataError:
        print("Fashion-MNIST is missing: benchmarks use the 4,500 images of MNIST-5k, and epochs are shorter")
        return load_task("mnist-5k", Path("data"), size=size)


class Case:
    """Two initialisations of an architecture, and the first one after training on `images` images."""

    def __init__(self, architecture: str, width: float, images: int, size: int | None = None):
        self.data, self.selection = task(size).train, task(size).selection
        self.source, self.target = (build(architecture, task(size).shape, 10, width, seed) for seed in (1, 2))
        self.spec = tt.permutation_spec(self.source, self.data.subset(torch.arange(2)).tensors()[0])
        few = self.data.subset(torch.arange(min(images, len(self.data))))
        *_, end = train(self.source, few, Recipe(epochs=1, lr=0.01, batch_size=64), seed=0, name=architecture)
        self.start, self.end = tt.parameters(self.source), end.params

    def line(self, steps: int) -> tt.Line:
        return tt.Line(self.start, self.end, tt.uniform(steps))

    def gradients(self, batch: int = 128) -> Callable[[tt.Params, tt.Params], tuple[tt.Params, tt.Params]]:
        return tt.paired_gradients(self.source, sample(self.data, batch, torch.Generator().manual_seed(0)))

    def pairs(self, count: int, batch: int = 128) -> Iterator[tuple[tt.Params, tt.Params]]:
        """Gradients at the target's start and along the source's line."""
        gradients, line, target = self.gradients(batch), self.line(count), tt.parameters(self.target)
        return (gradients(target, line[t]) for t in range(count))


def mlp(width: int, images: int = 60_000) -> Case:
    """The paper's first network."""
    return Case("mlp", width, images)
