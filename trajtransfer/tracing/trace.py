"""The permutation specification of a model, read off its graph (torch.fx) and one run on example inputs.

Every parameter starts with axes about which nothing is known; each operation merges the axes that have to
move together (rules in `layers` and `operations`); the axes of inputs and outputs do not move. What is still free at the end are
the groups of hidden units. An operation without a rule raises `UntraceableError`: a guess could be wrong.
"""

from __future__ import annotations

import copy
import operator
from typing import Any

import torch
from torch import Tensor, fx, nn

from trajtransfer.params import Params
from trajtransfer.permutation import AxisPart, Permutation, PermutationSpec
from trajtransfer.tracing import (  # noqa: F401  (they fill the table of rules)
    layer_rules,
    operation_rules,
)
from trajtransfer.tracing.axis_labels import Units, fixed, freeze, fresh, resolve
from trajtransfer.tracing.registry import IN_PLACE, RULES, Call, Traced, checked

Inputs = Tensor | tuple[Tensor, ...]


class UntraceableError(ValueError):
    """A model whose permutation symmetry could not be read off; says which operation, where, and what to do."""


def permutation_spec(model: nn.Module, inputs: Inputs) -> PermutationSpec:
    """Derive which hidden units of `model` may be permuted without changing its function.

    `inputs` is an example mini-batch (one tensor, or a tuple of positional arguments); two examples suffice.
    The model is copied, set to evaluation and run once on them. Groups of units carry the name of the first
    layer that produces them. Raises `UntraceableError` for operations it does not understand, control flow
    that depends on data, and units on two axes of one parameter.
    """
    _refuse_hooks(model)
    try:
        model = copy.deepcopy(model).eval()
        graph = fx.symbolic_trace(model)
    except Exception as error:  # torch.fx raises many kinds
        raise UntraceableError(
            f"torch.fx cannot trace {type(model).__name__}: {error}. Remove control flow that depends on tensor "
            "values, or write the PermutationSpec by hand"
        ) from error
    propagation = _Propagation(graph, model)
    with torch.no_grad():
        propagation.run(*_as_tuple(inputs))
    try:
        return propagation.spec(model)
    except ValueError as error:
        raise UntraceableError(f"{type(model).__name__}: {error}") from error


def _refuse_hooks(model: nn.Module) -> None:
    for name, module in model.named_modules():
        if module._forward_hooks or module._forward_pre_hooks:
            raise UntraceableError(
                f"the module {name or type(model).__name__!r} has forward hooks, which tracing cannot see; remove them, or "
                "write the PermutationSpec by hand"
            )


