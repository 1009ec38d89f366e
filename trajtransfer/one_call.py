"""Transfer the training of a reader's own network to a new initialisation in one call."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from numbers import Integral
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trajtransfer.algorithms import METHODS, Gradients, Step
from trajtransfer.batches import Batch, endless_batches, require_batches, selected
from trajtransfer.matching.gain_cache import CACHES, Pair
from trajtransfer.objective import FAILURES, Loss, Score, evaluate, paired_gradients, running_statistics
from trajtransfer.params import Params, first_names, state_point, trainable_device
from trajtransfer.permutation import Permutation, PermutationSpec
from trajtransfer.schedules import SCHEDULES
from trajtransfer.tracing.trace import check_invariance, permutation_spec
from trajtransfer.trajectory import Line

# Oracle and Git Re-Basin know the target as it would be trained, which is what a transfer spares.
UNTRAINED = {name: method for name, method in METHODS.items() if method.knows != "end"}
State = Mapping[str, Tensor]


class Transfer(NamedTuple):
    """The chosen step of a transfer: `t`, its point `params`, re-estimated `buffers`, and its `permutation`.

    `scores[t]` is the selection score of each step from 0 (the target initialisation) to T, `spec` the derived
    specification, and `names` maps the keys of a state dict to names of tensors.
    ``model.load_state_dict(result.state_dict())`` makes a network of it.
    """

    t: int
    params: Params
    buffers: Params
    permutation: Permutation
    scores: tuple[Score, ...]
    spec: PermutationSpec
    names: Mapping[str, str]

    def state_dict(self) -> dict[str, Tensor]:
        """Parameters and buffers for ``model.load_state_dict``, shared weights under each of their names."""
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

    `model` gives the architecture and the device and is left as it was. `source` is (start, end) and `target`
    a start, each a ``state_dict`` of `model`; buffers that are not running statistics are those of `target`.
    `batches` yields (inputs, labels) and is started again when it ends: each pair of gradients draws one
    mini-batch. `loss(outputs, labels)` is a mean. `method` is ``"fgmt"``, ``"gmt"`` or, without a permutation,
    ``"naive"``; `steps` is T. The step with the least loss on the batches `selection` is chosen; without it, on the
    first batch of `batches`, which is a rough choice. Running statistics are estimated on the same batches. `cache`
    says where gradients are kept: ``"device"``, ``"host"``, or ``"half"`` (bfloat16, half the memory and faster
    products). Works under ``torch.no_grad()`` and inference mode, too. Raises `UntraceableError` when the symmetry of
    `model` cannot be derived, ``ValueError`` when the derived one fails the invariance check, when a state, a batch or a
    number does not fit or is not finite, and ``TypeError`` for what is of another kind. States have the types of `model`.
    """
    _require_choices(method=(method, UNTRAINED), schedule=(schedule, SCHEDULES), cache=(cache, CACHES))
    require_batches("batches", batches)
    require_batches("selection", () if selection is None else selection)
    seed = _seed(seed)
    times = SCHEDULES[schedule](steps)
    device = trainable_device(model)
    start, end, initial = (state_point(model, state, what) for what, state in _roles(source, target))
    model, names = _with_buffers(model, target), _names(model)
    endless = endless_batches(batches, device)
    first = next(endless)
    spec = _specification(model, first[0][:2])
    check_invariance(model, spec, first[0][:2], torch.Generator().manual_seed(seed))
    line, order = Line(start, end, times), torch.Generator().manual_seed(seed)
    gradients = _Watched(paired_gradients(model, endless, loss=loss))
    moves = _moves(method, line, initial, spec, gradients, generator=order, cache=cache)
    chosen = _Chooser(model, loss, selected(selection, first))
    step, buffers = chosen.best_of(Step(0, initial, Permutation.identity(spec)), moves, gradients)
    return Transfer(step.t, step.params, buffers, step.permutation, tuple(chosen.scores), spec, names)


def _moves(
    method: str, line: Line, target: Params, spec: PermutationSpec, gradients: Gradients, **options: Any
) -> Iterator[Step]:
    """The steps of a method, which is given what it knows."""
    chosen = UNTRAINED[method]
    if chosen.knows == "nothing":
        return chosen.steps(line, target, spec)
    return chosen.steps(line, target, spec, gradients, **options)


