"""How each operation of a network relates the axis labels of its inputs, weights and output.

Every rule is a function of the call that it explains. Rules for functions, methods and modules share one
table, keyed by the name of the function or the class of the module.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any, NamedTuple

from trajtransfer.labels import Label, fixed, freeze, fresh, movable, resolve, split, unify


class Traced(NamedTuple):
    """A tensor seen while tracing: its shape and the label of each axis."""

    shape: tuple[int, ...]
    axes: tuple[Label, ...]


class Call(NamedTuple):
    """One call: `args` and `kwargs` with tensors as `Traced`, the `shape` of the result, and access to weights.

    `shape` is a tuple of shapes where the result is several tensors; `module` is the called layer, if any;
    `weight(name)` is the `Traced` of a parameter or buffer of that layer, or None if it has none.
    """

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    shape: tuple[Any, ...]
    module: Any
    weight: Callable[[str], Traced | None]

    def option(self, position: int, name: str, default: Any = None) -> Any:
        """An argument given by position or by name."""
        return self.args[position] if len(self.args) > position else self.kwargs.get(name, default)


Rule = Callable[[Call], Any]
RULES: dict[str, Rule] = {}


class Unsupported(Exception):
    """Raised by a rule for arguments that it does not understand."""


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Register a rule under the names of functions, methods or module classes."""

    def register(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(names, function))
        return function

    return register


# --- layers with weights


@rule("Linear")
def _linear_module(call: Call) -> tuple[Label, ...]:
    return _linear(call.args[0], call.weight("weight"), call.weight("bias"))


@rule("linear")
def _linear_function(call: Call) -> tuple[Label, ...]:
    return _linear(call.args[0], call.option(1, "weight"), call.option(2, "bias"))


def _linear(x: Traced, weight: Traced | None, bias: Traced | None) -> tuple[Label, ...]:
    assert weight is not None
    unify(x.axes[-1], weight.axes[1])
    return (*x.axes[:-1], _with(weight.axes[0], bias))


@rule("Conv1d", "Conv2d", "Conv3d")
def _convolution(call: Call) -> tuple[Label, ...]:
    x, weight, groups = call.args[0], call.weight("weight"), call.module.groups
    assert weight is not None
    _freeze_all(x.axes[2:] + weight.axes[2:])
    channels, outputs = x.axes[1], weight.axes[0]
    if groups == 1:
        unify(channels, weight.axes[1])
    else:
        _grouped(channels, weight.axes[1], outputs, x.shape[1], weight.shape[0], groups)
    return (x.axes[0], _with(outputs, call.weight("bias")), *map(fixed, call.shape[2:]))


