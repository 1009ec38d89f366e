"""What a transfer costs: gradient pairs, counted operations, seconds (appendix D.3.4).

Shares of training are ratios of counted work. Seconds are the processor's, reported beside it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice, product
from typing import Any

import pandas as pd
import torch

from trajtransfer.algorithms import METHODS, Gradients, Step
from trajtransfer.matching.assignment import prepare
from trajtransfer.paper.lab import Lab
from trajtransfer.paper.seeds import Seeds
from trajtransfer.paper.training import train
from trajtransfer.paper.unit_of_work import contents
from trajtransfer.paper.work import WORK, epoch_work, share_of_training, step_work
from trajtransfer.params import Params

PARTS = ("gradients", "assignments", "the rest")
Row = dict[str, Any]


def costs(labs: Sequence[Lab], lengths: Sequence[int], seeds: Seeds) -> pd.DataFrame:
    """The `transfer_cost` of GMT and FGMT in each setting at each length T, beside training.

    The share of training is a ratio of counted work. Seconds are measured in this process, one
    thing after the other.
    """
    trainings = contents([lab.unit(training_cost, seeds.target) for lab in labs])
    methods = [name for name, one in METHODS.items() if one.knows == "gradients"]
    wanted = list(product(zip(labs, trainings, strict=True), lengths, methods))
    units = []
    for (lab, _), steps, method in wanted:
        shorter = lab.of(replace(lab.setting, steps=steps))
        units.append(shorter.unit(transfer_cost, method, seeds))
    rows = []
    for ((_, training), _, method), row in zip(wanted, contents(units), strict=True):
        rows.append({"method": method} | share_of_training(row, training) | row | training)
    return pd.DataFrame(rows)


def training_cost(lab: Lab, seed: int) -> Row:
    """Work and seconds of a whole training, from those of one epoch."""
    epoch = epoch_work(len(lab.task.train), lab.sample_operations)
    epoch |= {"seconds": epoch_seconds(lab, seed)}
    epochs = lab.setting.recipe.epochs
    return {f"{name} of training": value * epochs for name, value in epoch.items()}


def transfer_cost(lab: Lab, method: str, seeds: Seeds) -> Row:
    """Work and seconds of a transfer: in total, of gradients, of assignments, of the rest."""
    prepare()
    line = lab.line(seeds.source)
    start = lab.start(seeds.target)
    spec = lab.spec
    gradients = _Timed(lab.gradients(seeds.source), lab.device)
    order = torch.Generator().manual_seed(seeds.source)
    clock = time.process_time()
    steps = list(METHODS[method].steps(line, start, spec, gradients, generator=order))
    _synchronize(lab.device)
    total = time.process_time() - clock
    matchings = [step.matching for step in steps if step.matching]
    solver = sum(matching.solver_seconds for matching in matchings)
    return {
        "method": method,
        "network": lab.setting.architecture,
        "width": lab.setting.width,
        "T": lab.setting.steps,
        "gradient pairs": steps[-1].gradient_pairs,
        "sweeps": sum(len(matching.objective) - 1 for matching in matchings),
        **_work(lab, steps),
        "seconds": total,
        "seconds of gradients": gradients.seconds,
        "seconds of assignments": solver,
        "seconds of the rest": total - gradients.seconds - solver,
    }


class _Timed:
    """A function that computes pairs of gradients, its time added up."""

    def __init__(self, gradients: Gradients, device: str):
        self.gradients = gradients
        self.device = device
        self.seconds = 0.0

    def __call__(self, target: Params, source: Params) -> tuple[Params, Params]:
        clock = time.process_time()
        found = self.gradients(target, source)
        _synchronize(self.device)
        self.seconds += time.process_time() - clock
        return found


def _work(lab: Lab, steps: Sequence[Step]) -> Row:
    """The `step_work` of all steps."""
    total = dict.fromkeys(WORK, 0)
    before = None
    for step in steps:
        work = step_work(lab.setting.batch_size, lab.sample_operations, step, before)
        total = {name: total[name] + work[name] for name in WORK}
        before = step
    return total


def precision(labs: Sequence[Lab], seed: int) -> pd.DataFrame:
    """What bfloat16 products do to training: seconds of an epoch and final validation accuracy."""
    units = []
    rows = []
    for lab in labs:
        fast = lab.of(lab.setting.with_fast_training())
        for products, chosen in (("float32", lab), ("bfloat16", fast)):
            units.append(chosen.unit(speed_and_accuracy, seed))
            about = {"network": lab.setting.architecture, "width": lab.setting.width}
            rows.append(about | {"products": products})
    return pd.DataFrame([row | found for row, found in zip(rows, contents(units), strict=True)])


def speed_and_accuracy(lab: Lab, seed: int) -> Row:
    """Seconds of an epoch, and the validation accuracy at the end of training."""
    accuracy = lab.network(seed).history[-1]["accuracy"]
    return {"seconds of an epoch": epoch_seconds(lab, seed), "accuracy": accuracy}


def shares(costs: pd.DataFrame) -> pd.DataFrame:
    """Which part of the time of each transfer went to gradients, to assignments and to the rest."""
    about = costs[["method", "network", "width", "T", "gradient pairs", "sweeps"]]
    parts = {}
    for part in PARTS:
        share = costs[f"seconds of {part}"] / costs["seconds"]
        parts[part] = [f"{value:.0%}" for value in share]
    return about.assign(**parts)


def epoch_seconds(lab: Lab, seed: int) -> float:
    """Processor seconds of one epoch: the median of three measurements over 100 batches."""
    data = lab.task.train
    recipe = replace(lab.setting.recipe, warmup_epochs=0)
    part = data.subset(torch.arange(min(len(data), 100 * recipe.batch_size)))
    model = lab.initialised(seed)
    seconds = []
    for _ in range(3):
        clock = time.process_time()
        list(islice(train(model, part, recipe, seed=seed, name=lab.setting.name), 1))
        _synchronize(lab.device)
        seconds.append(time.process_time() - clock)
    return sorted(seconds)[1] * len(data) / len(part)


def _synchronize(device: str) -> None:
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)
