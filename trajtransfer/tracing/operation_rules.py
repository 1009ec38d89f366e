"""Tracing rules of operations without weights: arithmetic, reductions, changes of shape."""

from __future__ import annotations

from functools import reduce

from trajtransfer.tracing.axis_labels import (
    Label,
    fixed,
    freeze,
    split,
    unify,
)
from trajtransfer.tracing.registry import IN_PLACE, Call, Traced, Unsupported, freeze_all, rule

ELEMENTWISE = """
    relu relu6 leaky_relu elu selu celu gelu silu mish softplus softsign softshrink hardshrink
    tanhshrink sigmoid logsigmoid tanh hardtanh hardsigmoid hardswish threshold softmax log_softmax
    softmin stochastic_depth dropout dropout1d dropout2d dropout3d alpha_dropout
    feature_alpha_dropout abs neg exp expm1 log log1p sqrt rsqrt square sin cos erf reciprocal sign
    clamp contiguous clone detach float double to type_as
    ReLU ReLU6 LeakyReLU ELU SELU CELU GELU SiLU Mish Softplus Softsign Softshrink Hardshrink
    Tanhshrink Sigmoid LogSigmoid Tanh Hardtanh Hardsigmoid Hardswish Threshold Softmax LogSoftmax
    Softmin RReLU Dropout Dropout1d Dropout2d Dropout3d AlphaDropout FeatureAlphaDropout Identity
""".split()
ARITHMETIC = """
    add sub mul div truediv pow iadd isub imul itruediv maximum minimum eq ne lt le gt ge
""".split()
POOLING = """
    MaxPool1d MaxPool2d MaxPool3d AvgPool1d AvgPool2d AvgPool3d LPPool1d LPPool2d LPPool3d
    AdaptiveAvgPool1d AdaptiveAvgPool2d AdaptiveAvgPool3d
    AdaptiveMaxPool1d AdaptiveMaxPool2d AdaptiveMaxPool3d
    max_pool1d max_pool2d max_pool3d avg_pool1d avg_pool2d avg_pool3d lp_pool1d lp_pool2d lp_pool3d
    adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d
    adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d
    ZeroPad2d
""".split()
RESIZING = ("interpolate", "Upsample")
IN_PLACE |= {*ELEMENTWISE, *ARITHMETIC}


@rule(*ELEMENTWISE)
def _elementwise(call: Call) -> tuple[Label, ...]:
    """One tensor in, the same axes out. A softmax commutes with permutations of its axis too."""
    if any(isinstance(a, Traced) for a in (*call.args[1:], *call.kwargs.values())):
        raise Unsupported("a second tensor")
    return call.args[0].axes


@rule(*ARITHMETIC)
def _arithmetic(call: Call) -> tuple[Label, ...]:
    """Broadcasting arithmetic: axes that meet move together."""
    tensors = [a for a in call.args[:2] if isinstance(a, Traced)]
    axes = []
    for d in range(-len(call.shape), 0):  # from the end, where broadcasting aligns axes
        meeting = []
        for x in tensors:
            if -d <= len(x.shape) and x.shape[d] == call.shape[d]:
                meeting.append(x.axes[d])
        axes.append(reduce(unify, meeting))
    return tuple(axes)


@rule("matmul", "bmm")
def _matmul(call: Call) -> tuple[Label, ...]:
    a, b = call.args[:2]
    if len(a.axes) < 2 or len(b.axes) < 2:
        raise Unsupported("a vector")
    unify(a.axes[-1], b.axes[-2])
    stacks = tuple(Traced(x.shape[:-2], x.axes[:-2]) for x in (a, b))
    batch = _arithmetic(call._replace(args=stacks, shape=call.shape[:-2]))
    return (*batch, a.axes[-2], b.axes[-1])


@rule(*POOLING, *RESIZING)
def _pooling(call: Call) -> tuple[Label, ...]:
    """Space does not move; the number of its axes is in the name, or all but two are space."""
    x = call.args[0]
    space = len(x.shape) - 2 if call.name in RESIZING else int(call.name[-2])
    freeze_all(x.axes[-space:])
    return (*x.axes[:-space], *map(fixed, call.shape[-space:]))


@rule("mean", "sum", "amax", "amin", "var", "std", "logsumexp")
def _reduction(call: Call) -> tuple[Label, ...]:
    """Symmetric functions of an axis do not see its order."""
    x = call.args[0]
    dims = call.option(1, "dim")
    if isinstance(dims, bool):
        raise Unsupported("a truth value in place of an axis")
    if isinstance(dims, int):
        dims = [dims]
    reduced = {d % len(x.axes) for d in dims or range(len(x.axes))}
    kept = len(call.shape) == len(x.axes)
    axes = []
    for d, label in enumerate(x.axes):
        if d not in reduced:
            axes.append(label)
        elif kept:
            axes.append(fixed(1))
    return tuple(axes)


@rule("cat", "concat", "concatenate")
def _concatenation(call: Call) -> tuple[Label, ...]:
    tensors = call.args[0]
    joined = call.option(1, "dim", 0) % len(call.shape)
    axes = list(tensors[0].axes)
    for x in tensors[1:]:
        for d, label in enumerate(x.axes):
            if d != joined:
                axes[d] = unify(axes[d], label)
    axes[joined] = sum((x.axes[joined] for x in tensors), start=())
    return tuple(axes)


@rule("chunk", "split", "unbind", "tensor_split")
def _parts(call: Call) -> list[tuple[Label, ...]]:
    """Several tensors out; `shape` is then the list of their shapes."""
    x = call.args[0]
    if len(call.shape[0]) != len(x.axes):
        raise Unsupported("removing an axis; use chunk or split")
    dim = call.option(2, "dim", 0) % len(x.axes)
    parts = split(x.axes[dim], [shape[dim] for shape in call.shape])
    return [(*x.axes[:dim], part, *x.axes[dim + 1 :]) for part in parts]


@rule("GLU", "glu")
def _gated_linear_unit(call: Call) -> tuple[Label, ...]:
    x = call.args[0]
    dim = call.option(1, "dim", -1) if call.module is None else call.module.dim
    dim %= len(x.axes)
    a, b = split(x.axes[dim], [x.shape[dim] // 2] * 2)
    return (*x.axes[:dim], unify(a, b), *x.axes[dim + 1 :])


@rule("getitem")
def _indexing(call: Call) -> tuple[Label, ...]:
    x, index = call.args
    if not isinstance(index, tuple):
        index = (index,)
    if not all(isinstance(i, int | slice) for i in index):
        raise Unsupported("an index that is not an integer or a slice")
    whole = [slice(None)] * (len(x.axes) - len(index))
    axes = []
    for label, size, i in zip(x.axes, x.shape, [*index, *whole], strict=True):
        if isinstance(i, int):  # the axis is gone
            freeze(label)
        else:
            axes.append(_sliced(label, size, i))
    return tuple(axes)


def _sliced(label: Label, size: int, part: slice) -> Label:
    """The entries of an axis that a slice takes."""
    start, stop, step = part.indices(size)
    if step == 1:
        return split(label, [start, stop - start, size - stop])[1]
    freeze(label)
    return fixed(len(range(start, stop, step)))
