"""Experiments of the paper: transfer between the networks of a setting, as tidy rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from trajtransfer.data import sample
from trajtransfer.networks import Network, network, task_of
from trajtransfer.objective import Score, evaluate, paired_gradients, running_statistics
from trajtransfer.params import Params
from trajtransfer.permutation import PermutationSpec
from trajtransfer.settings import Setting
from trajtransfer.tracing import check_invariance, permutation_spec
from trajtransfer.trajectory import SCHEDULES, Line
from trajtransfer.transfer import Step, fgmt, gmt, naive, oracle

METHODS = ("naive", "oracle", "gmt", "fgmt")
Pair = tuple[int, int]


def parse_pairs(text: str) -> list[Pair]:
    """Seed pairs such as ``"1-2, 3-4"`` (source-target). Raises ``ValueError`` for malformed or equal seeds."""
    try:
        pairs = [(int(a), int(b)) for a, b in (item.split("-") for item in text.split(","))]
    except ValueError as error:
        raise ValueError(f"pairs={text!r} is not of the form '1-2, 3-4' (source seed, hyphen, target seed)") from error
    for a, b in pairs:
        if a == b:
            raise ValueError(f"seed pair {a}-{b}: source and target are the same run; give two different seeds")
    return pairs


def transfer_steps(setting: Setting, method: str, source: Network, target: Network, device: str, seed: int) -> Iterator[Step]:
    """The steps of one method between two networks of a setting; `seed` draws mini-batches and orders."""
    data, spec = task_of(setting, device), specification(setting, source.model, device)
    line = Line(source.start, source.end, SCHEDULES[setting.schedule](setting.steps))
    batches = sample(data.train, setting.batch_size, torch.Generator().manual_seed(seed))
    gradients = paired_gradients(source.model, batches)
    order = torch.Generator().manual_seed(seed)
    if method == "naive":
        return naive(line, target.start, spec)
    if method == "oracle":
        return oracle(line, target.end, target.start, spec, generator=order)
    if method in ("gmt", "fgmt"):
        algorithm = gmt if method == "gmt" else fgmt
        return algorithm(line, target.start, spec, gradients, generator=order)
    raise ValueError(f"unknown method {method!r}; known: {', '.join(METHODS)}")


def specification(setting: Setting, model: nn.Module, device: str) -> PermutationSpec:
    """The specification of a model of this setting, checked for invariance."""
    examples = task_of(setting, device).train.subset(torch.arange(2)).tensors()[0]
    spec = permutation_spec(model, examples)
    check_invariance(model, spec, examples, torch.Generator().manual_seed(0))
    return spec


def score(setting: Setting, model: nn.Module, params: Params, device: str, split: str = "validation") -> Score:
    """Loss and accuracy on a split, with running statistics re-estimated from B' training samples where there are any."""
    data = task_of(setting, device)
    if setting.statistics:
        some = next(sample(data.train, setting.statistics, torch.Generator().manual_seed(0)))
        params = params | running_statistics(model, params, some)
    return evaluate(model, params, getattr(data, split))


def transfer_pair(setting: Setting, pair: Pair, methods: Sequence[str], device: str) -> list[dict[str, Any]]:
    """Transfer between the networks of two seeds (source, target) by each method: one row per method and step."""
    source, target = (network(setting, seed, device) for seed in pair)
    rows = []
    for method in methods:
        steps = transfer_steps(setting, method, source, target, device, seed=pair[0])
        bar = tqdm(total=setting.steps, desc=f"{method} {pair[0]}-{pair[1]}", leave=False)
        for step, seconds in _timed(steps):
            on = {split: score(setting, source.model, step.params, device, split) for split in ("validation", "selection")}
            rows.append({
                "pair": f"{pair[0]}-{pair[1]}", "method": method, "t": step.t,
                "accuracy": on["validation"].accuracy, "loss": on["validation"].loss,
                "selection_accuracy": on["selection"].accuracy,
                "objective": step.matching.objective[-1] if step.matching else None,
                "gradient_pairs": step.gradient_pairs, "seconds": seconds,
            })  # fmt: skip
            bar.update()
        bar.close()
    return rows


def transfer_pairs(
    setting: Setting, pairs: Sequence[Pair], methods: Sequence[str], device: str, executor: Executor | None = None
) -> list[dict[str, Any]]:
    """`transfer_pair` for each pair, one after another or as independent jobs of a ``concurrent.futures`` executor."""
    job: Callable[[Pair], list[dict[str, Any]]] = partial(_transfer_job, setting, methods, device)
    return [row for rows in (executor.map if executor else map)(job, pairs) for row in rows]


def _transfer_job(setting: Setting, methods: Sequence[str], device: str, pair: Pair) -> list[dict[str, Any]]:
    return transfer_pair(setting, pair, methods, device)


def _timed(steps: Iterator[Step]) -> Iterator[tuple[Step, float]]:
    """Each step with the seconds spent on it alone."""
    while True:
        clock = time.perf_counter()
        step = next(steps, None)
        if step is None:
            return
        yield step, time.perf_counter() - clock