class _Watched:
    """A function that computes pairs of gradients, and remembers the last pair and where it was taken."""

    def __init__(self, gradients: Gradients):
        self.gradients = gradients
        self.last: dict[str, Params] = {}

    def __call__(self, target: Params, source: Params) -> Pair:
        self.last = {"the point of the target": target, "the point of the source": source}
        pair = self.gradients(target, source)
        self.last["the gradient of the target"] = pair[0]
        self.last["the gradient of the source"] = pair[1]
        return pair

    def fault(self) -> str | None:
        """What is not finite in the last pair, and why, if anything."""
        for what, vector in self.last.items():
            for name, x in vector.items():
                if not x.isfinite().all():
                    return (
                        f"{what} is not finite at {name!r}: the numbers overflow {x.dtype}, or the model is not "
                        "defined there; scale weights, inputs or loss down, or use float64"
                    )
        return None


class _Chooser:
    """Keeps the step with the least selection loss."""

    def __init__(self, model: nn.Module, loss: Loss, batches: Sequence[Batch]):
        self.model, self.loss = model, loss
        self.data = (torch.cat([x for x, _ in batches]), torch.cat([y for _, y in batches]))
        self.scores: list[Score] = []
        self.best: tuple[Step, Params]

    def best_of(self, initial: Step, moves: Iterator[Step], gradients: _Watched) -> tuple[Step, Params]:
        """The best of the initial step and those that follow; errors say at which step they arose."""
        self.consider(initial)
        if not math.isfinite(self.scores[0].loss):
            raise ValueError(
                f"the loss of the target initialisation is {self.scores[0].loss} on the selection batches, so no "
                "step can be compared with it; check the labels and the loss, or scale the weights of the target down"
            )
        try:
            for step in moves:
                self.consider(step)
        except ValueError as error:
            if type(error) is not ValueError:
                raise
            raise ValueError(f"step {len(self.scores)}: {gradients.fault() or error}") from error
        return self.best

    def consider(self, step: Step) -> None:
        """Score a step, with running statistics estimated at it."""
        statistics = running_statistics(self.model, step.params, self.data)
        score = evaluate(self.model, step.params | statistics, self.data, loss=self.loss)
        if not self.scores or score.loss < min(s.loss for s in self.scores):
            self.best = step, statistics
        self.scores.append(score)


def _require_choices(**choices: tuple[Any, Mapping[str, Any]]) -> None:
    for what, (chosen, known) in choices.items():
        if not isinstance(chosen, str) or chosen not in known:
            raise ValueError(f"unknown {what} {chosen!r}; known: {', '.join(known)}")


def _seed(seed: int) -> int:
    if not isinstance(seed, Integral) or isinstance(seed, bool):
        raise TypeError(f"seed={seed!r} is not a whole number; pass an int, for example 0")
    if not -(2**63) <= seed < 2**63:
        raise ValueError(f"seed={seed} does not fit into 63 bits and a sign; pass a smaller number, for example 0")
    return int(seed)


def _roles(source: tuple[State, State], target: State) -> tuple[tuple[str, State], ...]:
    """Each state with what it is."""
    if not isinstance(source, tuple | list) or len(source) != 2:
        length = f" of length {len(source)}" if isinstance(source, tuple | list) else ""
        raise TypeError(f"source is a {type(source).__name__}{length}; pass (start, end), two state dicts")
    roles = (("the start of the source", source[0]), ("the end of the source", source[1]), ("the target", target))
    for what, state in roles:
        if not isinstance(state, Mapping):
            raise TypeError(f"{what} is a {type(state).__name__}; pass a state_dict, e.g. model.state_dict()")
    return roles


def _with_buffers(model: nn.Module, state: State) -> nn.Module:
    """A copy of `model` with the buffers of a state dict."""
    model = copy.deepcopy(model)
    buffers = dict(model.named_buffers())
    given = {name: x for name, x in state.items() if name in buffers}
    for name, x in given.items():
        if getattr(x, "shape", None) != buffers[name].shape:
            raise ValueError(f"the target does not fit the model at the buffer {name!r}; pass its own state_dict")
        if not x.isfinite().all():
            raise ValueError(f"the target holds NaN or infinite entries in the buffer {name!r}; estimate it anew")
    model.load_state_dict(given, strict=False)
    return model


def _specification(model: nn.Module, inputs: Tensor) -> PermutationSpec:
    """The derived specification; running the model on the first inputs is part of it."""
    try:
        return permutation_spec(model, inputs)
    except FAILURES as error:
        if type(error) not in FAILURES:
            raise
        raise ValueError(
            f"{type(model).__name__} with weights of {next(model.parameters()).dtype} fails on the first inputs of "
            f"batches, of shape {tuple(inputs.shape)} and {inputs.dtype}: {error}. Pass inputs of the shape and type "
            "that the model takes, or convert the model, e.g. model.double()"
        ) from error


def _names(model: nn.Module) -> dict[str, str]:
    """The name of the tensor behind each key of the state dict; tied weights have one name and several keys."""
    own = first_names(model)
    return {key: own[key] for key in model.state_dict() if key in own}
