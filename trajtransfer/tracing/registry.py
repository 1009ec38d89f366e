"""The table of tracing rules by ATen operation, and what a rule is given.

A rule relates the axis labels of the tensors that an operation takes to those of its results.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from trajtransfer.tracing.axis_labels import Label, fixed, freeze, fresh, unify
from trajtransfer.tracing.views import Axis, length, settled


class Traced(NamedTuple):
    """A tensor seen while tracing: its shape and the label of each axis."""

    shape: tuple[int, ...]
    axes: tuple[Any, ...]  # of `Label`; of `Axis` in rules of `SHAPING`


@dataclass(frozen=True)
class Call:
    """One call of an operation: its `name`, its `arguments` by name with tensors as `Traced`.

    `shape` is that of the result, a list of shapes where there are several.
    """

    name: str
    arguments: dict[str, Any]
    shape: Any

    def __getitem__(self, name: str) -> Any:
        """An argument by the name that it has in PyTorch's schema; None where it has none."""
        return self.arguments.get(name)

    @property
    def tensors(self) -> list[Traced]:
        """The tensors among the arguments, in their order; those in lists as well."""
        return traced_in(self.arguments.values())

    @property
    def x(self) -> Traced:
        """The first tensor."""
        return self.tensors[0]


Rule = Callable[[Call], Any]
RULES: dict[str, Rule] = {}
SHAPING: set[str] = set()  # operations whose rules understand axes that are parts of one


class Unsupported(Exception):
    """Raised by a rule for arguments that it does not understand."""


def rule(*names: str, shaping: bool = False) -> Callable[[Rule], Rule]:
    """Register a rule under the names of ATen operations, without overloads and underscores."""

    def register(function: Rule) -> Rule:
        """Enter a rule into the table."""
        RULES.update(dict.fromkeys(names, function))
        SHAPING.update(names if shaping else ())
        return function

    return register


def traced_in(values: Iterable[Any]) -> list[Traced]:
    """All tensors among some values, in lists too."""
    found = []
    for value in values:
        if isinstance(value, Traced):
            found.append(value)
        elif isinstance(value, list | tuple):
            found += traced_in(value)
    return found


def without_parts(value: Any) -> Any:
    """The same with a label of its own for every axis."""
    if isinstance(value, Traced):
        return Traced(value.shape, tuple(map(settled, value.axes)))
    if isinstance(value, list | tuple):
        return [without_parts(one) for one in value]
    return value


def checked(axes: Any, shape: Any) -> Any:
    """What a rule returned as `Traced`, if its labels have the sizes of the result."""
    if isinstance(shape, list):
        return [checked(one, own) for one, own in zip(axes, shape, strict=True)]
    if tuple(map(length, axes)) != tuple(shape):
        raise Unsupported(f"the result has shape {shape}")
    return Traced(shape, tuple(axes))


def immovable(shape: Sequence[int]) -> Traced:
    """A tensor that nothing moves."""
    return Traced(tuple(shape), tuple(map(fixed, shape)))


def indifferent(shape: Sequence[int]) -> Traced:
    """A tensor that moves with anything, since all of its entries are equal."""
    return Traced(tuple(shape), tuple(fresh(n, idle=True) for n in shape))


def with_weight(label: Label, weight: Traced | None) -> Label:
    """Let the only axis of an optional weight move with `label`."""
    return label if weight is None else unify(label, weight.axes[0])


def unify_all(a: Sequence[Label], b: Sequence[Label]) -> None:
    """Let the axes of one sequence move with those of another."""
    for x, y in zip(a, b, strict=True):
        unify(x, y)


def freeze_all(labels: Iterable[Axis]) -> None:
    """Let nothing move the entries of several axes."""
    for axis in labels:
        freeze(settled(axis))
