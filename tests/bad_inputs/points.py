"""Points, lines, specifications, permutations and vectors that the library refuses."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import trajtransfer as tt
from tests.bad_inputs.transfers import NAN, network

SPEC = tt.PermutationSpec(
    {"a": 4, "b": 3},
    {"w": ((tt.AxisPart("a", 4),), (tt.AxisPart("b", 3),)), "count": ()},
    frozenset({"count"}),
)


def line(
    times: Any = (0, 1),
    start: Mapping[str, Any] | None = None,
    end: Mapping[str, Any] | None = None,
):
    def call(_: Path) -> object:
        ends = [tt.Params({"w": torch.zeros(2)} if x is None else x) for x in (start, end)]
        return tt.Line(*ends, times)

    return call


def permutation(**indices: Any) -> Callable[[Path], object]:
    whole = {"a": torch.arange(4), "b": torch.arange(3)}
    return lambda _: tt.Permutation(
        SPEC, {u: x for u, x in (whole | indices).items() if x is not None}
    )


def replaced(units: str, *indices: int) -> Callable[[Path], object]:
    return lambda _: tt.Permutation.identity(SPEC).replace(units, torch.tensor(indices))


def specification(
    sizes: Any, axes: Any = None, buffers: frozenset[str] = frozenset()
) -> Callable[[Path], object]:
    return lambda _: tt.PermutationSpec(sizes, axes or {}, buffers)


def matched(y: Any, x: Any, **options: Any) -> Callable[[Path], object]:
    def call(_: Path) -> object:
        return tt.match([(tt.Params({"w": y}), tt.Params({"w": x}))], SPEC, **options)

    return call


ONES = torch.ones(4, 3)
POINTS = [
    ("times with NaN", line([0.0, NAN, 1.0]), "times must rise from 0 to 1"),
    ("times with infinity", line([0.0, math.inf, 1.0]), "times must rise from 0 to 1"),
    ("times as a generator", line(time for time in (0, 1)), "times must be a list of numbers"),
    ("times in words", line(["0", "1"]), "times must be a list of numbers"),
    ("times with None", line([0, None, 1]), "times must be a list of numbers"),
    (
        "line from NaN",
        line(start={"w": torch.tensor([0, NAN])}),
        "'w' holds NaN or infinite entries at the start of the line",
    ),
    (
        "line to infinity",
        line(end={"w": torch.tensor([0, math.inf])}),
        "entries at the end of the line",
    ),
    (
        "line of two types",
        line(end={"w": torch.zeros(2).double()}),
        "'w' is of torch.float32 at the start of the line and of torch.float64",
    ),
    (
        "line of bool",
        line(start={"w": torch.ones(2) > 0}, end={"w": torch.ones(2) > 0}),
        "'w' is of torch.bool",
    ),
    ("line of two names", line(end={"v": torch.zeros(2)}), "these points have different tensors"),
    ("line of two shapes", line(end={"w": torch.zeros(3)}), "'w' has shapes (3,) and (2,)"),
    (
        "line of two devices",
        line(end={"w": torch.zeros(2, device="meta")}),
        "'w' is on meta and on cpu",
    ),
    ("point of lists", line(start={"w": [0.0, 0.0]}), "'w' is a list, not a tensor"),
    ("uniform(0)", lambda _: tt.uniform(0), "at least one step"),
    ("cosine(True)", lambda _: tt.cosine(True), "steps=True is not a whole number"),
    (
        "point times a point",
        lambda _: tt.Params({"w": ONES}) * tt.Params({"w": ONES}),
        "Params times Params is not defined",
    ),
    ("repeated index", permutation(a=torch.tensor([0, 1, 1, 3])), "units 'a' repeat index 1"),
    ("index too large", permutation(a=torch.tensor([0, 1, 2, 4])), "units 'a' have no index 4"),
    ("negative index", permutation(b=torch.tensor([0, 1, -1])), "units 'b' have no index -1"),
    ("index too few", permutation(a=torch.arange(3)), "the indices of units 'a' have shape (3,)"),
    ("index too many", permutation(a=torch.arange(5)), "the indices of units 'a' have shape (5,)"),
    (
        "indices as a matrix",
        permutation(a=torch.eye(4, dtype=torch.long)),
        "the indices of units 'a' have shape (4, 4)",
    ),
    (
        "float indices",
        permutation(a=torch.arange(4.0)),
        "the indices of units 'a' are of torch.float32",
    ),
    (
        "bool indices",
        permutation(a=torch.ones(4) > 0),
        "the indices of units 'a' are of torch.bool",
    ),
    ("list of indices", permutation(a=[0, 1, 2, 3]), "the indices of units 'a' are a list"),
    ("missing group", permutation(b=None), "the indices of units 'b' are missing"),
    ("unknown group", permutation(c=torch.arange(2)), "the specification has no units 'c'"),
    ("replaced by repeated indices", replaced("b", 0, 0, 1), "units 'b' repeat index 0"),
    ("replaced in an unknown group", replaced("c", 0), "the specification has no units 'c'"),
    (
        "permutation times a tensor",
        lambda _: tt.Permutation.identity(SPEC) @ ONES,
        "does not compose with Tensor",
    ),
    (
        "permutation of an unknown tensor",
        lambda _: tt.Permutation.identity(SPEC).act("v", ONES),
        "does not know the tensor 'v'",
    ),
    ("group of no units", specification({"a": 0}), "the group of units 'a' has size 0"),
    ("group of -1 units", specification({"a": -1}), "the group of units 'a' has size -1"),
    ("group of 2.0 units", specification({"a": 2.0}), "the group of units 'a' has size 2.0"),
    ("group of True units", specification({"a": True}), "the group of units 'a' has size True"),
    ("group without a name", specification({"": 3}), "'' is no name for a group of units"),
    ("tensor without a name", specification({"a": 3}, {"": ()}), "'' is no name for a tensor"),
    (
        "blocks of none",
        specification({"a": 3}, {"w": ((tt.AxisPart("a", 3, 0),),)}),
        "3 entries in blocks of 0",
    ),
    (
        "half a block",
        specification({"a": 3}, {"w": ((tt.AxisPart("a", 3, 0.5),),)}),
        "3 entries in blocks of 0.5",
    ),
    (
        "buffer without axes",
        specification({"a": 3}, {}, frozenset({"mean"})),
        "the buffer 'mean' has no axes",
    ),
    (
        "vectors with NaN",
        matched(ONES, NAN * ONES),
        "'w' holds NaN or infinite entries on the source side of pair 1",
    ),
    (
        "vectors with infinity",
        matched(math.inf * ONES, ONES),
        "entries on the target side of pair 1",
    ),
    (
        "norms that overflow",
        matched(1e200 * ONES.double(), 1e200 * ONES.double()),
        "the norms of pair 1 overflows float64",
    ),
    (
        "products that overflow",
        matched(1e30 * ONES, 1e30 * ONES),
        "overflow torch.float32 in the gains of units 'a' (from 'w')",
    ),
    (
        "sweeps below 0",
        matched(ONES, ONES, max_sweeps=-1),
        "max_sweeps=-1 is not a number of sweeps",
    ),
    (
        "half a sweep",
        matched(ONES, ONES, max_sweeps=0.5),
        "max_sweeps=0.5 is not a number of sweeps",
    ),
    ("tolerance of NaN", matched(ONES, ONES, tolerance=NAN), "tolerance=nan is not a share"),
    (
        "pair for a list of pairs",
        lambda _: tt.match((tt.Params({"w": ONES}),) * 2, SPEC),
        "a pair holds two Params",
    ),
    (
        "vectors of different names",
        lambda _: tt.match([(tt.Params({"w": ONES}), tt.Params({}))], SPEC),
        "hold different tensors: ['w']",
    ),
    (
        "trajectory of one point",
        lambda _: list(tt.naive([tt.Params({"w": ONES})], tt.Params({"w": ONES}), SPEC)),
        "two points at least",
    ),
    (
        "step before the first",
        lambda _: tt.moved(
            [tt.Params({"w": ONES})], tt.Params({"w": ONES}), -1, tt.Permutation.identity(SPEC)
        ),
        "the source has no step -1",
    ),
]


def checked_at(inputs: Tensor, spec: tt.PermutationSpec | None = None) -> Callable[[Path], object]:
    generator = torch.Generator().manual_seed(0)
    own = tt.permutation_spec(network(), torch.zeros(2, 4))
    return lambda _: tt.check_invariance(network(), spec or own, inputs, generator)


INVARIANCES = [
    (
        "narrow inputs",
        checked_at(torch.zeros(2, 3)),
        "Sequential in float64 fails on inputs of shape (2, 3)",
    ),
    (
        "inputs of integers",
        checked_at(torch.zeros(2, 4, dtype=torch.long)),
        "fails on inputs of shape (2, 4)",
    ),
    (
        "specification of another model",
        checked_at(torch.zeros(2, 4), SPEC),
        "does not know the tensor '0.weight'",
    ),
]
