"""The permutation specification of a model, read off its graph (torch.fx) and one run on inputs.

Every parameter starts with axes about which nothing is known; each operation merges the axes that
have to move together (rules in `layer_rules`, `operation_rules` and `shape_rules`); the axes of
inputs and outputs do not move. What is still free at the end are the groups of hidden units. An
operation without a rule raises `UntraceableError`: a guess could be wrong.
"""

from __future__ import annotations

import copy
import operator
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, fx, nn

from trajtransfer.specification import Axis, AxisPart, PermutationSpec
from trajtransfer.tracing import (  # noqa: F401  (they fill the table of rules)
    layer_rules,
    operation_rules,
    shape_rules,
)
from trajtransfer.tracing.axis_labels import Label, Piece, Units, fixed, fresh, resolve
from trajtransfer.tracing.registry import IN_PLACE, RULES, Call, Traced, checked, freeze_all
from trajtransfer.tracing.values import Inputs, as_tuple, tensors_in


class UntraceableError(ValueError):
    """The permutation symmetry of a model cannot be read off; says where, and what to do."""


def permutation_spec(model: nn.Module, inputs: Inputs) -> PermutationSpec:
    """Derive which hidden units of `model` may be permuted without changing its function.

    `inputs` is an example mini-batch (one tensor, or a tuple of positional arguments); two examples
    suffice. The model is copied, set to evaluation and run once on them. Groups of units carry the
    name of the first layer that produces them. Raises `UntraceableError` for operations it does not
    understand, control flow that depends on data, and units on two axes of one parameter.
    """
    _refuse_hooks(model)
    kind = type(model).__name__
    try:
        model = copy.deepcopy(model).eval()
        graph = fx.symbolic_trace(model)
    except Exception as error:  # torch.fx raises many kinds
        raise UntraceableError(
            f"torch.fx cannot trace {kind}: {error}. Remove control flow that depends on tensor "
            "values, or write the PermutationSpec by hand"
        ) from error
    propagation = _Propagation(graph, model)
    with torch.no_grad():
        propagation.run(*as_tuple(inputs))
    try:
        return _specification(model, propagation.weights)
    except ValueError as error:
        raise UntraceableError(f"{kind}: {error}") from error


def _refuse_hooks(model: nn.Module) -> None:
    for name, module in model.named_modules():
        if module._forward_hooks or module._forward_pre_hooks:
            raise UntraceableError(
                f"the module {name or type(model).__name__!r} has forward hooks, which tracing "
                "cannot see; remove them, or write the PermutationSpec by hand"
            )


