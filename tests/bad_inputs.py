"""Inputs of the library that have to be refused in words of its own: (name, call, words) for tests and campaigns.

``call(folder)`` has to raise a ValueError, TypeError or OSError whose message contains `words`; `folder` is an
empty one to write files into. Each call takes less than 0.3 seconds.
"""

from __future__ import annotations

import gzip
import math
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import trajtransfer as tt
from trajtransfer.paper import architectures
from trajtransfer.paper.datasets.tasks import load_task


class BadInput(NamedTuple):
    name: str
    call: Callable[[Path], object]
    words: str


NAN = math.nan
SPEC = tt.PermutationSpec(
    {"a": 4, "b": 3},
    {"w": ((tt.AxisPart("a", 4),), (tt.AxisPart("b", 3),)), "count": ()},
    frozenset({"count"}),
)


# --- a small transfer


def network(seed: int = 0) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))


def state(seed: int, scale: float = 1.0) -> dict[str, Tensor]:
    return {name: scale * x.clone() for name, x in network(seed).state_dict().items()}


def spoiled(value: float, name: str = "0.weight") -> dict[str, Tensor]:
    """A state with one entry of one tensor replaced."""
    found = state(7)
    found[name].view(-1)[0] = value
    return found


def without(name: str) -> dict[str, Tensor]:
    return {key: x for key, x in state(7).items() if key != name}


def filled(value: float) -> dict[str, Tensor]:
    return {name: torch.full_like(x, value) for name, x in state(7).items()}


def batch(inputs: float | None = None, label: int | None = None) -> tuple[Tensor, Tensor]:
    """Eight samples, one input or one label of them replaced."""
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(8, 4, generator=generator), torch.arange(8) % 2
    if inputs is not None:
        x[3, 2] = inputs
    if label is not None:
        y[3] = label
    return x, y


def labels_as(dtype: torch.dtype) -> list[tuple[Tensor, Tensor]]:
    x, y = batch()
    return [(x, y.to(dtype))]


def inputs_as(dtype: torch.dtype) -> list[tuple[Tensor, Tensor]]:
    x, y = batch()
    return [(x.to(dtype), y)]


def transferred(**changes: Any) -> Callable[[Path], object]:
    """A transfer of two steps that would work, but for the changes."""

    def call(_: Path) -> object:
        given: dict[str, Any] = {
            "model": network(),
            "source": (state(1), state(2)),
            "target": state(3),
            "batches": [batch()],
            "steps": 2,
        }
        for name, x in changes.items():
            made_now = callable(x) and name != "loss" and not isinstance(x, nn.Module)
            given[name] = x() if made_now else x
        return tt.transfer(**given)

    return call


def with_parameter(values: Tensor) -> nn.Module:
    model = network()
    model.table = nn.Parameter(values, requires_grad=False)
    return model


def as_type(dtype: torch.dtype) -> dict[str, Tensor]:
    return {name: x.to(dtype) for name, x in state(3).items()}


