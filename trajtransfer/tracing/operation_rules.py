"""Tracing rules of operations without weights: arithmetic, reductions, concatenations, changes of shape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce

from trajtransfer.tracing.axis_labels import Label, fixed, freeze, fresh, movable, resolve, split, unify
from trajtransfer.tracing.registry import IN_PLACE, Call, Traced, Unsupported, freeze_all, rule

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


ARITHMETIC = "add sub mul div truediv pow iadd isub imul itruediv maximum minimum eq ne lt le gt ge"
IN_PLACE |= {*ELEMENTWISE.split(), *ARITHMETIC.split()}


@rule(*ELEMENTWISE.split())
def _elementwise(call: Call) -> tuple[Label, ...]:
    """One tensor in, the same axes out. A softmax commutes with permutations of its axis too."""
    if any(isinstance(a, Traced) for a in (*call.args[1:], *call.kwargs.values())):
        raise Unsupported("a second tensor")
    return call.args[0].axes


@rule(*ARITHMETIC.split())
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
@rule("ZeroPad2d", "interpolate", "Upsample")
def _pooling(call: Call) -> tuple[Label, ...]:
    """Space does not move; the number of its axes is in the name (interpolation: all but two, padding: two)."""
    x = call.args[0]
    space = {"interpolate": len(x.shape) - 2, "Upsample": len(x.shape) - 2, "ZeroPad2d": 2}.get(call.name)
    space = int(call.name[-2]) if space is None else space
    freeze_all(x.axes[-space:])
    return (*x.axes[:-space], *map(fixed, call.shape[-space:]))


@rule("mean", "sum", "amax", "amin", "var", "std", "logsumexp")
def _reduction(call: Call) -> tuple[Label, ...]:
    """Symmetric functions of an axis do not see its order."""
    x, dims = call.args[0], call.option(1, "dim")
    if isinstance(dims, bool):
        raise Unsupported("a truth value in place of an axis")
    dims = [dims] if isinstance(dims, int) else dims or range(len(x.axes))
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
        freeze_all(labels)
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
        freeze_all(labels)
        return fixed(math.prod(old))
    d = movables[0]
    inner = math.prod(old[d + 1 :])
    once = tuple(p._replace(size=p.size * inner, block=p.block * inner) for p in resolve(labels[d]))
    return once * math.prod(old[:d])
