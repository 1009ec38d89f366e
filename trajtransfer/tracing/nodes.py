"""What single operations of a graph are called and given, and tensors that no weight decides."""

from __future__ import annotations

from typing import Any

from torch import Tensor, fx
from torch._ops import OpOverload

from trajtransfer.tracing.registry import Traced, immovable, indifferent, without_parts

# Tensors of which all entries are equal, or are still to be written.
FILLED = """
    zeros ones full empty new_zeros new_ones new_full new_empty zeros_like ones_like full_like
    empty_like empty_strided new_empty_strided scalar_tensor
""".split()


def operation(node: fx.Node) -> str:
    """The name that rules are listed under: that of an ATen operation, or of a function."""
    if not isinstance(node.target, OpOverload):
        return str(getattr(node.target, "__name__", node.target))
    name = node.target._schema.name.removeprefix("aten::")
    return name.removesuffix("_") if writes(node) else name


def writes(node: fx.Node) -> bool:
    """Whether an operation writes into what it is given."""
    return isinstance(node.target, OpOverload) and node.target._schema.is_mutable


def bound(node: fx.Node, args: Any, kwargs: Any, shaping: bool) -> dict[str, Any]:
    """The arguments of an operation by name, with their defaults."""
    found = {}
    for number, argument in enumerate(node.target._schema.arguments):  # type: ignore[union-attr]
        value = argument.default_value if argument.has_default_value() else None
        if number < len(args):
            value = args[number]
        value = kwargs.get(argument.name, value)
        found[argument.name] = value if shaping else without_parts(value)
    return found


def shapes(value: Any) -> Any:
    """The shape of a tensor, or a list of those of several; None for what is neither."""
    if isinstance(value, Tensor):
        return tuple(map(int, value.shape))
    if isinstance(value, list | tuple) and all(isinstance(one, Tensor) for one in value):
        return [tuple(map(int, one.shape)) for one in value]
    return None


def pinned_values(value: Any) -> Any:
    """Tensors that nothing moves, in the structure of a value."""
    if isinstance(value, Tensor):
        return immovable(tuple(map(int, value.shape)))
    if isinstance(value, list | tuple):
        return [pinned_values(one) for one in value]
    return None


def made(node: fx.Node, value: Any) -> Any:
    """A tensor that is made from numbers."""
    if isinstance(value, Tensor) and operation(node) in FILLED:
        return indifferent(tuple(map(int, value.shape)))
    return pinned_values(value)


def constant(tensor: Tensor) -> Traced:
    """A constant of the forward pass."""
    if tensor.numel() and bool((tensor == tensor.flatten()[0]).all()):
        return indifferent(tensor.shape)
    return immovable(tensor.shape)
