"""A target whose head has another number of outputs: its body is moved, its head stays its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from trajtransfer.params import Params
from trajtransfer.specification import PermutationSpec
from trajtransfer.states import State, first_names, require_weights

LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)  # their outputs are the first axis
TABLES = (nn.Embedding, nn.EmbeddingBag)


def with_head_of(model: nn.Module, target: State, source: State) -> tuple[State, Params]:
    """A target with the head of the source where its own has other outputs, and its own there.

    A head are layers of `model` of which the target has other outputs and nothing else. One that
    shares its weight with a table of embeddings is none: the rows of the table are inputs. Raises
    ``ValueError`` for a head that is not finite, or of a type in which no network is trained.
    """
    given = {name: target.get(name) for name, _ in model.named_parameters()}
    own = dict(model.named_parameters())
    others = {n for n, x in given.items() if isinstance(x, Tensor) and x.shape != own[n].shape}
    tables = {id(one.weight) for one in model.modules() if isinstance(one, TABLES)}
    head: dict[str, Tensor] = {}
    for name, layer in model.named_modules():
        parts = [f"{name}.{key}".lstrip(".") for key, _ in layer.named_parameters(recurse=False)]
        if isinstance(layer, LAYERS) and others & set(parts) and _has_outputs(parts, own, target):
            head |= {part: target[part] for part in parts if id(own[part]) not in tables}
    if not others or head.keys() != others:
        return target, Params({})  # what does not fit is to be refused
    for name, x in head.items():
        require_weights(x, name, "the target")
    first = first_names(model)
    beside = {name: source[name] for name in target if first.get(name) in head and name in source}
    return {**target, **beside}, Params(
        {name: x.detach().to(own[name].device, copy=True) for name, x in head.items()}
    )


def _has_outputs(parts: Sequence[str], own: Mapping[str, Tensor], target: State) -> bool:
    """Whether a state has one number of outputs, 1 or more, in all parts of a layer."""
    if not all(isinstance(target.get(part), Tensor) and part in own for part in parts):
        return False
    shapes = [tuple(target[part].shape) for part in parts]
    counts = {shape[:1] for shape in shapes}
    inputs = [tuple(own[part].shape[1:]) for part in parts]
    return len(counts) == 1 and counts != {(0,)} and [shape[1:] for shape in shapes] == inputs


def require_outputs(spec: PermutationSpec, head: Params) -> None:
    """Raise ``ValueError`` where units stand on the first axis of what ought to be a head."""
    for name in head:
        units = next((part.units for part in spec.axes[name][0] if part.units is not None), None)
        if units is not None:
            raise ValueError(
                f"the target has another number of the units {units!r}, which {name!r} gives: it "
                "is of another width. Pass a target of the same widths; its head alone may differ"
            )