TRANSFERS = [
    (
        "start with NaN",
        {"source": (spoiled(NAN), state(2))},
        "the start of the source holds NaN or infinite entries at '0.weight'",
    ),
    ("end with infinity", {"source": (state(1), spoiled(math.inf))}, "the end of the source holds NaN or infinite entries"),
    ("end with NaN in a bias", {"source": (state(1), spoiled(NAN, "2.bias"))}, "entries at '2.bias'"),
    ("target with NaN", {"target": spoiled(NAN)}, "the target holds NaN or infinite entries at '0.weight'"),
    ("target with minus infinity", {"target": spoiled(-math.inf)}, "the target holds NaN or infinite entries"),
    ("target without a tensor", {"target": without("2.bias")}, "the target does not fit the model at ['2.bias']"),
    (
        "target with another tensor",
        {"target": state(3) | {"3.bias": torch.zeros(2)}},
        "the target does not fit the model at ['3.bias']",
    ),
    ("target with a list", {"target": state(3) | {"0.bias": [0.0] * 6}}, "the target does not fit the model at ['0.bias']"),
    ("target with an array", {"target": lambda: state(3) | {"0.bias": torch.zeros(6).numpy()}}, "not a tensor"),
    ("target that is a model", {"target": network(3)}, "the target is a Sequential; pass a state_dict"),
    ("source that is one state", {"source": state(1)}, "source is a dict; pass (start, end)"),
    ("source of one", {"source": (state(1),)}, "source is a tuple of length 1; pass (start, end)"),
    ("source of three", {"source": (state(1),) * 3}, "source is a tuple of length 3; pass (start, end)"),
    ("source of models", {"source": (network(1), network(2))}, "the start of the source is a Sequential"),
    ("no source", {"source": None}, "source is a NoneType; pass (start, end)"),
    ("class for a model", {"model": lambda: nn.Linear}, "model is a type, not an nn.Module"),
    ("model without parameters", {"model": nn.ReLU()}, "ReLU has no parameters"),
    ("lazy model", {"model": lambda: nn.Sequential(nn.LazyLinear(2))}, "'0.weight' has no values yet"),
    ("model without values", {"model": lambda: network().to("meta")}, "'0.weight' has no values yet"),
    ("integer parameter", {"model": with_parameter(torch.arange(3))}, "the parameter 'table' is of torch.int64 and cannot move"),
    ("complex parameter", {"model": with_parameter(torch.ones(3) * 1j)}, "'table' is of torch.complex64 and cannot move"),
    (
        "float64 target",
        {"target": as_type(torch.float64)},
        "the target has a tensor '0.weight' of torch.float64 and the model one of torch.float32",
    ),
    (
        "float16 start",
        {"source": (as_type(torch.float16), state(2))},
        "the start of the source has a tensor '0.weight' of torch.float16",
    ),
    ("integer end", {"source": (state(1), as_type(torch.int64))}, "the end of the source has a tensor '0.weight' of torch.int64"),
    ("bool target", {"target": as_type(torch.bool)}, "of torch.bool and the model one of torch.float32"),
    (
        "float64 inputs",
        {"batches": inputs_as(torch.float64)},
        "with weights of torch.float32 fails on the first inputs of batches",
    ),
    ("bfloat16 inputs", {"batches": inputs_as(torch.bfloat16)}, "of shape (2, 4) and torch.bfloat16"),
    ("integer inputs", {"batches": inputs_as(torch.int64)}, "of shape (2, 4) and torch.int64"),
    ("inputs of two types", {"batches": [batch(), *inputs_as(torch.float64)]}, "batch 2 of batches has inputs of torch.float64"),
    ("narrow inputs", {"batches": [(torch.randn(8, 3), torch.zeros(8, dtype=torch.long))]}, "of shape (2, 3)"),
    ("inputs with NaN", {"batches": [batch(NAN)]}, "batch 1 of batches: the inputs hold NaN"),
    (
        "later inputs with infinity",
        {"batches": [batch(), batch(math.inf)]},
        "step 1: batch 2 of batches: the inputs hold NaN or infinite",
    ),
    ("selection with NaN", {"selection": [batch(), batch(NAN)]}, "batch 2 of selection: the inputs hold NaN"),
    ("labels with NaN", {"batches": [(batch()[0], torch.full((8,), NAN))], "loss": F.mse_loss}, "the labels hold NaN"),
    ("label above the classes", {"batches": [batch(label=2)]}, "label 2 is none of the 2 classes"),
    ("label below 0", {"batches": [batch(label=-1)]}, "label -1 is none of the 2 classes"),
    ("selection with a label above", {"selection": [batch(label=9)]}, "label 9 is none of the 2 classes"),
    ("every label ignored", {"batches": [(batch()[0], torch.full((8,), -100))]}, "the loss of the target initialisation is nan"),
    ("float labels", {"batches": labels_as(torch.float32)}, "cross-entropy takes labels of int64, got torch.float32"),
    ("bool labels", {"batches": labels_as(torch.bool)}, "cross-entropy takes labels of int64, got torch.bool"),
    ("fewer labels than inputs", {"batches": [(batch()[0], batch()[1][:5])]}, "no samples with a label each"),
    ("no samples", {"batches": [(batch()[0][:0], batch()[1][:0])]}, "no samples with a label each"),
    ("steps=0", {"steps": 0}, "at least one step, got steps=0"),
    ("steps=-1", {"steps": -1}, "at least one step, got steps=-1"),
    ("steps=2.5", {"steps": 2.5}, "steps=2.5 is not a whole number"),
    ("steps=True", {"steps": True}, "steps=True is not a whole number"),
    ("steps in words", {"steps": "30"}, "steps='30' is not a whole number"),
    ("steps=10**9", {"steps": 10**9}, "steps=1000000000 is more than 10,000"),
    ("seed=0.5", {"seed": 0.5}, "seed=0.5 is not a whole number"),
    ("seed=None", {"seed": None}, "seed=None is not a whole number"),
    ("seed=True", {"seed": True}, "seed=True is not a whole number"),
    ("seed=2**63", {"seed": 2**63}, "seed=9223372036854775808 does not fit"),
    ("method that knows the answer", {"method": "oracle"}, "unknown method 'oracle'; known: naive, gmt, fgmt"),
    ("list of methods", {"method": ["gmt"]}, "unknown method ['gmt']"),
    ("unknown schedule", {"schedule": "linear"}, "unknown schedule 'linear'"),
    ("unknown cache", {"cache": "disk"}, "unknown cache 'disk'; known: device, host, half"),
    ("empty selection", {"selection": []}, "selection is empty"),
    ("iterator for a selection", {"selection": lambda: iter([batch()])}, "selection is a list_iterator; pass a list"),
    ("pair for a selection", {"selection": batch()}, "batch 1 of selection: data must be"),
    ("tensor for a selection", {"selection": batch()[0]}, "selection is a Tensor; pass a list"),
    ("no batches", {"batches": []}, "batches is empty or cannot be started again"),
    ("batches that end", {"batches": lambda: iter([batch()])}, "step 1: batches is empty or cannot be started again"),
    ("None for batches", {"batches": None}, "batches is a NoneType; pass a list"),
    ("pair for batches", {"batches": batch()}, "batch 1 of batches: data must be a Split or a pair"),
    ("batches of triples", {"batches": [(*batch(), batch()[1])]}, "got a tuple of 3"),
    ("batches of dictionaries", {"batches": [{"x": batch()[0], "y": batch()[1]}]}, "got a dict"),
    ("batches of arrays", {"batches": lambda: [tuple(x.numpy() for x in batch())]}, "got a tuple of ndarray and ndarray"),
    ("no loss", {"loss": None}, "loss is a NoneType; pass a function"),
    ("loss per sample", {"loss": lambda o, y: F.cross_entropy(o, y, reduction="none")}, "the loss returned (8,)"),
    ("loss that is a float", {"loss": lambda o, y: 1.0}, "the loss returned a float"),
    (
        "loss without gradient",
        {"loss": lambda o, y: F.cross_entropy(o.detach(), y)},
        "step 1: the loss does not depend on the parameters",
    ),
    ("loss of other shapes", {"loss": lambda o, y: F.cross_entropy(o[:, None, :1], y)}, "the loss fails on outputs (8, 2)"),
    ("loss that is NaN", {"loss": lambda o, y: NAN * F.cross_entropy(o, y)}, "the loss of the target initialisation is nan"),
    (
        "loss that is huge",
        {"loss": lambda o, y: 1e30 * F.cross_entropy(o, y)},
        "step 1: the products of the vectors overflow torch.float32 in the gains of units '0'",
    ),
    ("target near the largest float", {"target": state(3, 1e38)}, "the loss of the target initialisation is nan"),
    ("ends further apart than floats", {"source": (filled(-3e38), filled(3e38))}, "their difference overflows torch.float32"),
    ("source of 1e20", {"source": (state(1), state(2, 1e20))}, "step 2: the gradient of the"),
]


