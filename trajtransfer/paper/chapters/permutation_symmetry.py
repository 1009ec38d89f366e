"""The symmetry of a network under permutations of its hidden units (section 2, Figure 1)."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from trajtransfer.algorithms import fgmt
from trajtransfer.landscape import Interpolation
from trajtransfer.objective import evaluate, paired_gradients
from trajtransfer.paper import architectures
from trajtransfer.paper.datasets.tasks import Split, sample
from trajtransfer.paper.lab import Lab
from trajtransfer.paper.networks import task
from trajtransfer.paper.seeds import Seeds
from trajtransfer.paper.training import train
from trajtransfer.params import Params, parameters
from trajtransfer.permutation import Permutation, PermutationSpec
from trajtransfer.schedules import uniform
from trajtransfer.tracing.trace import permutation_spec
from trajtransfer.trajectory import Line

Row = dict[str, Any]


def profile_rows(profiles: Mapping[str, Interpolation]) -> pd.DataFrame:
    """Labelled interpolations as tidy rows."""
    rows = []
    for name, profile in profiles.items():
        for position, at in zip(profile.positions, profile.scores, strict=True):
            about = {"source": name, "position": position}
            rows.append(about | {"loss": at.loss, "accuracy": at.accuracy})
    return pd.DataFrame(rows)


def output_changes(
    model: nn.Module, params: Params, spec: PermutationSpec, inputs: Tensor, count: int
) -> pd.DataFrame:
    """Largest change of an output (float64) under random permutations, over the largest output.

    The control permutes one tensor alone, the first that moves, which is not a symmetry.
    """
    generator = torch.Generator().manual_seed(0)
    exact = params.to(torch.float64)
    network = copy.deepcopy(model).double()
    first, _ = spec.places[next(iter(spec.sizes))][0]

    def outputs(at: Params) -> Tensor:
        return functional_call(network, dict(at), (inputs.double(),)).detach()

    before = outputs(exact)
    rows = []
    for number in range(1, count + 1):
        pi = Permutation.random(spec, generator)
        alone = exact | Params({first: pi.act(first, exact[first])})
        row: Row = {"permutation": number}
        for name, point in (("change", pi(exact)), ("control", alone)):
            row[name] = float((outputs(point) - before).abs().max() / before.abs().max())
        rows.append(row)
    return pd.DataFrame(rows)


class Pocket(NamedTuple):
    """A perceptron small enough to draw.

    Its weights (``hidden.weight`` (n, 4), ``head.weight`` (3, n)), who each of the n hidden units
    is, and its validation accuracy as a fraction.
    """

    params: Params
    units: list[int]
    accuracy: float

    def weights(self) -> list[Row]:
        """Every weight with its layer, both ends, and who its hidden unit is."""
        rows: list[Row] = []
        for layer, axis in (("hidden", 0), ("head", 1)):
            for (to, start), weight in np.ndenumerate(self.params[f"{layer}.weight"].numpy()):
                unit = self.units[(to, start)[axis]]
                ends = {"layer": layer, "from": str(start), "to": str(to), "unit": unit}
                rows.append(ends | {"weight": float(weight)})
        return rows


class Walk(NamedTuple):
    """Two pocket networks along a transfer, at t = 0..T, and the permutation found at the end."""

    permutation: Permutation
    source: list[Pocket]
    target: list[Pocket]

    def ends(self) -> dict[str, Pocket]:
        """The first and last network of both, by name."""
        return {
            "source, untrained": self.source[0],
            "source, trained": self.source[-1],
            "target, untrained": self.target[0],
            "target, transferred": self.target[-1],
        }

    def rows(self) -> pd.DataFrame:
        """A row per weight: its step, network and ends, and the hidden unit that it belongs to."""
        rows = []
        for network, pockets in (("source", self.source), ("target", self.target)):
            for t, pocket in enumerate(pockets):
                about = {"network": network, "t": t, "accuracy": pocket.accuracy}
                rows += [about | weight for weight in pocket.weights()]
        return pd.DataFrame(rows)


def pocket_transfer(lab: Lab, seeds: Seeds, *, hidden: int, epochs: int, steps: int) -> Walk:
    """FGMT between two perceptrons with `hidden` units, on images of three classes at 2x2 pixels.

    The source is trained for `epochs`, and the target moved in `steps` steps; ``units`` of the
    target are those of the source whose movement they are given at the last of them.
    """
    data = _pocket_data(lab, "train")
    held_out = _pocket_data(lab, "validation")
    models = [architectures.build("mlp", (1, 2, 2), 3, hidden, seed) for seed in seeds]
    source, target = (parameters(model) for model in models)
    recipe = replace(lab.setting.recipe, epochs=epochs)
    *_, trained = train(models[0], data, recipe, seed=seeds.source, name="pocket network")
    spec = permutation_spec(models[0], data.tensors()[0][:2])
    order = torch.Generator().manual_seed(seeds.source)
    gradients = paired_gradients(models[0], sample(data, lab.setting.batch_size, order))
    line = Line(source, trained.params, uniform(steps))
    moves = list(fgmt(line, target, spec, gradients))
    found = moves[-1].permutation

    def pocket(point: Params, units: list[int]) -> Pocket:
        return Pocket(point, units, evaluate(models[0], point, held_out).accuracy)

    sources = [pocket(point, list(range(hidden))) for point in line]
    given = found.indices["hidden"].tolist()
    targets = [pocket(point, given) for point in (target, *(step.params for step in moves))]
    return Walk(found, sources, targets)


def _pocket_data(lab: Lab, name: str) -> Split:
    split: Split = getattr(task(lab.setting.dataset, (0, 1, 2), None, "cpu"), name)
    grey = split.images.float().mean(1, keepdim=True)
    images = F.adaptive_avg_pool2d(grey, 2).round().to(torch.uint8)
    flat = {"mean": torch.full((1, 1, 1), 0.5), "std": torch.ones(1, 1, 1)}
    return replace(split, pool=images, order=torch.arange(len(images)), **flat)
