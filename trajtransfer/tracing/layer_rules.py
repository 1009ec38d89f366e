"""Tracing rules of layers with weights: which axes of a weight move with its inputs and outputs."""

from __future__ import annotations

import math

from trajtransfer.tracing.axis_labels import Label, fixed, freeze, fresh, size_of, split, unify
from trajtransfer.tracing.registry import (
    Call,
    Traced,
    Unsupported,
    freeze_all,
    rule,
    unify_all,
    with_weight,
)


@rule("Linear")
def _linear_module(call: Call) -> tuple[Label, ...]:
    return _linear(call.args[0], call.weight("weight"), call.weight("bias"))


@rule("linear")
def _linear_function(call: Call) -> tuple[Label, ...]:
    return _linear(call.args[0], call.option(1, "weight"), call.option(2, "bias"))


def _linear(x: Traced, weight: Traced | None, bias: Traced | None) -> tuple[Label, ...]:
    assert weight is not None
    unify(x.axes[-1], weight.axes[1])
    return (*x.axes[:-1], with_weight(weight.axes[0], bias))


@rule("Conv1d", "Conv2d", "Conv3d")
def _convolution(call: Call) -> tuple[Label, ...]:
    x = call.args[0]
    weight = call.weight("weight")
    groups = call.module.groups
    assert weight is not None
    if len(x.axes) != len(weight.axes):
        raise Unsupported("an input without a batch axis")
    freeze_all(x.axes[2:] + weight.axes[2:])
    if groups == 1:
        unify(x.axes[1], weight.axes[1])
    else:
        _grouped(x, weight, groups)
    outputs = with_weight(weight.axes[0], call.weight("bias"))
    return (x.axes[0], outputs, *map(fixed, call.shape[2:]))


def _grouped(x: Traced, weight: Traced, groups: int) -> None:
    """Of the two symmetries of a grouped convolution, keep the one with more elements.

    Either whole groups trade places (G! elements; for a depthwise convolution these are its
    channels), or units move inside the groups: alike for the inputs of all groups, independently
    for their outputs.
    """
    inputs = x.shape[1]
    outputs = weight.shape[0]
    within = groups * math.lgamma(outputs // groups + 1) + math.lgamma(inputs // groups + 1)
    if math.lgamma(groups + 1) >= within:
        whole = fresh(groups)
        unify(x.axes[1], _spread(whole, inputs))
        unify(weight.axes[0], _spread(whole, outputs))
        freeze(weight.axes[1])
    else:
        unify(x.axes[1], weight.axes[1] * groups)
        split(weight.axes[0], [outputs // groups] * groups)


def _spread(whole: Label, size: int) -> Label:
    """The label of an axis whose entries are a block for each unit of another."""
    block = size // size_of(whole)
    return tuple(piece._replace(size=size, block=block) for piece in whole)


@rule("InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d")
def _instance_norm(call: Call) -> tuple[Label, ...]:
    if len(call.shape) != int(call.name[-2]) + 2:
        raise Unsupported("an input without a batch axis")
    return _batch_norm(call)


@rule("BatchNorm1d", "BatchNorm2d", "BatchNorm3d")
def _batch_norm(call: Call) -> tuple[Label, ...]:
    x = call.args[0]
    for name in ("weight", "bias", "running_mean", "running_var"):
        with_weight(x.axes[1], call.weight(name))
    return x.axes


@rule("GroupNorm")
def _group_norm(call: Call) -> tuple[Label, ...]:
    """Channels move inside their groups, or whole groups trade places: what has more elements."""
    x = call.args[0]
    groups = call.module.num_groups
    size = x.shape[1] // groups
    if math.lgamma(groups + 1) >= groups * math.lgamma(size + 1):
        unify(x.axes[1], fresh(x.shape[1], size))
    else:
        split(x.axes[1], [size] * groups)
    for name in ("weight", "bias"):
        with_weight(x.axes[1], call.weight(name))
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
            unify_all(x.axes[len(x.axes) - len(weight.axes) :], weight.axes)
    return x.axes


@rule("PReLU")
def _prelu(call: Call) -> tuple[Label, ...]:
    x = call.args[0]
    weight = call.weight("weight")
    assert weight is not None
    if weight.shape[0] > 1:
        unify(x.axes[1], weight.axes[0])
    return x.axes
