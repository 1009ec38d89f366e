"""Calls of a reader's network and loss, with errors that say what they were given."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from trajtransfer.inputs import Inputs, arguments, tensors_in

Loss = Callable[[Any, Tensor], Tensor]
FAILURES = (RuntimeError, ValueError, IndexError, TypeError)  # for what does not fit
IGNORED = -100  # the label that PyTorch's cross-entropy does not count


@contextmanager
def explained(what: str, remedy: str) -> Iterator[None]:
    """Turn errors of PyTorch into ``ValueError``: what failed, what PyTorch says, what to do."""
    try:
        yield
    except FAILURES as error:
        if type(error) not in FAILURES:  # out of memory, for example, stays what it is
            raise
        raise ValueError(f"{what}: {error}. {remedy}") from error


def forward_pass(
    model: nn.Module, weights: str, inputs: Iterable[Tensor], called: str = "inputs"
) -> AbstractContextManager[None]:
    """A forward pass that says, if it fails, with which weights and on which inputs.

    `called` is what the inputs are called.
    """
    given = ", ".join(f"{tuple(x.shape)} and {x.dtype}" for x in inputs)
    return explained(
        f"{type(model).__name__} {weights} fails on {called} of shape {given}",
        "Pass inputs of the shape and type that the model takes, or convert the model, "
        "e.g. model.double()",
    )


def with_weights_of(tensors: Iterable[Tensor]) -> str:
    """The floating-point types of weights, for `forward_pass`."""
    types = {x.dtype for x in tensors if x.is_floating_point()}
    return f"with weights of {', '.join(sorted(map(str, types)))}"


def outputs_at(network: nn.Module, weights: Mapping[str, Tensor], inputs: Inputs) -> Any:
    """What a network returns with other weights than its own."""
    positional, named = arguments(inputs)
    with forward_pass(network, with_weights_of(weights.values()), tensors_in(inputs)):
        return functional_call(network, dict(weights), positional, named)


def logits_of(found: Any) -> Any:
    """Of a structure that holds ``logits``, as those of Hugging Face do, these alone."""
    return found["logits"] if isinstance(found, Mapping) and "logits" in found else found


def own_loss(found: Any, labels: Tensor) -> Tensor:
    """The loss that a network computes itself, for ``loss=``: ``model(**batch).loss``.

    A network that is asked for it is given the labels among its named inputs, as ``labels``, and
    has to return a structure that holds ``loss``: the mean over the batch, a tensor of one number.
    Raises ``ValueError`` for any other, and `transfer` ``TypeError`` for inputs without names.

    Args:
        found: What the network returned, a mapping.
        labels: Those of the batch (n, ...), which the network has seen.
    """
    loss: Tensor | None = found.get("loss") if isinstance(found, Mapping) else None
    if loss is None:
        raise ValueError(
            "the model returns no loss of its own for inputs with labels; pass a function "
            "(outputs, labels) -> mean loss"
        )
    return loss


def inputs_for(loss: Loss, inputs: Inputs, labels: Tensor) -> Inputs:
    """The inputs with which a network is called: for its `own_loss`, the labels among them."""
    if loss is not own_loss:
        return inputs
    if not isinstance(inputs, Mapping):
        raise TypeError(
            "own_loss takes batches whose inputs have names, such as {'input_ids': …, 'labels': …}"
        )
    return {**inputs, "labels": labels}


def loss_value(loss: Loss, found: Any, labels: Tensor) -> Tensor:
    """The loss of what a network returned for a micro-batch: one number, or an error that says what
    the loss was given.
    """
    if not callable(loss):
        kind = type(loss).__name__
        raise TypeError(f"loss is a {kind}; pass a function (outputs, labels) -> mean loss")
    outputs = found if loss is own_loss else logits_of(found)
    if loss is F.cross_entropy and isinstance(outputs, Tensor):
        _require_classes(outputs, labels)
    with explained(
        f"the loss fails on outputs {_described(outputs)} and labels {_described(labels)}",
        "Pass labels that fit it, or another loss",
    ):
        value = loss(outputs, labels)
    if not isinstance(value, Tensor) or value.numel() != 1:
        raise ValueError(
            f"the loss returned {_described(value)}; "
            "return the mean over the batch, a tensor of one number"
        )
    return value


def _require_classes(outputs: Tensor, labels: Tensor) -> None:
    """Raise unless labels are probabilities or indices of classes.

    On a GPU cross-entropy would end the process.
    """
    if labels.is_floating_point() and labels.shape == outputs.shape:
        return
    if labels.dtype not in (torch.int64, torch.uint8):
        raise ValueError(
            f"cross-entropy takes labels of int64, got {labels.dtype}; convert them, labels.long()"
        )
    classes = outputs.shape[1] if outputs.ndim > 1 else len(outputs)
    outside = (labels < 0) | (labels >= classes)
    wrong = labels[(labels != IGNORED) & outside]
    if len(wrong):
        raise ValueError(
            f"label {int(wrong[0])} is none of the {classes} classes of the model; "
            f"number classes from 0, and mark what is not to count with {IGNORED}"
        )


def _described(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"{tuple(value.shape)} of {value.dtype}"
    return f"a {type(value).__name__}"
