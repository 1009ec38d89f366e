"""Probes of networks and transfers: invariance, segments, drift, projections, and a network small enough to draw."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from trajtransfer.algorithms import Step, fgmt, moved
from trajtransfer.landscape import Interpolation
from trajtransfer.objective import evaluate, gradient, paired_gradients
from trajtransfer.paper import architectures
from trajtransfer.paper.datasets.tasks import Split, sample
from trajtransfer.paper.experiment import Pair, source_line
from trajtransfer.paper.networks import network, task, task_of
from trajtransfer.paper.settings import Setting
from trajtransfer.paper.training import train
from trajtransfer.params import Params, parameters
from trajtransfer.permutation import Permutation, PermutationSpec
from trajtransfer.schedules import uniform
from trajtransfer.tracing.trace import permutation_spec
from trajtransfer.trajectory import Line

Row = dict[str, Any]


def profile_rows(profiles: Mapping[str, Interpolation]) -> list[Row]:
    """Labelled profiles as tidy rows."""
    return [
        {"source": name, "position": position, "loss": at.loss, "accuracy": at.accuracy}
        for name, profile in profiles.items()
        for position, at in zip(profile.positions, profile.scores, strict=True)
    ]


def drift(setting: Setting, pair: Pair, steps: Sequence[Step], device: str) -> list[Row]:
    """How far each step s moved the earlier transferred points t = 1..s-1 (Lemma 3.2 says: little).

    `distance` is ``||pi_s(d_t) - pi_(s-1)(d_t)||`` with ``d_t = source[t] - source[0]``, `relative` the same over
    ``||d_t||``, `control` the distance for two random permutations, and `gradient_cosine` compares the gradients at the two
    points on B fixed samples, which is what the cache of FGMT relies on. Raises ``ValueError`` for fewer than two steps.
    """
    if len(steps) < 2:
        raise ValueError("the drift between steps needs at least two of them; set steps to 2 or more")
    source, target = (network(setting, seed, device) for seed in pair)
    line, generator = source_line(setting, source), torch.Generator().manual_seed(0)
    batch = next(sample(task_of(setting, device).train, setting.batch_size, generator))
    rows = []
    for before, after in pairwise(steps):
        for t in range(1, after.t):
            points = [moved(line, target.start, t, step.permutation) for step in (before, after)]
            a, b = (gradient(source.model, point, batch) for point in points)
            shift = line[t] - line[0]
            strangers = [Permutation.random(after.permutation.spec, generator)(shift) for _ in range(2)]
            distance = (points[1] - points[0]).norm()
            rows.append({
                "s": after.t, "t": t, "distance": distance, "relative": distance / shift.norm(),
                "control": (strangers[1] - strangers[0]).norm(), "gradient_cosine": (a @ b) / (a.norm() * b.norm()),
            })  # fmt: skip
    return rows


def projected(runs: Mapping[str, Sequence[Params]], first: str, second: str) -> list[Row]:
    """Displacements from their own starts, projected on the plane of the final displacements of two runs.

    The first axis points along the run `first`, the second along the part of `second` orthogonal to it.
    """
    ends = {name: run[-1] - run[0] for name, run in runs.items()}
    u = ends[first] * (1 / ends[first].norm())
    across = ends[second] - (ends[second] @ u) * u
    v = across * (1 / across.norm())
    return [
        {"trajectory": name, "t": t, "u": (x - run[0]) @ u, "v": (x - run[0]) @ v}
        for name, run in runs.items()
        for t, x in enumerate(run)
    ]


def output_changes(model: nn.Module, params: Params, spec: PermutationSpec, inputs: Tensor, count: int) -> list[Row]:
    """Largest change of any output (float64) under `count` random permutations, relative to the largest output.

    The control permutes one tensor alone, the first that moves, which is not a symmetry.
    """
    generator, exact = torch.Generator().manual_seed(0), params.to(torch.float64)
    network_ = copy.deepcopy(model).double()
    first = spec.places[next(iter(spec.sizes))][0][0]

    def outputs(at: Params) -> Tensor:
        return functional_call(network_, dict(at), (inputs.double(),)).detach()

    before, rows = outputs(exact), []
    for number in range(1, count + 1):
        pi = Permutation.random(spec, generator)
        changed = {"change": pi(exact), "control": exact | Params({first: pi.act(first, exact[first])})}
        sizes = {name: float((outputs(x) - before).abs().max() / before.abs().max()) for name, x in changed.items()}
        rows.append({"permutation": number, **sizes})
    return rows


class Pocket(NamedTuple):
    """A perceptron small enough to draw: its weights (``hidden.weight`` (n, 4), ``head.weight`` (3, n)), who each of the n
    hidden units is, and its validation accuracy as a fraction.
    """

    params: Params
    units: list[int]
    accuracy: float


def pocket_transfer(
    setting: Setting, pair: Pair, *, hidden: int, epochs: int, steps: int
) -> tuple[Permutation, dict[str, Pocket]]:
    """FGMT between two perceptrons with `hidden` units, on grey images of three classes averaged to 2x2 pixels.

    Returns the permutation, and by name the source before and after its training of `epochs` and the target before and
    after the transfer in `steps` steps; ``units`` of the target are those of the source whose movement they are given.
    """
    data, held_out = (_pocket_data(setting, split) for split in ("train", "validation"))
    models_ = [architectures.build("mlp", (1, 2, 2), 3, hidden, seed) for seed in pair]
    starts, recipe = [parameters(model) for model in models_], replace(setting.recipe, epochs=epochs)
    *_, trained = train(models_[0], data, recipe, seed=pair[0], name="pocket network")
    spec = permutation_spec(models_[0], data.tensors()[0][:2])
    batches = sample(data, setting.batch_size, torch.Generator().manual_seed(pair[0]))
    line = Line(starts[0], trained.params, uniform(steps))
    *_, last = fgmt(line, starts[1], spec, paired_gradients(models_[0], batches))
    same, given = list(range(hidden)), last.permutation.indices["hidden"].tolist()
    points = {"source, untrained": (starts[0], same), "source, trained": (trained.params, same)}
    points |= {"target, untrained": (starts[1], given), "target, transferred": (last.params, given)}
    networks = {n: Pocket(x, units, evaluate(models_[0], x, held_out).accuracy) for n, (x, units) in points.items()}
    return last.permutation, networks


def _pocket_data(setting: Setting, name: str) -> Split:
    split: Split = getattr(task(setting.dataset, (0, 1, 2), None, "cpu"), name)
    images = F.adaptive_avg_pool2d(split.images.float().mean(1, keepdim=True), 2).round().to(torch.uint8)
    flat = {"mean": torch.full((1, 1, 1), 0.5), "std": torch.ones(1, 1, 1)}
    return replace(split, pool=images, order=torch.arange(len(images)), **flat)