# --- points, lines, specifications, permutations, matching


def line(times: Any = (0, 1), start: Mapping[str, Any] | None = None, end: Mapping[str, Any] | None = None):
    def call(_: Path) -> object:
        ends = [tt.Params({"w": torch.zeros(2)} if x is None else x) for x in (start, end)]
        return tt.Line(*ends, times)

    return call


def permutation(**indices: Any) -> Callable[[Path], object]:
    whole = {"a": torch.arange(4), "b": torch.arange(3)}
    return lambda _: tt.Permutation(SPEC, {u: x for u, x in (whole | indices).items() if x is not None})


def replaced(units: str, *indices: int) -> Callable[[Path], object]:
    return lambda _: tt.Permutation.identity(SPEC).replace(units, torch.tensor(indices))


def specification(sizes: Any, axes: Any = None, buffers: frozenset[str] = frozenset()) -> Callable[[Path], object]:
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
    ("line from NaN", line(start={"w": torch.tensor([0, NAN])}), "'w' holds NaN or infinite entries at the start of the line"),
    ("line to infinity", line(end={"w": torch.tensor([0, math.inf])}), "entries at the end of the line"),
    (
        "line of two types",
        line(end={"w": torch.zeros(2).double()}),
        "'w' is of torch.float32 at the start of the line and of torch.float64",
    ),
    ("line of bool", line(start={"w": torch.ones(2) > 0}, end={"w": torch.ones(2) > 0}), "'w' is of torch.bool"),
    ("line of two names", line(end={"v": torch.zeros(2)}), "these points have different tensors"),
    ("line of two shapes", line(end={"w": torch.zeros(3)}), "'w' has shapes (3,) and (2,)"),
    ("line of two devices", line(end={"w": torch.zeros(2, device="meta")}), "'w' is on meta and on cpu"),
    ("point of lists", line(start={"w": [0.0, 0.0]}), "'w' is a list, not a tensor"),
    ("uniform(0)", lambda _: tt.uniform(0), "at least one step"),
    ("cosine(True)", lambda _: tt.cosine(True), "steps=True is not a whole number"),
    ("point times a point", lambda _: tt.Params({"w": ONES}) * tt.Params({"w": ONES}), "Params times Params is not defined"),
    ("repeated index", permutation(a=torch.tensor([0, 1, 1, 3])), "units 'a' repeat index 1"),
    ("index too large", permutation(a=torch.tensor([0, 1, 2, 4])), "units 'a' have no index 4"),
    ("negative index", permutation(b=torch.tensor([0, 1, -1])), "units 'b' have no index -1"),
    ("index too few", permutation(a=torch.arange(3)), "the indices of units 'a' have shape (3,)"),
    ("index too many", permutation(a=torch.arange(5)), "the indices of units 'a' have shape (5,)"),
    ("indices as a matrix", permutation(a=torch.eye(4, dtype=torch.long)), "the indices of units 'a' have shape (4, 4)"),
    ("float indices", permutation(a=torch.arange(4.0)), "the indices of units 'a' are of torch.float32"),
    ("bool indices", permutation(a=torch.ones(4) > 0), "the indices of units 'a' are of torch.bool"),
    ("list of indices", permutation(a=[0, 1, 2, 3]), "the indices of units 'a' are a list"),
    ("missing group", permutation(b=None), "the indices of units 'b' are missing"),
    ("unknown group", permutation(c=torch.arange(2)), "the specification has no units 'c'"),
    ("replaced by repeated indices", replaced("b", 0, 0, 1), "units 'b' repeat index 0"),
    ("replaced in an unknown group", replaced("c", 0), "the specification has no units 'c'"),
    ("permutation times a tensor", lambda _: tt.Permutation.identity(SPEC) @ ONES, "does not compose with Tensor"),
    ("permutation of an unknown tensor", lambda _: tt.Permutation.identity(SPEC).act("v", ONES), "does not know the tensor 'v'"),
    ("group of no units", specification({"a": 0}), "the group of units 'a' has size 0"),
    ("group of -1 units", specification({"a": -1}), "the group of units 'a' has size -1"),
    ("group of 2.0 units", specification({"a": 2.0}), "the group of units 'a' has size 2.0"),
    ("group of True units", specification({"a": True}), "the group of units 'a' has size True"),
    ("group without a name", specification({"": 3}), "'' is no name for a group of units"),
    ("tensor without a name", specification({"a": 3}, {"": ()}), "'' is no name for a tensor"),
    ("blocks of none", specification({"a": 3}, {"w": ((tt.AxisPart("a", 3, 0),),)}), "3 entries in blocks of 0"),
    ("half a block", specification({"a": 3}, {"w": ((tt.AxisPart("a", 3, 0.5),),)}), "3 entries in blocks of 0.5"),
    ("buffer without axes", specification({"a": 3}, {}, frozenset({"mean"})), "the buffer 'mean' has no axes"),
    ("vectors with NaN", matched(ONES, NAN * ONES), "'w' holds NaN or infinite entries on the source side of pair 1"),
    ("vectors with infinity", matched(math.inf * ONES, ONES), "entries on the target side of pair 1"),
    ("norms that overflow", matched(1e200 * ONES.double(), 1e200 * ONES.double()), "the norms of pair 1 overflows float64"),
    ("products that overflow", matched(1e30 * ONES, 1e30 * ONES), "overflow torch.float32 in the gains of units 'a' (from 'w')"),
    ("sweeps below 0", matched(ONES, ONES, max_sweeps=-1), "max_sweeps=-1 is not a number of sweeps"),
    ("half a sweep", matched(ONES, ONES, max_sweeps=0.5), "max_sweeps=0.5 is not a number of sweeps"),
    ("tolerance of NaN", matched(ONES, ONES, tolerance=NAN), "tolerance=nan is not a share"),
    ("pair for a list of pairs", lambda _: tt.match((tt.Params({"w": ONES}),) * 2, SPEC), "a pair holds two Params"),
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
        lambda _: tt.moved([tt.Params({"w": ONES})], tt.Params({"w": ONES}), -1, tt.Permutation.identity(SPEC)),
        "the source has no step -1",
    ),
]


