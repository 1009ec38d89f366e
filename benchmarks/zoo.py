"""Which symmetry is found in models of others, and whether it is one.

``python -m benchmarks.zoo torchvision``, or ``timm`` or ``transformers`` where these are installed,
and names of models behind it to try those alone. A line per model: how many groups and units are
found, the share of the weights that they move, how far outputs change in float64 under a random
permutation (relative to the largest; in evaluation and in training, but without what is dropped at
random), the seconds of tracing, and what is pinned. The check indexes tensors by itself: of the
library it takes the specification, and what keeps functions from dropping.
"""

from __future__ import annotations

import copy
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

import trajtransfer as tt
from benchmarks import zoo_transformers
from trajtransfer.paper._torchvision import torchvision
from trajtransfer.tracing.modes import NothingDropped

LARGEST = 90_000_000  # parameters
RANDOM = ("Drop", "StochasticDepth")  # names of layers that drop something at random
Made = tuple[nn.Module, Any]  # a model and its inputs, a tensor or several by name
# Sides of images that a family needs; 64 does for the others.
SIDES = {"vit": 224, "swin": 224, "maxvit": 224, "inception": 299, "alexnet": 96, "squeezenet": 96}


def main() -> None:
    """Try the models of a library."""
    library, *chosen = sys.argv[1:] or ["torchvision"]
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    counts: dict[str, int] = {}
    for name, make in LIBRARIES[library]():
        if chosen and name not in chosen:
            continue
        torch.manual_seed(0)
        kind, words = tried(*make())
        counts[kind] = counts.get(kind, 0) + 1
        print(f"{name:32} {kind:8} {words}", flush=True)
    print(", ".join(f"{kind}: {count}" for kind, count in counts.items()))


def tried(model: nn.Module, inputs: Any) -> tuple[str, str]:
    """What became of a model, in a word and in numbers."""
    if sum(p.numel() for p in model.parameters()) > LARGEST:
        return "large", "not tried"
    clock = time.perf_counter()
    try:
        spec = tt.permutation_spec(model, inputs)
    except tt.UntraceableError as error:
        return "refused", str(error)[:150]
    seconds = time.perf_counter() - clock
    changes = [changed(model, spec, inputs, training) for training in (False, True)]
    said = " and ".join("unknown" if one is None else f"{one:.0e}" for one in changes)
    numbers = (
        f"{len(spec.sizes)} groups, {sum(spec.sizes.values())} units, {spec.share:.0%}, change "
        f"{said}, {seconds:.1f} s"
    )
    pinned = f", pinned: {'; '.join(spec.pinned)}" if spec.pinned else ""
    if not all(one is None or one < 1e-6 for one in changes):  # NaN is no symmetry either
        return "unsound", numbers + pinned
    return ("found" if spec.sizes else "nothing"), numbers + pinned


def changed(
    model: nn.Module, spec: tt.PermutationSpec, inputs: Any, training: bool = False
) -> float | None:
    """The largest change of an output under a random permutation, relative to its largest entry.

    Nothing is dropped in training; None for a model that even so gives two outputs for one input.
    """
    model = copy.deepcopy(model).double().train(training)
    for module in model.modules():
        if any(word in type(module).__name__ for word in RANDOM):
            module.eval()
    generator = torch.Generator().manual_seed(0)
    state = {}
    for name, x in (*model.named_parameters(), *model.named_buffers()):
        state[name] = x.detach()
        if x.is_floating_point():  # ones and zeros would hide what moves
            state[name] = x.detach() * (1 + 0.1 * torch.rand(x.shape, generator=generator)) + 0.01
    orders = _orders(spec, generator)
    moved = {name: _moved(x, spec.axes[name], orders) for name, x in state.items()}
    named = {name: _precise(x) for name, x in inputs.items()} if isinstance(inputs, dict) else {}
    positional = () if named else (_precise(inputs),)
    with torch.no_grad(), NothingDropped():
        before, again, after = (
            list(_tensors(functional_call(model, dict(at), positional, named)))
            for at in (state, state, moved)
        )
    return None if _difference(before, again) else _difference(before, after)


def _difference(before: list[Tensor], after: list[Tensor]) -> float:
    pairs = zip(before, after, strict=True)
    return max(float((a - b).abs().max() / a.abs().max().clamp(min=1e-30)) for a, b in pairs)


def _orders(spec: tt.PermutationSpec, generator: torch.Generator) -> dict[str, Tensor]:
    """A random order of each group of units; those inside larger ones go where these go."""
    orders = {units: torch.randperm(n, generator=generator) for units, n in spec.sizes.items()}
    for small, large in spec.inside.items():
        size = spec.sizes[small] // spec.sizes[large]
        entries = []
        for head in orders[large].tolist():
            entries.append(size * head + torch.randperm(size, generator=generator))
        orders[small] = torch.cat(entries)
    return orders


def _moved(x: Tensor, axes: Any, orders: dict[str, Tensor]) -> Tensor:
    for d, axis in enumerate(axes):
        entries: list[int] = []
        start = 0
        for units, size, block in axis:
            order = range(size // block) if units is None else orders[units].tolist()
            entries += [start + block * unit + k for unit in order for k in range(block)]
            start += size
        x = x.index_select(d, torch.tensor(entries, dtype=torch.long))
    return x


def _precise(x: Any) -> Any:
    return x.double() if isinstance(x, Tensor) and x.is_floating_point() else x


def _tensors(value: Any) -> Iterator[Tensor]:
    """All floating-point tensors of an output."""
    if isinstance(value, Tensor):
        if value.is_floating_point():
            yield value
    elif isinstance(value, dict):
        yield from _tensors(list(value.values()))
    elif isinstance(value, tuple | list):
        for one in value:
            yield from _tensors(one)


def _of_torchvision() -> Iterator[tuple[str, Callable[[], Made]]]:
    models = torchvision.models
    for name in models.list_models(module=models):
        side = next((n for family, n in SIDES.items() if name.startswith(family)), 64)
        more = {"init_weights": False} if name.startswith(("googlenet", "inception")) else {}
        yield name, _image_model(models.get_model, name, side, more)


def _of_timm() -> Iterator[tuple[str, Callable[[], Made]]]:
    """The two smallest of the first six models of each family."""
    _ = torchvision.models  # timm imports it, and finds it only where we have
    import timm

    for family in timm.list_modules():
        some = timm.list_models(module=family)[:6]
        for name in sorted(some, key=lambda name: _parameters(timm.create_model, name))[:2]:
            side = timm.get_pretrained_cfg(name).input_size[-1]
            yield name, _image_model(timm.create_model, name, side, {})


def _parameters(create: Any, name: str) -> int:
    with torch.device("meta"):
        return sum(p.numel() for p in create(name).parameters())


def _image_model(create: Any, name: str, side: int, more: dict[str, Any]) -> Callable[[], Made]:
    def make() -> Made:
        return create(name, num_classes=10, **more), torch.randn(2, 3, side, side)

    return make


LIBRARIES = {
    "torchvision": _of_torchvision,
    "timm": _of_timm,
    "transformers": zoo_transformers.models,
}

if __name__ == "__main__":
    main()
