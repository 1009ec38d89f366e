"""Coordinate descent against the straightforward way and against the package `rebasin`."""

from __future__ import annotations

from importlib.util import find_spec

import torch
from tqdm import tqdm

import trajtransfer as tt
from benchmarks import straightforward
from benchmarks.measure import Row, in_turn, rows
from benchmarks.networks import Case
from trajtransfer.matching.gain_cache import Pairs


def along(name: str, case: Case, steps: int, compared: set[int]) -> list[Row]:
    """Descents over one more pair each, as in FGMT; the straightforward way at the steps in `compared`."""
    kept, table, total = Pairs(case.spec), [], 0.0
    for step, pair in enumerate(tqdm(case.pairs(steps, batch=64), total=steps, desc=name, leave=False, disable=None), 1):
        found: dict[str, tt.Matching] = {}

        def ours(pair: tuple[tt.Params, tt.Params] = pair, found: dict[str, tt.Matching] = found) -> None:
            kept.append(pair)
            found["kept"] = tt.match(kept, case.spec)

        def plain(found: dict[str, tt.Matching] = found) -> None:
            found["straightforward"] = straightforward.match(list(kept), case.spec)

        seconds = in_turn({"kept": ours, **({"straightforward": plain} if step in compared else {})}, 1)
        total += seconds["kept"][0]
        if step in compared:
            a, b = found["kept"], found["straightforward"]
            worst = max(abs(x - y) for x, y in zip(a.objective, b.objective, strict=True)) / b.bound
            facts = {"sweeps": len(a.objective) - 1, "difference of objectives": worst, "same": a.permutation == b.permutation}
            table += rows("matching", f"{name}, step {step}", seconds, "straightforward", **facts)
    return [*table, {"benchmark": "matching", "case": f"{name}, {steps} steps", "what": "kept", "sum of seconds": total}]


def weights(case: Case, repeats: int) -> list[Row]:
    """Weight matching of two networks, where `rebasin` runs."""
    if not find_spec("rebasin"):
        return []
    import copy

    from rebasin import PermutationCoordinateDescent

    inputs = case.data.subset(torch.arange(2)).tensors()[0]
    y, x, found = tt.parameters(case.target), case.start, {}

    def package() -> None:
        model = copy.deepcopy(case.source)
        model.load_state_dict(dict(case.start | tt.buffers(case.source)))
        PermutationCoordinateDescent(case.target, model, inputs).rebasin()
        found["rebasin"] = y @ tt.parameters(model)

    def ours() -> None:
        spec = tt.permutation_spec(case.source, inputs)
        found["trajtransfer"] = tt.match([(y, x)], spec).objective[-1]

    table = rows(
        "matching",
        "weights of two networks, tracing included",
        in_turn({"rebasin": package, "trajtransfer": ours}, repeats),
        "rebasin",
    )
    for row in table:
        row["objective / bound"] = found[row["what"]] / (y.norm() * x.norm())
    return table


def run(smoke: bool) -> list[Row]:
    """Conv8 at quarter width, and ResNet-18 in full."""
    conv = Case("conv8", 0.25, images=256 if smoke else 2000, size=32)
    tt.match(list(conv.pairs(1)), conv.spec)
    table = along("Conv8, width 0.25", conv, 3 if smoke else 30, {3} if smoke else {1, 10, 20, 30})
    if smoke:
        return table
    table += weights(conv, 3)
    resnet = Case("resnet18", 1, images=2560, size=32)
    return table + along("ResNet-18", resnet, 30, {10, 30})