# --- the check of a specification


def checked_at(inputs: Tensor, spec: tt.PermutationSpec | None = None) -> Callable[[Path], object]:
    generator = torch.Generator().manual_seed(0)
    own = tt.permutation_spec(network(), torch.zeros(2, 4))
    return lambda _: tt.check_invariance(network(), spec or own, inputs, generator)


INVARIANCES = [
    ("narrow inputs", checked_at(torch.zeros(2, 3)), "Sequential in float64 fails on inputs of shape (2, 3)"),
    ("inputs of integers", checked_at(torch.zeros(2, 4, dtype=torch.long)), "fails on inputs of shape (2, 4)"),
    ("specification of another model", checked_at(torch.zeros(2, 4), SPEC), "does not know the tensor '0.weight'"),
]


# --- loss and gradients


def measured(point: Mapping[str, Tensor] | None = None, data: Any = None, what: Callable = tt.evaluate, **options: Any):
    return lambda _: what(network(), tt.Params(point or state(1)), batch() if data is None else data, **options)


LOSSES = [
    ("point without a parameter", measured(without("0.bias")), "the point lacks the parameters ['0.bias']"),
    ("gradient without a parameter", measured(without("0.bias"), what=tt.gradient), "the point lacks the parameters"),
    ("statistics without a parameter", measured(without("0.bias"), what=tt.running_statistics), "the point lacks"),
    ("point with another tensor", measured(state(1) | {"v": torch.zeros(1)}), "Sequential has no tensor 'v'"),
    ("point of another shape", measured(state(1) | {"0.bias": torch.zeros(5)}), "'0.bias' has shape (5,), Sequential has (6,)"),
    ("point of another type", measured(as_type(torch.float64)), "with weights of torch.float64 fails on inputs"),
    ("data of none", measured(data=(batch()[0][:0], batch()[1][:0])), "no samples with a label each"),
    ("data of three", measured(data=(*batch(), batch()[1])), "got a tuple of 3"),
    ("micro-batches of 0", measured(micro_batch=0), "micro_batch=0 is not a positive whole number"),
    ("micro-batches of -5", measured(what=tt.gradient, micro_batch=-5), "micro_batch=-5 is not"),
    ("gradient of a label above", measured(data=batch(label=2), what=tt.gradient), "label 2 is none of the 2 classes"),
    ("mini-batches that ran out", lambda _: tt.paired_gradients(network(), iter([]))(*[tt.Params(state(1))] * 2), "ran out"),
]


