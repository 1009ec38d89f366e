"""Experiments of the paper: transfer between the networks of a setting, as tidy rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from functools import partial
from statistics import fmean, median
from typing import Any

import torch
from torch import nn

from trajtransfer.algorithms import METHODS, Step, Trajectory
from trajtransfer.matching.assignment import prepare
from trajtransfer.objective import Score, evaluate, paired_gradients, running_statistics
from trajtransfer.paper.datasets.tasks import sample
from trajtransfer.paper.networks import Network, network, recorded, task_of
from trajtransfer.paper.settings import Setting
from trajtransfer.paper.storage.progress import progress
from trajtransfer.paper.work import WORK, epoch_work, sample_operations, share_of_training, step_work
from trajtransfer.params import Params
from trajtransfer.permutation import PermutationSpec
from trajtransfer.schedules import SCHEDULES
from trajtransfer.tracing.trace import check_invariance, permutation_spec
from trajtransfer.trajectory import Line

TRAJECTORIES = ("recorded", "linear, uniform", "linear, cosine")
SEEDS = 2**43  # each epoch draws from a seed of its own, about a million times larger, which must fit into 63 bits
Pair = tuple[int, int]
Row = dict[str, Any]


def parse_pairs(text: str) -> list[Pair]:
    """Seed pairs such as ``"1-2, 3-4"`` (source-target). Raises ``ValueError`` for malformed or equal seeds."""
    try:
        pairs = [(int(a), int(b)) for a, b in (item.split("-") for item in text.split(","))]
    except ValueError as error:
        raise ValueError(f"pairs={text!r} is not of the form '1-2, 3-4' (source seed, hyphen, target seed)") from error
    for a, b in pairs:
        if a == b:
            raise ValueError(f"seed pair {a}-{b}: source and target are the same run; give two different seeds")
        if max(a, b) >= SEEDS:
            raise ValueError(f"seed pair {a}-{b}: seeds are whole numbers below {SEEDS}")
    if len(set(pairs)) < len(pairs):
        raise ValueError(f"pairs={text!r} names a pair twice")
    return pairs


def parse_pair(text: str) -> Pair:
    """The only pair of a text such as ``"1-2"``. Raises ``ValueError`` for several."""
    pairs = parse_pairs(text)
    if len(pairs) > 1:
        raise ValueError(f"pair={text!r} names {len(pairs)} pairs; this notebook follows one")
    return pairs[0]


def transfer_steps(
    setting: Setting, method: str, line: Trajectory, target: Network, device: str, seed: int, sweeps: int = 100
) -> Iterator[Step]:
    """The steps of one method along a source trajectory to a network of a setting.

    `seed` draws mini-batches and orders; `sweeps` bounds those of each match of GMT and FGMT.
    """
    if method not in METHODS:
        raise ValueError(f"unknown method {method!r}; known: {', '.join(METHODS)}")
    prepare()
    chosen = METHODS[method]
    data, spec = task_of(setting, device), specification(setting, target.model, device)
    order = torch.Generator().manual_seed(seed)
    if chosen.knows == "nothing":
        return chosen.steps(line, target.start, spec)
    if chosen.knows == "end":
        return chosen.steps(line, target.start, spec, target.end, generator=order)
    batches = sample(data.train, setting.batch_size, torch.Generator().manual_seed(seed))
    gradients = paired_gradients(target.model, batches)
    return chosen.steps(line, target.start, spec, gradients, generator=order, max_sweeps=sweeps)


def source_line(setting: Setting, source: Network) -> Line:
    """The linear trajectory of a source network at the times of its setting."""
    return Line(source.start, source.end, SCHEDULES[setting.schedule](setting.steps))


def specification(setting: Setting, model: nn.Module, device: str) -> PermutationSpec:
    """The specification of a model of this setting, checked for invariance."""
    examples = task_of(setting, device).train.subset(torch.arange(2)).tensors()[0]
    spec = permutation_spec(model, examples)
    check_invariance(model, spec, examples, torch.Generator().manual_seed(0))
    return spec


def scores(setting: Setting, model: nn.Module, params: Params, device: str, splits: Sequence[str]) -> list[Score]:
    """Loss and accuracy on some splits, with running statistics re-estimated from B' training samples where there are any."""
    data = task_of(setting, device)
    if setting.statistics:
        some = next(sample(data.train, setting.statistics, torch.Generator().manual_seed(0)))
        params = params | running_statistics(model, params, some)
    return [evaluate(model, params, getattr(data, split)) for split in splits]


def parse_methods(text: str) -> list[str]:
    """Methods such as ``"naive, fgmt"``. Raises ``ValueError`` for an unknown one."""
    methods = [method.strip() for method in text.split(",")]
    unknown = [method for method in methods if method not in METHODS]
    if len(set(methods)) < len(methods):
        raise ValueError(f"methods={text!r} names a method twice")
    if unknown:
        raise ValueError(f"unknown methods {unknown}; known: {', '.join(METHODS)}")
    return methods


def scorer(setting: Setting, model: nn.Module, device: str) -> Callable[[Params], Score]:
    """The score on the validation split as a function of the point, for `landscape`."""
    return lambda params: scores(setting, model, params, device, ["validation"])[0]