class _Propagation(fx.Interpreter):
    """Runs the graph on example inputs and labels every axis on the way."""

    def __init__(self, graph: fx.GraphModule, model: nn.Module):
        super().__init__(graph)
        self.extra_traceback = False  # our own errors already say where
        named = (*model.named_parameters(), *model.named_buffers())
        self.names = {id(p): name for name, p in named}
        self.parameters = {id(p) for p in model.parameters()}
        self.weights: dict[str, Traced] = {}
        self.seen: dict[fx.Node, Any] = {}

    def run_node(self, n: fx.Node) -> Any:
        """Run one node and label the axes of what it returns."""
        value = super().run_node(n)
        self.seen[n] = self._label(n, value)
        return value

    def _label(self, node: fx.Node, value: Any) -> Any:
        """`Traced` for a tensor, a list of them for several, and the value itself for the rest."""
        if node.op == "placeholder" and isinstance(value, Tensor):
            return _immovable(value)
        if node.op == "get_attr" and isinstance(value, Tensor):
            return self._used_directly(value)
        if node.op == "output":
            fx.node.map_arg(node.args, self._freeze_output)
            return None
        several = _are_tensors(value)
        if not several and not isinstance(value, Tensor):
            if tensors_in(value):
                raise self._untraceable(node, "it returns a structure of tensors")
            return value
        if node.target is operator.getitem:
            parts = self.seen[node.args[0]]  # type: ignore[index]
            if isinstance(parts, list):
                return parts[node.args[1]]  # type: ignore[index]
        return self._apply(node, value, several)

    def _apply(self, node: fx.Node, value: Any, several: bool) -> Any:
        """The labels that the rule of an operation gives to its result."""
        if isinstance(value, Tensor) and not self._takes_tensors(node):
            return _immovable(value)  # made from numbers: a constant
        rule = RULES.get(self._name(node))
        if rule is None:
            raise self._untraceable(node, "no rule says how it moves units")
        shape = tuple(tuple(v.shape) for v in value) if several else tuple(value.shape)
        try:
            return checked(rule(self._call(node, shape)), shape, several)
        except Exception as error:  # a rule was not written for these arguments
            reason = f"its arguments are not understood ({error})"
            raise self._untraceable(node, reason) from error

    def _takes_tensors(self, node: fx.Node) -> bool:
        return any(isinstance(self.seen.get(n), Traced | list) for n in node.all_input_nodes)

    def _call(self, node: fx.Node, shape: tuple[Any, ...]) -> Call:
        """What a rule is given."""
        module = None
        if node.op == "call_module":
            module = self.module.get_submodule(str(node.target))
        args: Any = fx.node.map_arg(node.args, self.seen.__getitem__)
        kwargs: Any = fx.node.map_arg(node.kwargs, self.seen.__getitem__)

        def weight(part: str) -> Traced | None:
            return self._weight(getattr(module, part, None))

        return Call.bound(self._name(node), args, kwargs, shape, module, weight)

    def _name(self, node: fx.Node) -> str:
        """The name that rules are listed under, with its library where that is not PyTorch."""
        if node.op == "call_module":
            return type(self.module.get_submodule(str(node.target))).__name__
        name = str(getattr(node.target, "__name__", node.target))
        origin = (getattr(node.target, "__module__", None) or "torch").split(".")[0]
        known = ("torch", "torchvision", "operator", "_operator")
        if node.op == "call_function" and origin not in known:
            return f"{origin}.{name}"
        if name.endswith("_") and name[:-1] in IN_PLACE:
            return name[:-1]
        return name

    def _weight(self, tensor: Tensor | None) -> Traced | None:
        """The labels of a parameter or buffer, the same at every use, even of shared weights."""
        if tensor is None:
            return None
        name = self.names[id(tensor)]
        if name not in self.weights:
            self.weights[name] = Traced(tuple(tensor.shape), tuple(map(fresh, tensor.shape)))
        return self.weights[name]

    def _used_directly(self, tensor: Tensor) -> Traced:
        if id(tensor) not in self.names:  # a constant of the forward pass
            return _immovable(tensor)
        weight = self._weight(tensor)
        assert weight is not None
        if id(tensor) not in self.parameters:  # a constant table of the model, not a weight
            freeze_all(weight.axes)
        return weight

    def _freeze_output(self, node: fx.Node) -> None:
        traced = self.seen[node]
        for x in traced if isinstance(traced, list) else [traced]:
            if isinstance(x, Traced):
                freeze_all(x.axes)

    def _untraceable(self, node: fx.Node, reason: str) -> UntraceableError:
        where = f"node {node.name!r}"
        modules = node.meta.get("nn_module_stack") or {}
        innermost = next(reversed(modules), "")
        if innermost:
            where += f" in module {innermost!r}"
        return UntraceableError(
            f"cannot trace the operation {self._name(node)!r} ({where}): {reason}. Express it with "
            "supported layers, keep it outside the model that is transferred, or write the "
            "PermutationSpec by hand"
        )


def _immovable(tensor: Tensor) -> Traced:
    """A tensor that nothing moves."""
    return Traced(tuple(tensor.shape), tuple(map(fixed, tensor.shape)))


def _are_tensors(value: Any) -> bool:
    """Whether a value is several tensors and nothing else."""
    if not isinstance(value, tuple | list) or not value:
        return False
    return all(isinstance(v, Tensor) for v in value)


def _specification(model: nn.Module, weights: dict[str, Traced]) -> PermutationSpec:
    """Read the specification off the labels; tensors that were never used do not move."""
    labels: dict[str, list[Label]] = {}
    for name, x in (*model.named_parameters(), *model.named_buffers()):
        traced = weights.get(name) or _immovable(x)
        labels[name] = [resolve(axis) for axis in traced.axes]
    names = _names_of_units(labels)
    axes = {}
    for name, resolved in labels.items():
        axes[name] = tuple(_axis(label, names) for label in resolved)
    sizes = {name: units.size for units, name in names.items()}
    return PermutationSpec(sizes, axes, frozenset(name for name, _ in model.named_buffers()))


def _axis(label: Label, names: dict[Units, str]) -> Axis:
    """A label with the names of its units."""
    parts = []
    for units, size, block in label:
        name = None if units is None else names[units]
        parts.append(AxisPart(name, size, block))
    return tuple(parts)


def _names_of_units(labels: dict[str, list[Label]]) -> dict[Units, str]:
    """Each group by the layer whose output axis it is, or else by the first that uses it."""
    names: dict[Units, str] = {}
    for tensor, axes in labels.items():
        for axis in axes[:1]:
            _name_units(names, axis, tensor.rpartition(".")[0] or tensor)
    for tensor, axes in labels.items():
        for axis in axes:
            _name_units(names, axis, tensor.rpartition(".")[0] or tensor)
    return names


def _name_units(names: dict[Units, str], axis: Iterable[Piece], layer: str) -> None:
    """Name the groups of an axis that have no name yet after a layer, numbered if several."""
    found = dict.fromkeys(piece.units for piece in axis if piece.units is not None)
    new = [units for units in found if units not in names]
    taken = set(names.values())
    for number, units in enumerate(new):
        name = layer if len(new) == 1 else f"{layer}[{number}]"
        while name in taken:
            name += "'"
        names[units] = name
        taken.add(name)
