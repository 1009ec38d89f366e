"""Transfer the training of a reader's own network to a new initialisation in one call."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from numbers import Integral
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trajtransfer.algorithms import METHODS, Gradients, Step
from trajtransfer.batches import Batch, endless_batches, require_batches, selected
from trajtransfer.choice import Chooser, Watched
from trajtransfer.forward import Loss, forward_pass, inputs_for, with_weights_of
from trajtransfer.heads import require_outputs, with_head_of
from trajtransfer.inputs import Inputs, arguments, of_each, tensors_in
from trajtransfer.matching.pairs import CACHES
from trajtransfer.objective import Score, paired_gradients
from trajtransfer.params import Params
from trajtransfer.permutation import Permutation
from trajtransfer.schedules import SCHEDULES
from trajtransfer.specification import PermutationSpec
from trajtransfer.states import (
    State,
    like,
    names_of_keys,
    precision,
    state_of,
    state_point,
    trainable_device,
    unwrapped,
    with_buffers,
)
from trajtransfer.tracing.invariance import check_invariance
from trajtransfer.tracing.trace import permutation_spec
from trajtransfer.trajectory import Line

# Oracle and Git Re-Basin know the target as it would be trained, which is what a transfer spares.
UNTRAINED = {name: method for name, method in METHODS.items() if method.knows != "end"}


class Transfer(NamedTuple):
    """The chosen step of a transfer: `t`, its point `params`, `buffers` and its `permutation`.

    The buffers are estimated anew. `scores[t]` is the selection score of each step from 0 (the
    target initialisation) to T, `spec` the derived specification, and `names` maps the keys of a
    state dict to names of tensors. ``model.load_state_dict(result.state_dict())`` makes a network
    of it. `head` names the tensors that stayed as the target had them, where it has another head
    than the source; the state is then one for a model with that head, and the scores are those with
    the head that the source started from.
    """

    t: int
    params: Params
    buffers: Params
    permutation: Permutation
    scores: tuple[Score, ...]
    spec: PermutationSpec
    names: Mapping[str, str]
    head: tuple[str, ...] = ()

    def state_dict(self) -> dict[str, Tensor]:
        """Parameters and buffers for ``model.load_state_dict``, shared weights under each name."""
        everything = self.params | self.buffers
        return {key: everything[name] for key, name in self.names.items()}


def transfer(
    model: nn.Module,
    source: tuple[State, State],
    target: State,
    batches: Iterable[Batch],
    *,
    loss: Loss = F.cross_entropy,
    method: str = "fgmt",
    steps: int = 30,
    schedule: str = "uniform",
    selection: Sequence[Batch] | None = None,
    seed: int = 0,
    cache: str = "device",
) -> Transfer:
    """Move `target` along the training run `source`, up to permutation, and return the best step.

    Works under ``torch.no_grad()`` and inference mode, too. Raises `UntraceableError` when the
    symmetry of `model` cannot be derived, ``ValueError`` when the derived one fails the invariance
    check, when a state, a batch or a number does not fit or is not finite, and ``TypeError`` for
    what is of another kind.

    Args:
        model: The architecture, and the device to compute on. It is left as it was.
        source: The start and the end of the run, each a ``state_dict`` of `model` in any floating
            type, or a module, a checkpoint or a file that holds one (``.safetensors``, or what
            ``torch.save`` wrote); prefixes of wrappers are taken off. All is computed in float32,
            or in float64 where the model or a state has it, and given back in the types of the
            target.
        target: The initialisation to be moved, given alike. Buffers that are not running statistics
            are taken from it. Its head may have another number of outputs: then the body is moved
            as if it had the head that the source started from, and the head stays.
        batches: Mini-batches, started again when they end: each pair of gradients draws one. They
            are (inputs, labels), with inputs alone, in a tuple or in a dictionary; several inputs
            with the labels behind them; or dictionaries with ``"labels"``, as Hugging Face has.
            Their floating numbers are converted to the type that is computed in.
        loss: The mean ``loss(outputs, labels)`` of a mini-batch; the outputs are the logits alone
            where a model returns more by name. `own_loss` is what a model computes itself, as those
            of Hugging Face do from ``model(**batch)``.
        method: ``"fgmt"``, ``"gmt"``, or ``"naive"``, which has no permutation.
        steps: The length T of the trajectory.
        schedule: Where the line from start to end is read, ``"uniform"`` or ``"cosine"``.
        selection: The step with the least loss on these batches is chosen, and running statistics
            are estimated on them. Without it that is the first of `batches`, a rough choice.
        seed: Draws the orders of the groups of units, and the inputs of the invariance check.
        cache: Where gradients are kept: on the ``"device"``, on the ``"host"``, or ``"half"``
            (bfloat16: half the memory and faster products).
    """
    _require_choices(
        method=(method, UNTRAINED), schedule=(schedule, SCHEDULES), cache=(cache, CACHES)
    )
    require_batches("batches", batches)
    if selection is not None:
        require_batches("selection", selection)
    _require_seed(seed)
    times = SCHEDULES[schedule](steps)
    model = unwrapped(model)
    device = trainable_device(model)
    states, head = _states(model, source, target)
    dtype = precision(model, states.values())
    network = with_buffers(model, states["the target"], dtype).eval()
    start, end, initial = (state_point(network, x, what) for what, x in states.items())
    _require_training(start, end)
    endless = endless_batches(batches, device, dtype)
    first = next(endless)
    examples = of_each(lambda x: x[:2], inputs_for(loss, *first))
    spec = _specification(network, examples)
    if not spec.sizes and method != "naive":
        raise ValueError(
            f"no units of {type(model).__name__} can trade places: {spec.report()}. Without a "
            'permutation there is method="naive"'
        )
    require_outputs(spec, head)
    check_invariance(network, spec, examples, torch.Generator().manual_seed(int(seed)))
    line = Line(start, end, times)
    gradients = Watched(paired_gradients(network, endless, loss=loss))
    order = torch.Generator().manual_seed(int(seed))
    moves = _moves(method, (line, initial, spec), gradients, generator=order, cache=cache)
    chooser = Chooser(network, loss, selected(selection, first, dtype))
    step, buffers = chooser.best_of(Step(0, initial, Permutation.identity(spec)), moves, gradients)
    point, buffers = (like(states["the target"], model, x) for x in (step.params, buffers))
    found = (step.permutation, tuple(chooser.scores), spec, names_of_keys(model))
    return Transfer(step.t, point | head, buffers, *found, tuple(head))


def _moves(
    method: str,
    run: tuple[Line, Params, PermutationSpec],
    gradients: Gradients,
    **options: Any,
) -> Iterator[Step]:
    """The steps of a method, which is given what it knows."""
    chosen = UNTRAINED[method]
    if chosen.knows == "nothing":
        return chosen.steps(*run)
    return chosen.steps(*run, gradients, **options)


def _require_choices(**choices: tuple[Any, Mapping[str, Any]]) -> None:
    for what, (chosen, known) in choices.items():
        if not isinstance(chosen, str) or chosen not in known:
            raise ValueError(f"unknown {what} {chosen!r}; known: {', '.join(known)}")


def _require_seed(seed: int) -> None:
    if not isinstance(seed, Integral) or isinstance(seed, bool):
        raise TypeError(f"seed={seed!r} is not a whole number; pass an int, for example 0")
    if not -(2**63) <= seed < 2**63:
        raise ValueError(
            f"seed={seed} does not fit into 63 bits and a sign; "
            "pass a smaller number, for example 0"
        )


def _states(
    model: nn.Module, source: tuple[State, State], target: State
) -> tuple[dict[str, State], Params]:
    """Each state with what it is, and the head of the target where it is not that of the source."""
    states = {what: state_of(model, x, what) for what, x in _roles(source, target)}
    start, _, own = states.values()
    states["the target"], head = with_head_of(model, own, start)
    return states, head


def _roles(source: tuple[State, State], target: State) -> tuple[tuple[str, State], ...]:
    """Each state with what it is."""
    sequence = isinstance(source, tuple | list)
    if not sequence or len(source) != 2:
        length = f" of length {len(source)}" if sequence else ""
        kind = type(source).__name__
        raise TypeError(f"source is a {kind}{length}; pass (start, end), two state dicts")
    return (
        ("the start of the source", source[0]),
        ("the end of the source", source[1]),
        ("the target", target),
    )


def _require_training(start: Params, end: Params) -> None:
    if all(torch.equal(x, end[name]) for name, x in start.items()):
        raise ValueError(
            "the start and the end of the source are the same, so there is no training to move; "
            "keep a copy of the start, e.g. copy.deepcopy(model.state_dict()), before training"
        )


def _specification(model: nn.Module, inputs: Inputs) -> PermutationSpec:
    """The derived specification, after the model was seen to take the first inputs."""
    weights = with_weights_of(model.parameters())
    positional, named = arguments(inputs)
    given = tensors_in(inputs)
    with forward_pass(model, weights, given, "the first inputs of batches,"), torch.no_grad():
        model(*positional, **named)
    return permutation_spec(model, inputs)
