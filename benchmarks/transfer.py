"""FGMT and GMT against the training they replace, their growth with n, T and depth, and memory by cache."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise

import psutil
import torch

import trajtransfer as tt
from benchmarks import straightforward
from benchmarks.measure import Row, exponent, in_turn, rows
from benchmarks.networks import Case, mlp
from trajtransfer.algorithms import moved
from trajtransfer.matching.assignment import prepare
from trajtransfer.paper.architectures import build
from trajtransfer.paper.training import Recipe, train

PLAIN = "FGMT, straightforward"


def last(steps: Iterator[tt.Step]) -> tt.Step:
    """The last step; the others are let go, since each holds a point."""
    return deque(steps, maxlen=1)[0]


def plain_fgmt(source, target, spec, gradients, *, cache: str) -> Iterator[tt.Step]:  # type: ignore[no-untyped-def]
    """FGMT with the straightforward matching."""
    pi, pairs = tt.Permutation.identity(spec), []
    for t in range(1, len(source)):
        pairs.append(gradients(moved(source, target, t - 1, pi), source[t - 1]))
        matching = straightforward.match(pairs, spec)
        pi = matching.permutation
        yield tt.Step(t, moved(source, target, t, pi), pi, matching, t)


def against_training(width: int, steps: int, epochs: int, repeats: int) -> list[Row]:
    """Whole transfers, gradients included, beside training for some epochs (one is measured)."""
    prepare()
    case, agreement, ends = mlp(width), {}, {}
    line, target = case.line(steps), tt.parameters(case.target)
    epoch = train(case.target, case.data, Recipe(epochs=repeats + 1, lr=0.01), seed=0, name="benchmark")
    next(epoch)

    def transfer(name: str, method, cache: str) -> None:  # type: ignore[no-untyped-def]
        step = ends[name] = last(method(line, target, case.spec, case.gradients(), cache=cache))
        agreement[name] = step.matching.objective[-1] / step.matching.bound

    algorithms = {"FGMT": tt.fgmt, "GMT": tt.gmt}
    methods = {name: (m, "device") for name, m in algorithms.items()} | {f"{k}, half": (m, "half") for k, m in algorithms.items()}
    candidates = {name: lambda name=name, m=m, c=c: transfer(name, m, c) for name, (m, c) in methods.items()}
    seconds = in_turn({"training": lambda: next(epoch), **candidates}, repeats)  # type: ignore[dict-item, misc]
    seconds["training"] = [epochs * s for s in seconds["training"]]
    seconds |= in_turn({PLAIN: lambda: transfer(PLAIN, plain_fgmt, "device")}, 1)  # minutes at 4096 units
    table = rows("transfer", f"2-MLP {width}, T={steps}, {epochs} epochs", seconds, "training")
    for row in table:
        name = row["what"]
        row |= {"share of training": 1 / row["ratio"]} | ({"agreement": agreement[name]} if name in agreement else {})
        row |= {"accuracy": tt.evaluate(case.target, ends[name].params, case.selection).accuracy} if name in ends else {}
    return table


def grow(what: str, sizes: list[int], seconds: list[float]) -> Row:
    measured = ", ".join(f"{size}: {s:.3g} s" for size, s in zip(sizes, seconds, strict=True))
    return {"benchmark": "scaling", "case": what, "what": "FGMT", "exponent": exponent(sizes, seconds), "measured": measured}


def scaling(largest: int) -> list[Row]:
    """Seconds of FGMT against the width, the number of steps and the depth."""

    def seconds(case: Case, steps: int) -> float:
        clock = time.perf_counter()
        last(tt.fgmt(case.line(steps), tt.parameters(case.target), case.spec, case.gradients()))
        return time.perf_counter() - clock

    widths, steps, depths = [largest // 8, largest // 4, largest // 2, largest], [4, 8, 16, 32], [1, 2, 4, 8]
    cases = [mlp(width, images=2000) for width in widths]
    seconds(cases[0], 2)
    table = [grow("width, T=5", widths, [seconds(case, 5) for case in cases])]
    table.append(grow(f"T, width {largest // 4}", steps, [seconds(cases[1], t) for t in steps]))
    table.append(grow("hidden layers of 256, T=5", depths, [deep(depth, 5) for depth in depths]))
    return table


def deep(depth: int, steps: int) -> float:
    """Seconds of FGMT between random networks of several hidden layers on random data."""
    models = []
    for seed in range(3):
        torch.manual_seed(seed)
        sizes = [64, *[256] * depth, 10]
        layers = [layer for a, b in pairwise(sizes) for layer in (torch.nn.Linear(a, b), torch.nn.ReLU())]
        models.append(torch.nn.Sequential(*layers[:-1]))
    start, end, target = (tt.parameters(model) for model in models)
    spec = tt.permutation_spec(models[0], torch.randn(2, 64))
    gradients = tt.paired_gradients(models[0], noise((64,)))
    clock = time.perf_counter()
    last(tt.fgmt(tt.Line(start, end, tt.uniform(steps)), target, spec, gradients))
    return time.perf_counter() - clock


def noise(shape: tuple[int, ...]) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Mini-batches of nothing in particular."""
    generator = torch.Generator().manual_seed(0)
    while True:
        yield torch.randn(128, *shape, generator=generator), torch.randint(0, 10, (128,), generator=generator)


def peak(architecture: str, width: float, steps: int, cache: str) -> tuple[float, float]:
    """Memory that FGMT adds to a process with one network, and of one matrix of gains per group, in copies of the parameters."""
    shape = (1, 28, 28) if architecture == "mlp" else (1, 32, 32)
    model = build(architecture, shape, 10, width, 0)
    spec = tt.permutation_spec(model, torch.randn(2, *shape))
    prepare()
    gradients, start = tt.paired_gradients(model, noise(shape)), tt.parameters(model)
    gradients(start, start)
    process, done, seen = psutil.Process(), threading.Event(), [psutil.Process().memory_info().rss]

    def watch() -> None:
        while not done.wait(0.002):
            seen.append(process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    end, target = (tt.parameters(build(architecture, shape, 10, width, seed)) for seed in (1, 2))
    last(tt.fgmt(tt.Line(start, end, tt.uniform(steps)), target, spec, gradients, cache=cache))
    done.set()
    watcher.join()
    unit = sum(4 * x.numel() for x in start.values())
    return (max(seen) - seen[0]) / unit, sum(4 * n * n for n in spec.sizes.values()) / unit


def memory(architecture: str, width: float, steps: int) -> list[Row]:
    """Each kind of cache in a process of its own."""
    table = []
    for cache in ("device", "half"):
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as executor:
            copies, gains = executor.submit(peak, architecture, width, steps, cache).result()
        case, facts = f"{architecture}, width {width:g}, T={steps}", {"copies of the parameters": copies, "2T + 4": 2 * steps + 4}
        table.append({"benchmark": "memory", "case": case, "what": cache, **facts, "one matrix of gains per group": gains})
    return table


def run(smoke: bool) -> list[Row]:
    """Ratios to training, growth, memory."""
    if smoke:
        return against_training(256, 3, 3, repeats=2) + memory("mlp", 2048, 3)
    table = against_training(1024, 10, 10, repeats=3) + against_training(4096, 10, 10, repeats=3)
    table += scaling(4096)
    return table + memory("mlp", 4096, 10) + memory("mlp", 4096, 30) + memory("resnet18", 1, 5)
