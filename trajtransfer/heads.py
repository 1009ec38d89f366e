"""A target whose head has another number of outputs: its body is moved, its head stays its own."""

from __future__ import annotations

from torch import Tensor, nn

from trajtransfer.params import Params
from trajtransfer.specification import PermutationSpec
from trajtransfer.states import State, first_names


def with_head_of(model: nn.Module, target: State, source: State) -> tuple[State, Params]:
    """A target with the head of the source where its own has other outputs, and its own there.

    A head are parameters of `model` of which the target has other entries along the first axis
    alone. A table of embeddings is none: its rows are inputs.
    """
    own = {}
    for name, p in model.named_parameters():
        x = target.get(name)
        if isinstance(x, Tensor) and x.shape != p.shape:
            if not _may_be_head(x, p) or name in _tables(model):
                return target, Params({})  # to be refused with all that does not fit
            own[name] = x.detach().to(p.device, copy=True)
    first = first_names(model)
    others = {name: source[name] for name in target if first.get(name) in own and name in source}
    return {**target, **others}, Params(own)


def _may_be_head(x: Tensor, parameter: Tensor) -> bool:
    return x.ndim == parameter.ndim > 0 and x.shape[1:] == parameter.shape[1:]


def _tables(model: nn.Module) -> set[str]:
    """The parameters that hold a row for each input."""
    kinds = (nn.Embedding, nn.EmbeddingBag)
    return {f"{name}.weight" for name, one in model.named_modules() if isinstance(one, kinds)}


def require_outputs(spec: PermutationSpec, head: Params) -> None:
    """Raise ``ValueError`` where units stand on the first axis of what ought to be a head."""
    for name in head:
        units = next((part.units for part in spec.axes[name][0] if part.units is not None), None)
        if units is not None:
            raise ValueError(
                f"the target has another number of the units {units!r}, which {name!r} gives: it "
                "is of another width. Pass a target of the same widths; its head alone may differ"
            )
