"""What a transfer costs: gradient pairs and counted operations, and seconds of its parts (appendix D.3.4).

Shares of training are ratios of counted work. Seconds are the processor's, reported beside it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import torch

from trajtransfer.algorithms import METHODS, Step
from trajtransfer.matching.assignment import prepare
from trajtransfer.objective import paired_gradients
from trajtransfer.paper.datasets.tasks import sample
from trajtransfer.paper.experiment import Pair, source_line, specification
from trajtransfer.paper.networks import initialised, network, task_of
from trajtransfer.paper.settings import Setting
from trajtransfer.paper.training import train
from trajtransfer.paper.work import WORK, epoch_work, sample_operations, share_of_training, step_work
from trajtransfer.params import Params, parameters

Row = dict[str, Any]


def cost_rows(settings: Sequence[Setting], lengths: Sequence[int], pair: Pair, device: str) -> list[Row]:
    """`transfer_cost` of GMT and FGMT for each setting at each length T, beside the training of the target in full.

    The share of training is a ratio of counted work. Seconds are measured in this process, one thing after the other.
    """
    rows = []
    for setting in settings:
        training = _training_cost(setting, pair[1], device)
        for steps in lengths:
            for method in (name for name, one in METHODS.items() if one.knows == "gradients"):
                row = transfer_cost(replace(setting, steps=steps), method, pair, device)
                rows.append({"method": method} | share_of_training(row, training) | row | training)
    return rows


def _training_cost(setting: Setting, seed: int, device: str) -> Row:
    """Work and seconds of a whole training, from those of one epoch."""
    epoch = epoch_work(setting, initialised(setting, seed, device), device)
    epoch |= {"seconds": epoch_seconds(setting, seed, device)}
    return {f"{name} of training": value * setting.recipe.epochs for name, value in epoch.items()}


def precision_rows(settings: Sequence[Setting], seed: int, device: str) -> list[Row]:
    """What bfloat16 products do to training: seconds of an epoch and final validation accuracy, with and without."""
    rows = []
    for setting in settings:
        for products, chosen in (("float32", setting), ("bfloat16", setting.with_fast_training())):
            accuracy = network(chosen, seed, device).history[-1]["accuracy"]
            seconds = epoch_seconds(chosen, seed, device)
            rows.append({"network": setting.architecture, "width": setting.width, "products": products,
                         "seconds of an epoch": seconds, "accuracy": accuracy})  # fmt: skip
    return rows


def rounded(row: Row) -> Row:
    """A row for reading: seconds, shares and operations with three digits."""
    return {name: f"{value:.3g}" if isinstance(value, float) else value for name, value in row.items()}


def shares(rows: Sequence[Row]) -> list[Row]:
    """Which part of the time of each transfer went to gradients, to assignments and to the rest."""
    parts = ("gradients", "assignments", "the rest")
    about = ("method", "network", "width", "T", "gradient pairs", "sweeps")
    return [{n: row[n] for n in about} | {p: f"{row[f'seconds of {p}'] / row['seconds']:.0%}" for p in parts} for row in rows]


def transfer_cost(setting: Setting, method: str, pair: Pair, device: str) -> Row:
    """Work and seconds of one transfer; seconds in total, of gradients, of assignments, and of the rest (products)."""
    prepare()
    source, model = network(setting, pair[0], device), initialised(setting, pair[1], device)
    spec = specification(setting, model, device)
    batches = sample(task_of(setting, device).train, setting.batch_size, torch.Generator().manual_seed(pair[0]))
    compute, gradients = paired_gradients(model, batches), 0.0

    def timed(target_point: Params, source_point: Params) -> tuple[Params, Params]:
        """Both gradients, their time added up."""
        nonlocal gradients
        clock = time.process_time()
        found = compute(target_point, source_point)
        _synchronize(device)
        gradients += time.process_time() - clock
        return found

    order = torch.Generator().manual_seed(pair[0])
    clock = time.process_time()
    steps = list(METHODS[method].steps(source_line(setting, source), parameters(model), spec, timed, generator=order))
    _synchronize(device)
    total = time.process_time() - clock
    matchings = [step.matching for step in steps if step.matching]
    solver = sum(m.solver_seconds for m in matchings)
    work = _work(setting, sample_operations(setting, model, device), steps)
    return {
        "method": method, "network": setting.architecture, "width": setting.width, "T": setting.steps,
        "gradient pairs": steps[-1].gradient_pairs, "sweeps": sum(len(m.objective) - 1 for m in matchings), **work,
        "seconds": total, "seconds of gradients": gradients, "seconds of assignments": solver,
        "seconds of the rest": total - gradients - solver,
    }  # fmt: skip


def _work(setting: Setting, each: int, steps: Sequence[Step]) -> Row:
    """The `step_work` of all steps."""
    found = [step_work(setting, each, *both) for both in zip(steps, (None, *steps), strict=False)]
    return {name: sum(row[name] for row in found) for name in WORK}


def epoch_seconds(setting: Setting, seed: int, device: str) -> float:
    """Processor seconds of one epoch of training, from the median of three measurements over at most 100 mini-batches each."""
    model, data = initialised(setting, seed, device), task_of(setting, device).train
    part = data.subset(torch.arange(min(len(data), 100 * setting.recipe.batch_size)))
    seconds = []
    for _ in range(3):
        clock = time.process_time()
        list(islice(train(model, part, replace(setting.recipe, warmup_epochs=0), seed=seed, name=setting.name), 1))
        _synchronize(device)
        seconds.append(time.process_time() - clock)
    return sorted(seconds)[1] * len(data) / len(part)


def _synchronize(device: str) -> None:
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)