class _Propagation(fx.Interpreter):
    """Runs the graph on example inputs and labels every axis on the way."""

    def __init__(self, graph: fx.GraphModule, model: nn.Module):
        super().__init__(graph)
        self.extra_traceback = False  # our own errors already say where
        self.names = {id(p): name for name, p in (*model.named_parameters(), *model.named_buffers())}
        self.parameters = {id(p) for p in model.parameters()}
        self.weights: dict[str, Traced] = {}
        self.seen: dict[fx.Node, Any] = {}

    def run_node(self, n: fx.Node) -> Any:
        """Run one node and label the axes of what it returns."""
        value = super().run_node(n)
        self.seen[n] = self._label(n, value)
        return value

    def _label(self, node: fx.Node, value: Any) -> Any:
        """`Traced` for a tensor, a list of them for several, and the value itself for anything else."""
        if node.op == "placeholder" and isinstance(value, Tensor):
            return Traced(tuple(value.shape), tuple(map(fixed, value.shape)))
        if node.op == "get_attr" and isinstance(value, Tensor):
            return self._used_directly(value)
        if node.op == "output":
            fx.node.map_arg(node.args, self._freeze_output)
            return None
        several = isinstance(value, tuple | list) and bool(value) and all(isinstance(v, Tensor) for v in value)
        if not several and not isinstance(value, Tensor):
            if _tensors(value):
                raise UntraceableError(self._complaint(node, self._name(node), "it returns a structure of tensors"))
            return value
        if node.target is operator.getitem and isinstance(parts := self.seen[node.args[0]], list):  # type: ignore[index]
            return parts[node.args[1]]  # type: ignore[index]
        return self._apply(node, value, several)

    def _apply(self, node: fx.Node, value: Any, several: bool) -> Any:
        module = self.module.get_submodule(str(node.target)) if node.op == "call_module" else None
        name = self._name(node)
        if not any(isinstance(self.seen.get(n), Traced | list) for n in node.all_input_nodes) and isinstance(value, Tensor):
            return Traced(tuple(value.shape), tuple(map(fixed, value.shape)))  # made from numbers: a constant
        if name not in RULES:
            raise UntraceableError(self._complaint(node, name, "no rule says how it moves units"))
        shape: tuple[Any, ...] = tuple(tuple(v.shape) for v in value) if several else tuple(value.shape)
        args: Any = fx.node.map_arg(node.args, self.seen.__getitem__)
        kwargs: Any = fx.node.map_arg(node.kwargs, self.seen.__getitem__)
        try:
            call = Call.bound(name, args, kwargs, shape, module, lambda part: self._weight(getattr(module, part, None)))
            return checked(RULES[name](call), shape, several)
        except Exception as error:  # a rule that stumbles over arguments it was not written for has not understood them
            raise UntraceableError(self._complaint(node, name, f"its arguments are not understood ({error})")) from error

    def _name(self, node: fx.Node) -> str:
        """The name that rules are listed under; functions of other libraries than PyTorch's have none."""
        if node.op == "call_module":
            return type(self.module.get_submodule(str(node.target))).__name__
        name = str(getattr(node.target, "__name__", node.target))
        origin = (getattr(node.target, "__module__", None) or "torch").split(".")[0]
        if node.op == "call_function" and origin not in ("torch", "torchvision", "operator", "_operator"):
            return f"{origin}.{name}"
        return name[:-1] if name.endswith("_") and name[:-1] in IN_PLACE else name

    def _weight(self, tensor: Tensor | None) -> Traced | None:
        """The labels of a parameter or buffer, the same at every use, so that shared weights move together."""
        if tensor is None:
            return None
        name = self.names[id(tensor)]
        if name not in self.weights:
            self.weights[name] = Traced(tuple(tensor.shape), tuple(map(fresh, tensor.shape)))
        return self.weights[name]

    def _used_directly(self, tensor: Tensor) -> Traced:
        if id(tensor) not in self.names:  # a constant of the forward pass
            return Traced(tuple(tensor.shape), tuple(map(fixed, tensor.shape)))
        weight = self._weight(tensor)
        assert weight is not None
        if id(tensor) not in self.parameters:  # a constant table of the model, not a weight
            for label in weight.axes:
                freeze(label)
        return weight

    def _freeze_output(self, node: fx.Node) -> None:
        traced = self.seen[node]
        for x in traced if isinstance(traced, list) else [traced]:
            if isinstance(x, Traced):
                for label in x.axes:
                    freeze(label)

    def _complaint(self, node: fx.Node, name: str, reason: str) -> str:
        stack = node.meta.get("nn_module_stack") or {}
        place = next(reversed(stack), "") if stack else ""
        return (
            f"cannot trace the operation {name!r} (node {node.name!r}{f' in module {place!r}' if place else ''}): {reason}. "
            "Express it with supported layers, keep it outside the model that is transferred, or write the "
            "PermutationSpec by hand"
        )

    def spec(self, model: nn.Module) -> PermutationSpec:
        """Read the specification off the labels; tensors that were never used do not move."""
        tensors = dict((*model.named_parameters(), *model.named_buffers()))
        labels = {n: self.weights[n].axes if n in self.weights else tuple(map(fixed, x.shape)) for n, x in tensors.items()}
        names: dict[Units, str] = {}
        for produced_here in (True, False):  # first by the layer whose output axis they are, then by any use
            for tensor, axes in labels.items():
                for axis in axes[:1] if produced_here else axes:
                    _name_units(names, resolve(axis), tensor.rpartition(".")[0] or tensor)
        segments = {
            tensor: tuple(
                tuple(AxisPart(names[p.units] if p.units else None, p.size, p.block) for p in resolve(axis)) for axis in axes
            )
            for tensor, axes in labels.items()
        }
        sizes = {name: units.size for units, name in names.items()}
        return PermutationSpec(sizes, segments, frozenset(name for name, _ in model.named_buffers()))


