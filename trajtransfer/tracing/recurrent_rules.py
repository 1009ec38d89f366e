"""Tracing rules of recurrent layers: hidden units feed back into themselves."""

from __future__ import annotations

from collections.abc import Sequence

from trajtransfer.tracing.axis_labels import Label, resolve, unify
from trajtransfer.tracing.registry import (
    Call,
    Traced,
    Unsupported,
    freeze_all,
    rule,
    traced_in,
    unify_all,
    without_parts,
)
from trajtransfer.tracing.views import Axis, Folded, Part, settled


@rule("lstm", "gru", "rnn_tanh", "rnn_relu", shaping=True)
def _recurrent(call: Call) -> list[tuple[Axis, ...]]:
    """Hidden units are one group over all gates, and stand on both axes of what they feed back.

    Each layer and direction has its own; states (layers and directions, batch, units) hold them one
    after another.
    """
    x = without_parts(call["input"])
    weights = list(without_parts(call["params"]))
    biases = 2 * bool(call["has_biases"])
    directions = 1 + bool(call["bidirectional"])
    if len(weights) != call["num_layers"] * directions * (2 + biases):
        raise Unsupported("projections of hidden units")
    batch = 0 if call["batch_first"] else 1
    freeze_all([x.axes[1 - batch]])  # steps follow each other
    outputs = x.axes[-1]
    every: list[Label] = []
    for _ in range(call["num_layers"]):
        found = []
        for _ in range(directions):
            own = [weights.pop(0) for _ in range(2 + biases)]
            found.append(_layer(outputs, own))
        outputs = sum(found, start=())
        every += found
    states = traced_in([call["hx"]])
    return [(*x.axes[:-1], outputs), *(_state(every, state, x.axes[batch]) for state in states)]


@rule("lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell")
def _cell(call: Call) -> object:
    """One step of a layer: its states move with its hidden units."""
    weights = [call[name] for name in ("w_ih", "w_hh", "b_ih", "b_hh")]
    hidden = _layer(call["input"].axes[-1], [weight for weight in weights if weight is not None])
    states = traced_in([call["hx"]])
    for state in states:
        unify_all(state.axes[:-1], call["input"].axes[:-1])
        unify(state.axes[-1], hidden)
    after = [(*state.axes[:-1], hidden) for state in states]
    return after if call.name == "lstm_cell" else after[0]


def _layer(inputs: Label, weights: Sequence[Traced]) -> Label:
    """The hidden units of one layer in one direction."""
    entering, fed_back, *biases = weights
    hidden = fed_back.axes[1]
    gates = entering.shape[0] // fed_back.shape[1]
    unify(entering.axes[1], inputs)
    for weight in (entering, fed_back, *biases):
        unify(weight.axes[0], hidden * gates)
    return hidden


def _state(every: Sequence[Label], before: Traced, batch: Label) -> tuple[Axis, ...]:
    """The axes of the state after all steps, whose entries move with those of the state before."""
    first, examples, last = before.axes
    unify(settled(examples), batch)
    whole = _joined(first, last)
    units: Label = sum(every, start=())
    if whole is not None:
        unify(whole.label, units)
    else:
        freeze_all([first])
        for hidden in () if _idle(last) else every:
            unify(settled(last), hidden)
    after = Folded(units, (before.shape[0], before.shape[-1]))
    return (Part(after, 0), batch, Part(after, 1))


def _idle(axis: Axis) -> bool:
    """Whether the entries of an axis are all alike, as those of a first state of zeros."""
    return all(piece.units and piece.units.idle for piece in resolve(settled(axis)))


def _joined(first: Axis, last: Axis) -> Folded | None:
    """What both axes are the two parts of, as those of the state of another such layer are."""
    if not isinstance(first, Part) or not isinstance(last, Part) or first.whole is not last.whole:
        return None
    whole = first.whole
    as_they_are = (first.number, last.number, len(whole.sizes)) == (0, 1, 2)
    return whole if as_they_are and whole.parts is None else None
