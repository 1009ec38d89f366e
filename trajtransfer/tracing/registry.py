"""The table of tracing rules, and what a rule is given.

A rule relates the axis labels of the inputs, weights and output of one call. Functions, methods and
modules share one table, keyed by the name of the function or the class of the module.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from trajtransfer.tracing.axis_labels import Label, freeze, size_of, unify


class Traced(NamedTuple):
    """A tensor seen while tracing: its shape and the label of each axis."""

    shape: tuple[int, ...]
    axes: tuple[Label, ...]


class Call(NamedTuple):
    """One call of `name`, with `args` and `kwargs` in which tensors are `Traced`.

    `shape` is that of the result, a tuple of shapes where it is several tensors; `module` is the
    called layer, if any; `weight(name)` is the `Traced` of a parameter or buffer of that layer, or
    None if it has none.
    """

    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    shape: tuple[Any, ...]
    module: Any
    weight: Callable[[str], Traced | None]

    @classmethod
    def bound(cls, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], *rest: Any) -> Call:
        """A call with aliases of arguments resolved and its operands in front, however given."""
        kwargs = {ALIASES.get(key, key): value for key, value in kwargs.items()}
        for operand in OPERANDS[len(args) :]:
            if operand in kwargs:
                args = (*args, kwargs.pop(operand))
        others = kwargs.keys() - {"weight", "bias"}
        if any(isinstance(kwargs[key], Traced) for key in others):
            raise Unsupported(f"tensors given as {', '.join(kwargs)}")
        return cls(name, args, kwargs, *rest)

    def option(self, position: int, name: str, default: Any = None) -> Any:
        """An argument given by position or by name."""
        if len(self.args) > position:
            return self.args[position]
        return self.kwargs.get(name, default)


# Names that PyTorch accepts for one thing, and the operands of a function in their order.
ALIASES = {
    "axis": "dim",
    "keepdims": "keepdim",
    "mat2": "other",
    "tensors": "input",
    "x": "input",
    "x2": "other",
}
OPERANDS = ("input", "other")
Rule = Callable[[Call], Any]
IN_PLACE: set[str] = (
    set()
)  # operations that are also understood with an underscore behind their name
RULES: dict[str, Rule] = {}


class Unsupported(Exception):
    """Raised by a rule for arguments that it does not understand."""


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Register a rule under the names of functions, methods or module classes."""

    def register(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(names, function))
        return function

    return register


def checked(axes: Any, shape: Any, several: bool) -> Any:
    """What a rule returned as `Traced`, if its labels have the sizes of the result."""
    if several:
        return [checked(one, own, False) for one, own in zip(axes, shape, strict=True)]
    if tuple(map(size_of, axes)) != shape:
        raise Unsupported(f"the result has shape {shape}")
    return Traced(shape, axes)


def with_weight(label: Label, weight: Traced | None) -> Label:
    """Let the only axis of an optional weight move with `label`."""
    return label if weight is None else unify(label, weight.axes[0])


def unify_all(a: Sequence[Label], b: Sequence[Label]) -> None:
    """Let the axes of one sequence move with those of another."""
    for x, y in zip(a, b, strict=True):
        unify(x, y)


def freeze_all(labels: Sequence[Label]) -> None:
    """Let nothing move the entries of several axes."""
    for label in labels:
        freeze(label)