# --- networks


def built(name: str = "mlp", shape: Any = (1, 4, 4), classes: Any = 3, width: Any = 5) -> Callable[[Path], object]:
    return lambda _: architectures.build(name, shape, classes, width, 0)


NETWORKS = [
    ("fractional width", built(width=16.5), "a whole number of hidden units, got width=16.5; choose 16"),
    ("width of NaN", built(width=NAN), "width=nan is not within"),
    ("width of infinity", built(width=math.inf), "width=inf is not within"),
    ("width of 0", built(width=0), "width=0 is not within"),
    ("width of -5", built(width=-5), "width=-5 is not within"),
    ("width of half a unit", built(width=0.5), "at least one hidden unit, got width=0.5"),
    ("width of 10**9", built(width=10**9), "width=1000000000 is not within"),
    ("width in words", built(width="wide"), "width='wide' is not a number"),
    ("conv8 with a fraction of a channel", built("conv8", (3, 32, 32), width=1.001), "in its largest layer; choose 1.001953125"),
    ("resnet18 with a fraction of a channel", built("resnet18", (3, 32, 32), width=0.1), "choose 0.099609375"),
    ("conv8 without channels", built("conv8", (3, 32, 32), width=0.01), "conv8 at width=0.01 has no channels left"),
    ("conv8 of a million", built("conv8", (3, 32, 32), width=1e6), "is not within 0..100,000"),
    ("resnet18 of a thousand", built("resnet18", (3, 32, 32), width=1e3), "resnet18 at width=1000 does not fit"),
    ("one class", built(classes=1), "classes=1 leaves nothing to tell apart"),
    ("no classes", built(classes=0), "classes=0 leaves nothing to tell apart"),
    ("two and a half classes", built(classes=2.5), "classes=2.5 leaves nothing to tell apart"),
    ("shape of two", built(shape=(28, 28)), "shape=(28, 28) is no shape of images"),
    ("shape with a 0", built(shape=(1, 0, 28)), "shape=(1, 0, 28) is no shape of images"),
    ("shape of fractions", built(shape=(1, 2.5, 28)), "is no shape of images"),
    ("new head for no layer", lambda _: architectures.reset_head(nn.Sequential(nn.ReLU()), 3, 0), "has no linear layer inside"),
]


