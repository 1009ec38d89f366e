"""The permutation specification of a model, read off its graph.

Every parameter starts with axes about which nothing is known; each operation merges the axes that
have to move together (the rules are in the modules beside this one); the axes of inputs and outputs
do not move. What is still free at the end are the groups of hidden units. What is not understood is
pinned: an operation without a rule lets nothing move that reaches it, which is always valid.
"""

from __future__ import annotations

import operator
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch._ops import OpOverload

from trajtransfer.inputs import Inputs, tensors_in
from trajtransfer.specification import PermutationSpec
from trajtransfer.states import first_names
from trajtransfer.tracing import (  # noqa: F401  (they fill the table of rules)
    indexing_rules,
    layer_rules,
    operation_rules,
    product_rules,
    recurrent_rules,
    shape_rules,
)
from trajtransfer.tracing.axis_labels import fresh, movable
from trajtransfer.tracing.export import UntraceableError, exported
from trajtransfer.tracing.naming import specification
from trajtransfer.tracing.nodes import (
    FILLED,
    bound,
    constant,
    made,
    operation,
    pinned_values,
    shapes,
    writes,
)
from trajtransfer.tracing.operation_rules import pointwise
from trajtransfer.tracing.registry import (
    RULES,
    SHAPING,
    Call,
    Traced,
    checked,
    freeze_all,
    traced_in,
    unify_all,
    without_parts,
)
from trajtransfer.tracing.views import settled

# What stands around other operations and changes no number.
CONTEXTS = ("wrap_with_set_grad_enabled", "wrap_with_autocast", "tag_activation_checkpoint")
# What reads shapes and types, or checks them, and no number.
HARMLESS = ("sym_size", "sym_numel", "sym_stride", "sym_storage_offset")


def permutation_spec(model: nn.Module, inputs: Inputs, *, strict: bool = False) -> PermutationSpec:
    """Derive which hidden units of `model` may be permuted without changing its function.

    The model is traced by ``torch.export``, without being run. Groups of units carry the name of
    the first layer that produces them. What is not understood does not move: the result says which
    operations were not (``spec.pinned``), and a warning does. Raises `UntraceableError` for a model
    that cannot be traced, such as one whose control flow depends on data.

    Args:
        model: The network. It is read only.
        inputs: An example mini-batch, of two examples or more: a tensor, a tuple of positional
            arguments, or a dictionary of arguments by name.
        strict: Raise `UntraceableError` where something is not understood.
    """
    tracing = _Tracing(model)
    tracing.run(exported(model, inputs))
    if tracing.unused:  # parts that are there for training, such as auxiliary heads
        tracing.try_training(model, inputs)
    spec = specification(model, tracing.weights, tracing.pinned)
    if spec.pinned:
        words = (
            f"parts of {type(model).__name__} do not move, since these operations are not "
            f"understood: {'; '.join(spec.pinned)}"
        )
        if strict:
            raise UntraceableError(
                f"{words}. Express them with others, or write the PermutationSpec by hand"
            )
        warnings.warn(words, stacklevel=2)
    return spec