def _name_units(names: dict[Units, str], pieces: Any, layer: str) -> None:
    new = list(dict.fromkeys(p.units for p in pieces if p.units is not None and p.units not in names))
    taken = set(names.values())
    for number, units in enumerate(new):
        name = layer if len(new) == 1 else f"{layer}[{number}]"
        while name in taken:
            name += "'"
        names[units] = name
        taken.add(name)


def check_invariance(model: nn.Module, spec: PermutationSpec, inputs: Inputs, generator: torch.Generator) -> None:
    """Raise ``ValueError`` unless ``f(x; pi theta) = f(x; theta)`` in float64 for a random `pi` and random inputs.

    Weights and running statistics are perturbed first, so that ones and zeros of an initialisation hide
    nothing. `inputs` gives the shapes (integer inputs are used as they are); `generator` is a CPU generator.
    The error names the first group of units that changes the output and the tensor axes where it acts.
    """
    model = copy.deepcopy(model).cpu().double().eval()
    state = Params({name: _perturbed(name, x, generator) for name, x in (*model.named_parameters(), *model.named_buffers())})
    examples = _examples(model, state, _as_tuple(inputs), generator)
    pi = Permutation.random(spec, generator)
    if not _changed(model, state, pi(state), examples):
        return
    for units in spec.sizes:
        alone = Permutation.identity(spec).replace(units, pi.indices[units])
        if _changed(model, state, alone(state), examples):
            places = ", ".join(f"axis {axis} of {name!r}" for name, axis in spec.places[units])
            raise ValueError(
                f"permuting the units {units!r} changes the output of {type(model).__name__}: the specification lists "
                f"{places}; one of these is wrong or one is missing. Correct the specification"
            )
    raise ValueError(f"the specification changes the output of {type(model).__name__} for combined permutations")


def _examples(model: nn.Module, state: Params, inputs: tuple[Tensor, ...], generator: torch.Generator) -> tuple[Tensor, ...]:
    """Random inputs, or the given ones, whichever first gives outputs that can be compared."""
    given = tuple(x.cpu().double() if x.is_floating_point() else x.cpu() for x in inputs)
    for candidate in (tuple(_random_like(x, generator) for x in inputs), given):
        outputs = _outputs(model, state, candidate)
        if outputs and all(x.isfinite().all() and x.any() for x in outputs):
            return candidate
    raise ValueError(
        f"the invariance of {type(model).__name__} cannot be checked: its outputs are not finite, or zero, at random inputs "
        "and at the given ones; pass inputs at which it works"
    )


def _changed(model: nn.Module, before: Params, after: Params, inputs: tuple[Tensor, ...]) -> bool:
    a, b = (_outputs(model, state, inputs) for state in (before, after))
    return not all((x - y).abs().max() <= 1e-8 * x.abs().max() for x, y in zip(a, b, strict=True))


def _outputs(model: nn.Module, state: Params, inputs: tuple[Tensor, ...]) -> list[Tensor]:
    try:
        with torch.no_grad():
            output = torch.func.functional_call(model, dict(state), inputs)
    except RuntimeError as error:
        if type(error) is not RuntimeError:  # out of memory stays what it is
            raise
        shapes = ", ".join(str(tuple(x.shape)) for x in inputs)
        raise ValueError(
            f"{type(model).__name__} in float64 fails on inputs of shape {shapes}: {error}. Pass inputs of the shape "
            "that it takes"
        ) from error
    return [x for x in _tensors(output) if x.is_floating_point()]


def _tensors(output: Any) -> list[Tensor]:
    """All tensors of a value, in sequences and dictionaries at any depth."""
    if isinstance(output, Tensor):
        return [output]
    if isinstance(output, dict):
        output = list(output.values())
    return [x for part in output for x in _tensors(part)] if isinstance(output, tuple | list) else []


def _perturbed(name: str, x: Tensor, generator: torch.Generator) -> Tensor:
    if not x.is_floating_point():
        return x.detach()
    noise = torch.rand(x.shape, generator=generator, dtype=x.dtype)
    return x.detach() * (0.9 + 0.2 * noise) + 0.01 * noise


def _random_like(x: Tensor, generator: torch.Generator) -> Tensor:
    if not x.is_floating_point():
        return x.cpu()
    return torch.randn(x.shape, generator=generator, dtype=torch.float64)


def _as_tuple(inputs: Inputs) -> tuple[Tensor, ...]:
    return inputs if isinstance(inputs, tuple) else (inputs,)