# --- data files


def idx(content: bytes, *shape: int, magic: int | None = None) -> bytes:
    """An IDX file, gzipped."""
    number = 0x0800 + len(shape) if magic is None else magic
    return gzip.compress(struct.pack(f">{1 + len(shape)}I", number, *shape) + content, 1)


def fashion(options: Mapping[str, Any] | None = None, **files: bytes) -> Callable[[Path], object]:
    """A load that would work, but for the options and the files that are given: images and labels of train and t10k."""
    images, labels = idx(bytes(40 * 784), 40, 28, 28), idx(bytes(i % 10 for i in range(40)), 40)
    whole = {"train_images": images, "train_labels": labels, "t10k_images": images, "t10k_labels": labels}

    def call(folder: Path) -> object:
        place = folder / "fashion-mnist"
        place.mkdir()
        for what, content in (whole | files).items():
            part, kind = what.split("_")
            (place / f"{part}-{kind}-idx{3 if kind == 'images' else 1}-ubyte.gz").write_bytes(content)
        return load_task("fashion-mnist", folder, **options or {})

    return call


def digits(**options: Any) -> Callable[[Path], object]:
    return lambda folder: load_task("mnist-5k", folder, **options)


FILES = [
    ("images that are empty", fashion(train_images=b""), "it is not an IDX file of 3 axes"),
    ("images that are text", fashion(train_images=b"<html>not found</html>"), "train-images-idx3-ubyte.gz cannot be unpacked"),
    (
        "images that are cut",
        fashion(t10k_images=idx(bytes(40 * 784), 40, 28, 28)[:-9]),
        "t10k-images-idx3-ubyte.gz cannot be unpacked",
    ),
    (
        "images with a damaged stream",
        fashion(train_images=idx(bytes(40 * 784), 40, 28, 28)[:20] + b"\xff" * 99),
        "cannot be unpacked",
    ),
    (
        "images of another magic number",
        fashion(train_images=idx(bytes(40 * 784), 40, 28, 28, magic=0x0D03)),
        "it is not an IDX file of 3 axes",
    ),
    ("labels in place of images", fashion(train_images=idx(bytes(40), 40)), "it is not an IDX file of 3 axes"),
    ("images in place of labels", fashion(train_labels=idx(bytes(40 * 784), 40, 28, 28)), "it is not an IDX file of 1 axes"),
    ("images fewer than announced", fashion(train_images=idx(bytes(39 * 784), 40, 28, 28)), "announces an array of (40, 28, 28)"),
    ("images more than announced", fashion(train_images=idx(bytes(41 * 784), 40, 28, 28)), "announces an array of (40, 28, 28)"),
    (
        "images of another side",
        fashion(t10k_images=idx(bytes(40 * 1024), 40, 32, 32)),
        "holds images of 32 x 32 instead of 28 x 28",
    ),
    ("images that are none", fashion(train_images=idx(b"", 0, 28, 28), train_labels=idx(b"", 0)), "holds 0 labels for 0 images"),
    (
        "labels fewer than images",
        fashion(train_labels=idx(bytes(39), 39)),
        "train-labels-idx1-ubyte.gz holds 39 labels for 40 images",
    ),
    ("label 77", fashion(train_labels=idx(bytes([77] * 40), 40)), "holds the label 77 instead of 0..9"),
    ("labels all the same", fashion(train_labels=idx(bytes(40), 40)), "holds one class of fashion-mnist only"),
    (
        "class in no training image",
        fashion(train_labels=idx(bytes([0] * 20 + [9] * 20), 40)),
        "no training image of fashion-mnist has the classes [1, 2",
    ),
    (
        "images too few to split",
        fashion(train_images=idx(bytes(19 * 784), 19, 28, 28), train_labels=idx(bytes([*range(10)] * 2)[:19], 19)),
        "has 19 training images; at least 20",
    ),
    ("size of 0", digits(size=0), "size=0 is not within"),
    ("size of -32", digits(size=-32), "size=-32 is not within"),
    ("size of 10**6", digits(size=10**6), "size=1000000 is not within"),
    ("size of 32.5", digits(size=32.5), "size=32.5 is not a whole number"),
    ("size below that of the images", fashion({"size": 14}), "images of side 28, which size=14 would have to cut"),
    ("class twice", digits(classes=(3, 7, 3)), "repeat [3]; list each class of mnist-5k once"),
    ("class below 0", fashion({"classes": (-1, 3)}), "fashion-mnist has no classes [-1]"),
    ("class of 2.5", digits(classes=(2.5, 3)), "are not whole numbers"),
    ("class in words", digits(classes="13"), "are not whole numbers"),
    ("class True", digits(classes=(True, 3)), "are not whole numbers"),
    ("one class of the digits", digits(classes=(3,)), "leave nothing to tell apart"),
    ("no class of the digits", digits(classes=()), "leave nothing to tell apart"),
]


CASES = [
    *(BadInput(f"transfer: {name}", transferred(**changes), words) for name, changes, words in TRANSFERS),
    *(BadInput(f"points: {name}", call, words) for name, call, words in POINTS),
    *(BadInput(f"invariance: {name}", call, words) for name, call, words in INVARIANCES),
    *(BadInput(f"losses: {name}", call, words) for name, call, words in LOSSES),
    *(BadInput(f"networks: {name}", call, words) for name, call, words in NETWORKS),
    *(BadInput(f"files: {name}", call, words) for name, call, words in FILES),
]
