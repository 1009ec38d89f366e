"""Tracing rules of layers: which axes of a weight move with its inputs and outputs."""

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

CONVOLUTIONS = ("conv1d", "conv2d", "conv3d")
TRANSPOSED = ("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")


@rule("linear")
def _linear(call: Call) -> tuple[Label, ...]:
    x = call["input"]
    weight = call["weight"]
    unify(x.axes[-1], weight.axes[1])
    return (*x.axes[:-1], with_weight(weight.axes[0], call["bias"]))


@rule(*CONVOLUTIONS)
def _convolution(call: Call) -> tuple[Label, ...]:
    x = call["input"]
    weight = call["weight"]
    _require_batch(x, weight)
    if call["groups"] == 1:
        unify(x.axes[1], weight.axes[1])
    else:
        _grouped(x, weight, call["groups"])
    outputs = with_weight(weight.axes[0], call["bias"])
    return (x.axes[0], outputs, *map(fixed, call.shape[2:]))


@rule(*TRANSPOSED)
def _transposed_convolution(call: Call) -> tuple[Label, ...]:
    """Its weight has the inputs in front."""
    x = call["input"]
    weight = call["weight"]
    _require_batch(x, weight)
    if call["groups"] != 1:
        raise Unsupported("groups of a transposed convolution")
    unify(x.axes[1], weight.axes[0])
    outputs = with_weight(weight.axes[1], call["bias"])
    return (x.axes[0], outputs, *map(fixed, call.shape[2:]))


def _require_batch(x: Traced, weight: Traced) -> None:
    """Refuse an input without a batch axis; let nothing move pixels."""
    if len(x.axes) != len(weight.axes):
        raise Unsupported("an input without a batch axis")
    freeze_all(x.axes[2:] + weight.axes[2:])


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


@rule("batch_norm", "instance_norm")
def _batch_norm(call: Call) -> tuple[Label, ...]:
    x = call["input"]
    for name in ("weight", "bias", "running_mean", "running_var"):
        with_weight(x.axes[1], call[name])
    return x.axes


@rule("group_norm")
def _group_norm(call: Call) -> tuple[Label, ...]:
    """Channels move inside their groups, or whole groups trade places: what has more elements."""
    x = call["input"]
    groups = call["num_groups"]
    size = x.shape[1] // groups
    if math.lgamma(groups + 1) >= groups * math.lgamma(size + 1):
        unify(x.axes[1], fresh(x.shape[1], size))
    else:
        split(x.axes[1], [size] * groups)
    for name in ("weight", "bias"):
        with_weight(x.axes[1], call[name])
    return x.axes


@rule("layer_norm", "rms_norm")
def _normalised(call: Call) -> tuple[Label, ...]:
    """A normalisation over all entries of the last axes, which does not see their order."""
    x = call["input"]
    for weight in (call["weight"], call["bias"]):
        if weight is not None:
            unify_all(x.axes[len(x.axes) - len(weight.axes) :], weight.axes)
    return x.axes


@rule("_weight_norm", "_weight_norm_interface")
def _weight_norm(call: Call) -> tuple[Label, ...]:
    """Directions times lengths, one length for each entry of one axis."""
    directions = call["v"]
    for label, size, other in zip(directions.axes, directions.shape, call["g"].axes, strict=True):
        if size_of(other) == size:
            unify(label, other)
    return directions.axes


@rule("prelu")
def _prelu(call: Call) -> tuple[Label, ...]:
    x = call["self"]
    if call["weight"].shape[0] > 1:
        unify(x.axes[1], call["weight"].axes[0])
    return x.axes


@rule("embedding", "embedding_bag")
def _embedding(call: Call) -> object:
    """Rows are chosen by what comes in, so they stay; what a row holds may move."""
    rows = call["weight"].axes
    indices = call["indices"]
    freeze(rows[0])
    for x in call.tensors[1:]:  # indices, and where bags begin and what weighs their entries
        freeze_all(x.axes)
    if call.name == "embedding":
        return (*indices.axes, rows[1])
    bags, *others = call.shape
    return [(fixed(bags[0]), rows[1]), *(tuple(map(fixed, shape)) for shape in others)]


@rule(
    *("cross_entropy_loss", "nll_loss", "nll_loss_nd", "mse_loss", "l1_loss", "smooth_l1_loss"),
    *("binary_cross_entropy", "binary_cross_entropy_with_logits", "kl_div"),
)
def _loss(call: Call) -> tuple[Label, ...]:
    """What is compared with labels stays where it is."""
    for x in call.tensors:
        freeze_all(x.axes)
    return tuple(map(fixed, call.shape))
