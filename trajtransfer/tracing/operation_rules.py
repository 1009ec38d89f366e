"""Tracing rules of operations without weights: arithmetic, reductions, pooling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce

from trajtransfer.tracing.axis_labels import Label, fixed, split, unify
from trajtransfer.tracing.registry import Call, Traced, Unsupported, freeze_all, rule
from trajtransfer.tracing.views import Axis, settled

# Entry by entry, beside those that PyTorch itself marks so.
POINTWISE = """
    dropout feature_dropout alpha_dropout feature_alpha_dropout contiguous clone detach alias to
    where _to_copy type_as lift_fresh lift_fresh_copy copy fill zero masked_fill relu6 selu celu elu
    mish silu hardswish hardsigmoid hardtanh leaky_relu rrelu logsigmoid softplus softshrink
    hardshrink threshold nan_to_num positive
""".split()
POOLING = """
    max_pool1d max_pool2d max_pool3d avg_pool1d avg_pool2d avg_pool3d
    adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d
""".split()
POOLING_WITH_PLACES = """
    max_pool1d_with_indices max_pool2d_with_indices max_pool3d_with_indices
    adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d
""".split()
RESIZING = """
    upsample_nearest1d upsample_nearest2d upsample_nearest3d upsample_linear1d upsample_bilinear2d
    upsample_trilinear3d upsample_bicubic2d _upsample_bilinear2d_aa _upsample_bicubic2d_aa
    _upsample_nearest_exact1d _upsample_nearest_exact2d grid_sampler
""".split()
SYMMETRIC = """
    mean sum nansum amax amin max min var std prod logsumexp norm linalg_vector_norm any all
    count_nonzero frobenius_norm
""".split()
ORDERED = """
    cumsum cumprod logcumsumexp flip roll sort topk argsort argmax argmin median kthvalue
""".split()


@rule(*POINTWISE, shaping=True)
def pointwise(call: Call) -> tuple[Axis, ...]:
    """Broadcasting, entry by entry: axes that meet move together."""
    tensors = [x for x in call.tensors if x.shape]
    if len(tensors) == 1 and tensors[0].shape == tuple(call.shape):
        return tensors[0].axes
    return meeting(tensors, call.shape)


def meeting(tensors: Sequence[Traced], shape: Sequence[int]) -> tuple[Label, ...]:
    """The axes of a result of broadcasting."""
    axes = []
    for d in range(-len(shape), 0):  # from the end, where broadcasting aligns axes
        wide = [x for x in tensors if -d <= len(x.shape) and x.shape[d] == shape[d]]
        found = [settled(x.axes[d]) for x in wide]
        axes.append(reduce(unify, found) if found else fixed(shape[d]))
    return tuple(axes)


@rule("softmax", "log_softmax", "_softmax", "_log_softmax")
def _softmax(call: Call) -> tuple[Label, ...]:
    """It commutes with permutations of its axis."""
    return call.x.axes


@rule(*POOLING, *RESIZING)
def _pooling(call: Call) -> tuple[Label, ...]:
    """Space does not move; what is pooled has a batch axis and channels in front of it."""
    x = call.x
    space = _space(call)
    freeze_all(x.axes[-space:])
    for other in call.tensors[1:]:
        freeze_all(other.axes)
    return (*x.axes[:-space], *map(fixed, call.shape[-space:]))


@rule(*POOLING_WITH_PLACES)
def _pooling_with_places(call: Call) -> list[tuple[Label, ...]]:
    """Maxima, and where they were in space: both by channel."""
    one = _pooling(replace(call, shape=call.shape[0]))
    return [one, one]


def _space(call: Call) -> int:
    """How many axes are space: all behind batch and channels, or the number in the name."""
    digits = [int(sign) for sign in call.name if sign.isdigit()]
    return digits[0] if digits else len(call.x.shape) - 2


@rule(*SYMMETRIC)
def _reduction(call: Call) -> object:
    """Symmetric functions of an axis do not see its order."""
    x = call.x
    if isinstance(call.shape, list):  # the largest with their places
        freeze_all([x.axes[call["dim"]]])
        return [_kept(x, [call["dim"]], shape) for shape in call.shape]
    if len(call.tensors) > 1:  # the larger of two
        return meeting(call.tensors, call.shape)
    return _kept(x, call["dim"], call.shape)


@rule("var_mean", "std_mean", "aminmax")
def _two_reductions(call: Call) -> list[tuple[Label, ...]]:
    return [_kept(call.x, call["dim"], shape) for shape in call.shape]


def _kept(x: Traced, dims: int | Sequence[int] | None, shape: Sequence[int]) -> tuple[Label, ...]:
    """The axes that a reduction leaves."""
    if isinstance(dims, bool):
        raise Unsupported("a truth value in place of an axis")
    if isinstance(dims, int):
        dims = [dims]
    reduced = {d % len(x.axes) for d in dims or range(len(x.axes))}
    if len(shape) == len(x.axes):
        return tuple(fixed(1) if d in reduced else label for d, label in enumerate(x.axes))
    return tuple(label for d, label in enumerate(x.axes) if d not in reduced)


@rule(*ORDERED)
def _ordered(call: Call) -> object:
    """What depends on the order along some axes lets nothing move them."""
    x = call.x
    dims = call["dims"] if call["dims"] is not None else call["dim"]
    dims = [dims] if isinstance(dims, int) else dims or range(len(x.axes))
    freeze_all(x.axes[d] for d in dims)
    shapes = call.shape if isinstance(call.shape, list) else [call.shape]
    axes = [_in_order(x, list(dims), shape) for shape in shapes]
    return axes if isinstance(call.shape, list) else axes[0]


def _in_order(x: Traced, dims: Sequence[int], shape: Sequence[int]) -> tuple[Label, ...]:
    """The axes of what is sorted, counted or found along some of them."""
    if len(shape) < len(x.axes):
        return _kept(x, dims, shape)
    axes = []
    for label, size, new in zip(x.axes, x.shape, shape, strict=True):
        axes.append(label if size == new else fixed(new))
    return tuple(axes)


@rule("glu")
def _gated_linear_unit(call: Call) -> tuple[Label, ...]:
    x = call.x
    dim = call["dim"] % len(x.axes)
    a, b = split(x.axes[dim], [x.shape[dim] // 2] * 2)
    return (*x.axes[:dim], unify(a, b), *x.axes[dim + 1 :])


@rule("tril", "triu")
def _triangle(call: Call) -> tuple[Label, ...]:
    freeze_all(call.x.axes[-2:])
    return call.x.axes