class _Tracing:
    """The labels of all weights of a model, after its graphs have been walked through."""

    def __init__(self, model: nn.Module):
        self.names = first_names(model)
        self.parameters = [name for name, _ in model.named_parameters()]
        self.weights: dict[str, Traced] = {}
        self.pinned: list[str] = []

    @property
    def unused(self) -> list[str]:
        """Parameters that no graph has used so far."""
        return [name for name in self.parameters if name not in self.weights]

    def try_training(self, model: nn.Module, inputs: Inputs) -> None:
        """Walk through the graph of training, if there is one for these inputs.

        Where there is none, what training alone uses stays where it is.
        """
        unused = self.unused
        try:
            program = exported(model, inputs, training=True)
        except UntraceableError:
            self.pinned.append(f"training, which alone may use {unused[0]!r}")
        else:
            self.run(program)

    def run(self, program: Any) -> None:
        """Walk through a graph, and let what comes out of it stay where it is."""
        signature = program.graph_signature
        module = program.graph_module
        taken = [node for node in module.graph.nodes if node.op == "placeholder"]
        given = [
            self._given(spec, node.meta.get("val"), program) if node.users else None
            for spec, node in zip(signature.input_specs, taken, strict=True)
        ]
        results = self.walk(module, iter(given))
        for spec, found in zip(signature.output_specs, results, strict=True):
            if spec.kind.name == "BUFFER_MUTATION":
                kept = self._weight(spec.target, found.shape)
                unify_all(without_parts(found).axes, kept.axes)
            else:
                freeze_all(axis for x in traced_in([found]) for axis in x.axes)

    def _given(self, spec: Any, value: Any, program: Any) -> Any:
        """The labels of what goes into a graph: weights, constants, inputs."""
        if spec.kind.name in ("PARAMETER", "BUFFER") and value.is_floating_point():
            return self._weight(spec.target, value.shape)
        if spec.kind.name == "CONSTANT_TENSOR":
            return constant(program.constants[spec.target])
        return pinned_values(value)

    def _weight(self, name: str, shape: Sequence[int]) -> Traced:
        """The labels of a parameter or buffer, the same at every use, even of shared weights."""
        name = self.names[name]
        if name not in self.weights:
            self.weights[name] = Traced(tuple(shape), tuple(map(fresh, shape)))
        return self.weights[name]

    def walk(self, module: fx.GraphModule, given: Iterator[Any]) -> Any:
        """What comes out of a graph, as `Traced` where it is a tensor."""
        seen: dict[fx.Node, Any] = {}
        for node in module.graph.nodes:
            if node.op == "placeholder":
                seen[node] = next(given)
            elif node.op == "get_attr":
                found = operator.attrgetter(str(node.target))(module)
                seen[node] = constant(found) if isinstance(found, Tensor) else found
            elif node.op == "output":
                return fx.node.map_arg(node.args[0], seen.__getitem__)
            else:
                seen[node] = self._result(node, seen)
        raise AssertionError("a graph has an output")

    def _result(self, node: fx.Node, seen: dict[fx.Node, Any]) -> Any:
        """The labels of what an operation returns."""
        args: Any = fx.node.map_arg(node.args, seen.__getitem__)
        kwargs: Any = fx.node.map_arg(node.kwargs, seen.__getitem__)
        if node.target is operator.getitem:
            return args[0][args[1]]
        if operation(node) in CONTEXTS:
            inner = next(number for number, x in enumerate(args) if isinstance(x, fx.GraphModule))
            return self.walk(args[inner], iter(args[inner + 1 :]))
        value = node.meta.get("val")
        if any(isinstance(n, torch.SymInt) for x in tensors_in(value) for n in x.shape):
            raise UntraceableError(
                f"the shape of what {operation(node)!r} returns depends on numbers in tensors; "
                "take such parts out of the model, or write the PermutationSpec by hand"
            )
        tensors = traced_in([*args, *kwargs.values()])
        if not tensors or (value is None and not writes(node)):
            return made(node, value)
        if not isinstance(node.target, OpOverload):
            return self._pin(node, tensors, value)
        return self._apply(node, args, kwargs, value, tensors)

    def _apply(
        self, node: fx.Node, args: Any, kwargs: Any, value: Any, tensors: list[Traced]
    ) -> Any:
        """What a rule says, or else nothing moves."""
        name = operation(node)
        rule = RULES.get(name)
        if rule is None and torch.Tag.pointwise in node.target.tags:  # type: ignore[union-attr]
            rule = pointwise
            name = "clone"
        if name in FILLED:
            return made(node, value)
        if name in HARMLESS:
            return None
        shape = shapes(value)
        if rule is None or shape is None:
            return self._pin(node, tensors, value)
        try:
            call = Call(name, bound(node, args, kwargs, name in SHAPING), shape)
            found = checked(rule(call), shape)
        except Exception:  # a rule was not written for these arguments
            return self._pin(node, tensors, value)
        return found

    def _pin(self, node: fx.Node, tensors: Sequence[Traced], value: Any) -> Any:
        """Let nothing move that an operation takes, and hence nothing that it returns."""
        moves = any(movable(settled(axis)) for x in tensors for axis in x.axes)
        for x in tensors:  # also those of equal entries: what writes into them may make them differ
            freeze_all(x.axes)
        if not moves:
            return pinned_values(value)
        modules = [name for name, _ in (node.meta.get("nn_module_stack") or {}).values()]
        where = f" in {modules[-1]!r}" if modules and modules[-1] else ""
        self.pinned.append(f"{operation(node)}{where}")
        return pinned_values(value)
