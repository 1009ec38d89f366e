"""Coordinate descent against the straightforward way and against the package `rebasin`."""

from __future__ import annotations

import copy
from importlib.util import find_spec

from tqdm import tqdm

import trajtransfer as tt
from benchmarks import straightforward
from benchmarks.measure import Row, in_turn, rows
from benchmarks.networks import Case
from trajtransfer.matching.gains import VectorPair
from trajtransfer.matching.pairs import Pairs


def along(name: str, case: Case, steps: int, compared: set[int]) -> list[Row]:
    """Descents over one more pair each, as in FGMT; the straightforward way at steps `compared`."""
    kept = Pairs(case.spec)
    table = []
    total = 0.0
    pairs = tqdm(case.pairs(steps, batch=64), total=steps, desc=name, leave=False, disable=None)
    for step, pair in enumerate(pairs, 1):
        seconds, found = one_more(kept, pair, step in compared)
        total += seconds["kept"][0]
        if step in compared:
            facts = agreement(found["kept"], found["straightforward"])
            where = f"{name}, step {step}"
            table += rows("matching", where, seconds, "straightforward", **facts)
    about = {"benchmark": "matching", "case": f"{name}, {steps} steps", "what": "kept"}
    return [*table, {**about, "sum of seconds": total}]


def one_more(
    kept: Pairs, pair: VectorPair, compared: bool
) -> tuple[dict[str, list[float]], dict[str, tt.Matching]]:
    """Seconds and result of a match with one more pair, and of the straightforward way if asked."""
    found: dict[str, tt.Matching] = {}

    def ours() -> None:
        kept.append(pair)
        found["kept"] = tt.match(kept, kept.spec)

    def plain() -> None:
        found["straightforward"] = straightforward.match(list(kept), kept.spec)

    candidates = {"kept": ours}
    if compared:
        candidates["straightforward"] = plain
    return in_turn(candidates, 1), found


def agreement(kept: tt.Matching, plain: tt.Matching) -> Row:
    """How far the objectives are apart after any sweep, as a share of the bound."""
    apart = [abs(x - y) for x, y in zip(kept.objective, plain.objective, strict=True)]
    return {
        "sweeps": len(kept.objective) - 1,
        "difference of objectives": max(apart) / plain.bound,
        "same": kept.permutation == plain.permutation,
    }


def weights(case: Case, repeats: int) -> list[Row]:
    """Weight matching of two networks, where `rebasin` runs."""
    if not find_spec("rebasin"):
        return []
    from rebasin import PermutationCoordinateDescent

    inputs = case.examples()
    y = tt.parameters(case.target)
    found: dict[str, float] = {}

    def package() -> None:
        model = copy.deepcopy(case.source)
        model.load_state_dict(dict(case.start | tt.buffers(case.source)))
        PermutationCoordinateDescent(case.target, model, inputs).rebasin()
        found["rebasin"] = y @ tt.parameters(model)

    def ours() -> None:
        spec = tt.permutation_spec(case.source, inputs)
        found["trajtransfer"] = tt.match([(y, case.start)], spec).objective[-1]

    seconds = in_turn({"rebasin": package, "trajtransfer": ours}, repeats)
    table = rows("matching", "weights of two networks, tracing included", seconds, "rebasin")
    bound = y.norm() * case.start.norm()
    for row in table:
        row["objective / bound"] = found[row["what"]] / bound
    return table


def run(smoke: bool) -> list[Row]:
    """Conv8 at quarter width, and ResNet-18 in full."""
    conv = Case("conv8", 0.25, images=256 if smoke else 2000, size=32)
    tt.match(list(conv.pairs(1)), conv.spec)
    if smoke:
        return along("Conv8, width 0.25", conv, 3, {3})
    table = along("Conv8, width 0.25", conv, 30, {1, 10, 20, 30})
    table += weights(conv, 3)
    resnet = Case("resnet18", 1, images=2560, size=32)
    return table + along("ResNet-18", resnet, 30, {10, 30})