def _grouped(channels: Label, inner: Label, outputs: Label, inputs: int, size: int, groups: int) -> None:
    """Of the two symmetries of a grouped convolution, keep the one with more elements.

    Either whole groups trade places (G! elements; for a depthwise convolution these are its channels), or
    units move inside the groups: alike for the inputs of all groups, independently for their outputs.
    """
    within = groups * math.lgamma(size // groups + 1) + math.lgamma(inputs // groups + 1)
    if math.lgamma(groups + 1) >= within:
        whole = fresh(groups)
        for label, length in ((channels, inputs), (outputs, size)):
            unify(label, tuple(p._replace(size=length, block=length // groups) for p in whole))
        freeze(inner)
    else:
        unify(channels, inner * groups)
        split(outputs, [size // groups] * groups)


@rule("BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d")
def _batch_norm(call: Call) -> tuple[Label, ...]:
    x = call.args[0]
    for name in ("weight", "bias", "running_mean", "running_var"):
        _with(x.axes[1], call.weight(name))
    return x.axes


@rule("GroupNorm")
def _group_norm(call: Call) -> tuple[Label, ...]:
    """Channels move inside their groups, or whole groups trade places, whichever has more elements."""
    x, groups = call.args[0], call.module.num_groups
    size = x.shape[1] // groups
    if math.lgamma(groups + 1) >= groups * math.lgamma(size + 1):
        unify(x.axes[1], fresh(x.shape[1], size))
    else:
        split(x.axes[1], [size] * groups)
    for name in ("weight", "bias"):
        _with(x.axes[1], call.weight(name))
    return x.axes


@rule("LayerNorm", "RMSNorm")
def _layer_norm(call: Call) -> tuple[Label, ...]:
    return _normalised(call.args[0], call.weight("weight"), call.weight("bias"))


@rule("layer_norm", "rms_norm")
def _layer_norm_function(call: Call) -> tuple[Label, ...]:
    return _normalised(call.args[0], call.option(2, "weight"), call.option(3, "bias"))


def _normalised(x: Traced, *weights: Traced | None) -> tuple[Label, ...]:
    """A normalisation over all entries of the last axes, which does not see their order."""
    for weight in weights:
        if weight is not None:
            _unify_all(x.axes[len(x.axes) - len(weight.axes) :], weight.axes)
    return x.axes


@rule("PReLU")
def _prelu(call: Call) -> tuple[Label, ...]:
    x, weight = call.args[0], call.weight("weight")
    assert weight is not None
    if weight.shape[0] > 1:
        unify(x.axes[1], weight.axes[0])
    return x.axes


# --- operations without weights


ELEMENTWISE = """
    relu relu6 leaky_relu elu selu celu gelu silu mish softplus softsign softshrink hardshrink tanhshrink
    sigmoid logsigmoid tanh hardtanh hardsigmoid hardswish threshold softmax log_softmax softmin
    stochastic_depth dropout dropout1d dropout2d dropout3d alpha_dropout feature_alpha_dropout
    abs neg exp expm1 log log1p sqrt rsqrt square sin cos erf reciprocal sign clamp contiguous clone detach float
    double to type_as
    ReLU ReLU6 LeakyReLU ELU SELU CELU GELU SiLU Mish Softplus Softsign Softshrink Hardshrink Tanhshrink Sigmoid
    LogSigmoid Tanh Hardtanh Hardsigmoid Hardswish Threshold Softmax LogSoftmax Softmin RReLU
    Dropout Dropout1d Dropout2d Dropout3d AlphaDropout FeatureAlphaDropout Identity
"""


@rule(*ELEMENTWISE.split())
def _elementwise(call: Call) -> tuple[Label, ...]:
    """One tensor in, the same axes out. A softmax commutes with permutations of its axis too."""
    if any(isinstance(a, Traced) for a in (*call.args[1:], *call.kwargs.values())):
        raise Unsupported("a second tensor")
    return call.args[0].axes


@rule(
    *[
        "add",
        "sub",
        "mul",
        "div",
        "truediv",
        "iadd",
        "isub",
        "imul",
        "itruediv",
        "pow",
        "maximum",
        "minimum",
        "eq",
        "ne",
        "lt",
        "le",
        "gt",
        "ge",
    ]
)
def _arithmetic(call: Call) -> tuple[Label, ...]:
    """Broadcasting arithmetic: axes that meet move together."""
    tensors = [a for a in call.args[:2] if isinstance(a, Traced)]
    axes = []
    for d in range(-len(call.shape), 0):
        meeting = [x.axes[d] for x in tensors if -d <= len(x.shape) and x.shape[d] == call.shape[d]]
        axes.append(reduce(unify, meeting))
    return tuple(axes)


@rule("matmul", "bmm")
def _matmul(call: Call) -> tuple[Label, ...]:
    a, b = call.args[:2]
    if len(a.axes) < 2 or len(b.axes) < 2:
        raise Unsupported("a vector")
    unify(a.axes[-1], b.axes[-2])
    stacks = tuple(Traced(x.shape[:-2], x.axes[:-2]) for x in (a, b))
    return (*_arithmetic(call._replace(args=stacks, shape=call.shape[:-2])), a.axes[-2], b.axes[-1])


@rule(*(f"{a}Pool{d}d" for a in ("Max", "Avg", "AdaptiveAvg", "AdaptiveMax", "LP") for d in "123"))
@rule(*(f"{a}_pool{d}d" for a in ("max", "avg", "adaptive_avg", "adaptive_max", "lp") for d in "123"))
@rule("interpolate", "Upsample", "ZeroPad2d")
def _pooling(call: Call) -> tuple[Label, ...]:
    x = call.args[0]
    _freeze_all(x.axes[2:])
    return (*x.axes[:2], *map(fixed, call.shape[2:]))


@rule("mean", "sum", "amax", "amin", "var", "std", "logsumexp")
def _reduction(call: Call) -> tuple[Label, ...]:
    """Symmetric functions of an axis do not see its order."""
    x, dims = call.args[0], call.option(1, "dim")
    dims = range(len(x.axes)) if dims is None else [dims] if isinstance(dims, int) else dims
    reduced = {d % len(x.axes) for d in dims}
    if len(call.shape) == len(x.axes):
        return tuple(fixed(1) if d in reduced else label for d, label in enumerate(x.axes))
    return tuple(label for d, label in enumerate(x.axes) if d not in reduced)


@rule("cat", "concat", "concatenate")
def _concatenation(call: Call) -> tuple[Label, ...]:
    tensors, dim = call.args[0], call.option(1, "dim", 0) % len(call.shape)
    axes = list(tensors[0].axes)
    for x in tensors[1:]:
        axes = [a if d == dim else unify(a, b) for d, (a, b) in enumerate(zip(axes, x.axes, strict=True))]
    axes[dim] = tuple(piece for x in tensors for piece in x.axes[dim])
    return tuple(axes)


@rule("chunk", "split", "unbind", "tensor_split")
def _parts(call: Call) -> list[tuple[Label, ...]]:
    """Several tensors out; `shape` is then the list of their shapes."""
    x, shapes = call.args[0], call.shape
    if len(shapes[0]) != len(x.axes):
        raise Unsupported("removing an axis; use chunk or split")
    dim = call.option(2, "dim", 0) % len(x.axes)
    parts = split(x.axes[dim], [shape[dim] for shape in shapes])
    return [(*x.axes[:dim], part, *x.axes[dim + 1 :]) for part in parts]


@rule("GLU", "glu")
def _gated_linear_unit(call: Call) -> tuple[Label, ...]:
    x = call.args[0]
    dim = (call.module.dim if call.module is not None else call.option(1, "dim", -1)) % len(x.axes)
    a, b = split(x.axes[dim], [x.shape[dim] // 2] * 2)
    return (*x.axes[:dim], unify(a, b), *x.axes[dim + 1 :])


@rule("getitem")
def _indexing(call: Call) -> tuple[Label, ...]:
    x, index = call.args
    index = index if isinstance(index, tuple) else (index,)
    if not all(isinstance(i, int | slice) for i in index):
        raise Unsupported("an index that is not an integer or a slice")
    axes = []
    for d, label in enumerate(x.axes):
        i = index[d] if d < len(index) else slice(None)
        if isinstance(i, int):
            freeze(label)
            continue
        start, stop, step = i.indices(x.shape[d])
        if step == 1:
            label = split(label, [start, stop - start, x.shape[d] - stop])[1]
        else:
            freeze(label)
            label = fixed(len(range(start, stop, step)))
        axes.append(label)
    return tuple(axes)


@rule("permute")
def _permute(call: Call) -> tuple[Label, ...]:
    x, order = call.args[0], call.args[1:]
    order = order[0] if order and not isinstance(order[0], int) else order or call.kwargs["dims"]
    return tuple(x.axes[d] for d in order)


@rule("transpose", "swapaxes")
def _transpose(call: Call) -> tuple[Label, ...]:
    axes = list(call.args[0].axes)
    a, b = call.option(1, "dim0"), call.option(2, "dim1")
    axes[a], axes[b] = axes[b], axes[a]
    return tuple(axes)


@rule("view", "reshape", "flatten", "Flatten", "unflatten", "Unflatten", "squeeze", "unsqueeze")
def _reshape(call: Call) -> tuple[Label, ...]:
    """Walk both shapes together; each stretch of equal size splits one axis or merges several."""
    x, old, new, axes = call.args[0], 0, 0, list[Label]()
    while old < len(x.shape) or new < len(call.shape):
        i, j = old, new
        n, m = 1, 1
        while n != m or (i == old and j == new):
            if (n <= m and i < len(x.shape)) or j == len(call.shape):
                n, i = n * x.shape[i], i + 1
            else:
                m, j = m * call.shape[j], j + 1
        axes += _regroup(x.axes[old:i], x.shape[old:i], call.shape[new:j])
        old, new = i, j
    return tuple(axes)


def _regroup(labels: Sequence[Label], old: Sequence[int], new: Sequence[int]) -> list[Label]:
    """Labels of the new axes of one stretch; several axes into several others are frozen."""
    if sum(n > 1 for n in new) <= 1:
        merged = _merge(labels, old)
        return [merged if n > 1 else fixed(1) for n in new]
    wide = [label for label, n in zip(labels, old, strict=True) if n > 1]
    if len(wide) > 1:
        _freeze_all(labels)
        return [fixed(n) for n in new]
    lead = next(d for d, n in enumerate(new) if n > 1)  # the units of the first wide axis carry the others as a block
    block = math.prod(new[lead + 1 :])
    carrier = resolve(unify(wide[0], fresh(new[lead] * block, block)))
    if any(piece.size % block or (piece.units is not None and piece.block % block) for piece in carrier):
        freeze(wide[0])
        return [fixed(n) for n in new]
    leading = tuple(p._replace(size=p.size // block, block=p.block // block if p.units else 1) for p in carrier)
    return [leading if d == lead else fixed(n) for d, n in enumerate(new)]


def _merge(labels: Sequence[Label], old: Sequence[int]) -> Label:
    """One axis from several: at most one of them may be movable, the others become its blocks and repeats."""
    movables = [d for d, label in enumerate(labels) if movable(label)]
    if len(movables) != 1:
        _freeze_all(labels)
        return fixed(math.prod(old))
    d = movables[0]
    inner = math.prod(old[d + 1 :])
    once = tuple(p._replace(size=p.size * inner, block=p.block * inner) for p in resolve(labels[d]))
    return once * math.prod(old[:d])


def _with(label: Label, weight: Traced | None) -> Label:
    """Let the only axis of an optional weight move with `label`."""
    return label if weight is None else unify(label, weight.axes[0])


def _unify_all(a: Sequence[Label], b: Sequence[Label]) -> None:
    for x, y in zip(a, b, strict=True):
        unify(x, y)


def _freeze_all(labels: Sequence[Label]) -> None:
    for label in labels:
        freeze(label)