def follow(
    setting: Setting, method: str, pair: Pair, device: str, *, line: Trajectory | None = None, sweeps: int = 100
) -> Iterator[tuple[Step, Row]]:
    """Transfer by one method between the networks of two seeds (source, target): each step with its tidy row.

    `line` is the source trajectory (default: the linear one of the setting). Accuracies are fractions; `agreement`
    is the matching objective over its bound and `agreement_identity` the same without a permutation; `samples`,
    `GFLOP` and `assignments` are the `step_work`, and `seconds` the processor time of the step alone, evaluation excluded.
    """
    target = network(setting, pair[1], device)
    line = source_line(setting, network(setting, pair[0], device)) if line is None else line
    steps = transfer_steps(setting, method, line, target, device, pair[0], sweeps)
    name, before = f"{pair[0]}-{pair[1]}", None
    each = sample_operations(setting, target.model, device)
    for step, seconds in progress(_timed(steps), f"{method} {name}", total=len(line) - 1):
        validation, selection = scores(setting, target.model, step.params, device, ["validation", "selection"])
        yield step, {
            "pair": name, "method": method, "t": step.t,
            "accuracy": validation.accuracy, "loss": validation.loss, "selection_accuracy": selection.accuracy,
            "agreement": step.matching and step.matching.objective[-1] / step.matching.bound,
            "agreement_identity": step.matching and step.matching.objective[0] / step.matching.bound,
            "gradient_pairs": step.gradient_pairs, **step_work(setting, each, step, before), "seconds": seconds,
        }  # fmt: skip
        before = step


def transfer_pair(setting: Setting, methods: Sequence[str], device: str, pair: Pair) -> list[Row]:
    """The rows of `follow` for each method."""
    return [row for method in methods for _, row in follow(setting, method, pair, device)]


def transfer_pairs(
    setting: Setting, pairs: Sequence[Pair], methods: Sequence[str], device: str, executor: Executor | None = None
) -> list[Row]:
    """`transfer_pair` for each pair, one after another or as independent jobs of a ``concurrent.futures`` executor."""
    job = partial(transfer_pair, setting, methods, device)
    return [row for rows in (executor.map if executor else map)(job, pairs) for row in rows]


def trajectory_rows(setting: Setting, methods: Sequence[str], pairs: Sequence[Pair], device: str) -> list[Row]:
    """The rows of `follow` along each kind of `TRAJECTORIES`, as many steps as training had epochs (Figures 4 and 9)."""
    setting = replace(setting, steps=setting.recipe.epochs)
    rows = []
    for kind in TRAJECTORIES:
        for pair in pairs:
            line = _trajectory(setting, kind, pair[0], device)
            for method in methods:
                rows += [{"trajectory": kind} | row for _, row in follow(setting, method, pair, device, line=line)]
    return rows


def _trajectory(setting: Setting, kind: str, seed: int, device: str) -> Trajectory:
    if kind == "recorded":
        return recorded(setting, seed, device)
    return source_line(replace(setting, schedule=kind.removeprefix("linear, ")), network(setting, seed, device))


def standard_training(setting: Setting, pairs: Sequence[Pair], device: str) -> list[Row]:
    """Validation accuracy, work and seconds of ordinary training after each epoch, one row per target and epoch."""
    targets = {pair: network(setting, pair[1], device) for pair in pairs}
    work = epoch_work(setting, targets[pairs[0]].model, device)
    return [
        {"pair": f"{a}-{b}", "epoch": row["epoch"], "accuracy": row["accuracy"], **work, "seconds": row["seconds"]}
        for (a, b), target in targets.items()
        for row in target.history
    ]


def landmarks(standard: Sequence[Row]) -> dict[int, float]:
    """Mean accuracy of standard training after 1, 4, 10 (as in the paper's MNIST panel) and all epochs."""
    last = max(row["epoch"] for row in standard)
    epochs = sorted({epoch for epoch in (1, 4, 10, last) if epoch <= last})
    return {epoch: fmean(row["accuracy"] for row in standard if row["epoch"] == epoch) for epoch in epochs}


def cost_rows(rows: Sequence[Row], standard: Sequence[Row]) -> list[Row]:
    """Mean work of one whole transfer per gradient method, beside that of training the target instead, and their ratio.

    Both are counted (`step_work`, `epoch_work`), so the share is the same on a busy machine. Seconds are reported too:
    training as its number of epochs times their median, so that one pause does not stand out.
    """
    count = len({row["pair"] for row in rows})
    work = _work_per_pair(standard, count)
    training = {f"{name} of training": value for name, value in work.items()}
    training["seconds of training"] = median(row["seconds"] for row in standard) * len(standard) / count
    found = []
    for method in (name for name, one in METHODS.items() if one.knows == "gradients"):
        mine = [row for row in rows if row["method"] == method]
        if mine:
            row = _work_per_pair(mine, count)
            row["seconds"] = sum(step["seconds"] for step in mine) / count
            found.append({"method": method} | share_of_training(row, training) | row | training)
    return found


def _work_per_pair(rows: Sequence[Row], count: int) -> Row:
    """The mean work of `count` pairs."""
    totals = {name: sum(row[name] for row in rows) for name in WORK if name in rows[0]}
    return {name: total / count if total % count else total // count for name, total in totals.items()}


def _timed(steps: Iterator[Step]) -> Iterator[tuple[Step, float]]:
    """Each step with the seconds that the processor spent on it alone."""
    while True:
        clock = time.process_time()
        step = next(steps, None)
        if step is None:
            return
        yield step, time.process_time() - clock
