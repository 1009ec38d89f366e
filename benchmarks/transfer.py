"""FGMT and GMT against the training they replace, their growth with n, T and depth, and memory."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from typing import Any

import psutil
import torch
from torch import nn

import trajtransfer as tt
from benchmarks import straightforward
from benchmarks.measure import Row, exponent, in_turn, rows
from benchmarks.networks import Case, mlp
from trajtransfer.algorithms import moved
from trajtransfer.batches import Batch
from trajtransfer.matching.assignment import prepare
from trajtransfer.paper.architectures import build
from trajtransfer.paper.recipe import Recipe
from trajtransfer.paper.training import train

Steps = Callable[..., Iterator[tt.Step]]
METHODS = {"FGMT": tt.fgmt, "GMT": tt.gmt}
PLAIN = "FGMT, straightforward"


def last(steps: Iterator[tt.Step]) -> tt.Step:
    """The last step; the others are let go, since each holds a point."""
    return deque(steps, maxlen=1)[0]


def plain_fgmt(source, target, spec, gradients, *, cache: str) -> Iterator[tt.Step]:
    """FGMT with the straightforward matching."""
    pi = tt.Permutation.identity(spec)
    pairs = []
    for t in range(1, len(source)):
        pairs.append(gradients(moved(source, target, t - 1, pi), source[t - 1]))
        matching = straightforward.match(pairs, spec)
        pi = matching.permutation
        yield tt.Step(t, moved(source, target, t, pi), pi, matching, t)


def against_training(width: int, steps: int, epochs: int, repeats: int) -> list[Row]:
    """Whole transfers, gradients included, beside training for some epochs (one is measured)."""
    prepare()
    case = mlp(width)
    line = case.line(steps)
    target = tt.parameters(case.target)
    recipe = Recipe(epochs=repeats + 1, lr=0.01)
    epoch = train(case.target, case.data, recipe, seed=0, name="benchmark")
    next(epoch)
    ends: dict[str, tt.Step] = {}

    def transfer(name: str, method: Steps, cache: str) -> Callable[[], None]:
        def run() -> None:
            ends[name] = last(method(line, target, case.spec, case.gradients(), cache=cache))

        return run

    candidates: dict[str, Callable[[], Any]] = {"training": epoch.__next__}
    for name, method in METHODS.items():
        candidates[name] = transfer(name, method, "device")
    for name, method in METHODS.items():
        candidates[f"{name}, half"] = transfer(f"{name}, half", method, "half")
    seconds = in_turn(candidates, repeats)
    seconds["training"] = [epochs * one for one in seconds["training"]]
    plain = transfer(PLAIN, plain_fgmt, "device")
    seconds |= in_turn({PLAIN: plain}, 1)  # minutes at 4096 units
    table = rows("transfer", f"2-MLP {width}, T={steps}, {epochs} epochs", seconds, "training")
    for row in table:
        row["share of training"] = 1 / row["ratio"]
        if row["what"] in ends:
            row |= quality(case, ends[row["what"]])
    return table


def quality(case: Case, step: tt.Step) -> Row:
    """How well the gradients agree at a step, and how well its network classifies."""
    matching = step.matching
    assert matching is not None
    return {
        "agreement": matching.objective[-1] / matching.bound,
        "accuracy": tt.evaluate(case.target, step.params, case.selection).accuracy,
    }


def grow(what: str, sizes: list[int], seconds: list[float]) -> Row:
    """The exponent of the seconds of FGMT in a size."""
    each = [f"{size}: {taken:.3g} s" for size, taken in zip(sizes, seconds, strict=True)]
    about = {"benchmark": "scaling", "case": what, "what": "FGMT"}
    return {**about, "exponent": exponent(sizes, seconds), "measured": ", ".join(each)}


def scaling(largest: int) -> list[Row]:
    """Seconds of FGMT against the width, the number of steps and the depth."""
    widths = [largest // 8, largest // 4, largest // 2, largest]
    steps = [4, 8, 16, 32]
    depths = [1, 2, 4, 8]
    cases = [mlp(width, images=2000) for width in widths]
    transferred(cases[0], 2)  # what is done for the first time takes longer
    return [
        grow("width, T=5", widths, [transferred(case, 5) for case in cases]),
        grow(f"T, width {widths[1]}", steps, [transferred(cases[1], t) for t in steps]),
        grow("hidden layers of 256, T=5", depths, [deep(depth, 5) for depth in depths]),
    ]


def transferred(case: Case, steps: int) -> float:
    """Seconds of FGMT."""
    clock = time.perf_counter()
    last(tt.fgmt(case.line(steps), tt.parameters(case.target), case.spec, case.gradients()))
    return time.perf_counter() - clock


def deep(depth: int, steps: int) -> float:
    """Seconds of FGMT between random networks of several hidden layers on random data."""
    models = [perceptron([64, *[256] * depth, 10], seed) for seed in range(3)]
    start, end, target = (tt.parameters(model) for model in models)
    spec = tt.permutation_spec(models[0], torch.randn(2, 64))
    gradients = tt.paired_gradients(models[0], noise((64,)))
    clock = time.perf_counter()
    last(tt.fgmt(tt.Line(start, end, tt.uniform(steps)), target, spec, gradients))
    return time.perf_counter() - clock


def perceptron(sizes: list[int], seed: int) -> nn.Module:
    """Linear layers of the given sizes with rectifiers between them."""
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def noise(shape: tuple[int, ...]) -> Iterator[Batch]:
    """Mini-batches of nothing in particular."""
    generator = torch.Generator().manual_seed(0)
    while True:
        inputs = torch.randn(128, *shape, generator=generator)
        yield inputs, torch.randint(0, 10, (128,), generator=generator)


class Peak:
    """Watches the memory of the process while it is entered; `added` is the most that was added."""

    def __enter__(self) -> Peak:
        self._process = psutil.Process()
        self._seen = [self._process.memory_info().rss]
        self._done = threading.Event()
        self._watcher = threading.Thread(target=self._watch)
        self._watcher.start()
        return self

    def _watch(self) -> None:
        while not self._done.wait(0.002):
            self._seen.append(self._process.memory_info().rss)

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._watcher.join()
        self.added = max(self._seen) - self._seen[0]


def peak(architecture: str, width: float, steps: int, cache: str) -> tuple[float, float]:
    """Memory that FGMT adds to a process with one network, and that of one matrix per group.

    Both in copies of the parameters.
    """
    shape = (1, 28, 28) if architecture == "mlp" else (1, 32, 32)
    model = build(architecture, shape, 10, width, 0)
    spec = tt.permutation_spec(model, torch.randn(2, *shape))
    prepare()
    gradients = tt.paired_gradients(model, noise(shape))
    start = tt.parameters(model)
    gradients(start, start)
    with Peak() as memory:
        end = tt.parameters(build(architecture, shape, 10, width, 1))
        target = tt.parameters(build(architecture, shape, 10, width, 2))
        line = tt.Line(start, end, tt.uniform(steps))
        last(tt.fgmt(line, target, spec, gradients, cache=cache))
    unit = sum(4 * x.numel() for x in start.values())
    matrices = sum(4 * n * n for n in spec.sizes.values())
    return memory.added / unit, matrices / unit


def memory(architecture: str, width: float, steps: int) -> list[Row]:
    """Each kind of cache in a process of its own."""
    table = []
    for cache in ("device", "half"):
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=spawn) as executor:
            found = executor.submit(peak, architecture, width, steps, cache)
            copies, matrices = found.result()
        row = {
            "benchmark": "memory",
            "case": f"{architecture}, width {width:g}, T={steps}",
            "what": cache,
            "copies of the parameters": copies,
            "2T + 4": 2 * steps + 4,
            "one matrix of gains per group": matrices,
        }
        table.append(row)
    return table


def run(smoke: bool) -> list[Row]:
    """Ratios to training, growth, memory."""
    if smoke:
        return against_training(256, 3, 3, repeats=2) + memory("mlp", 1024, 3)
    table = against_training(1024, 10, 10, repeats=3)
    table += against_training(4096, 10, 10, repeats=3)
    table += scaling(4096)
    table += memory("mlp", 4096, 10)
    table += memory("mlp", 4096, 30)
    table += memory("resnet18", 1, 5)
    return table
