"""Transfer the training of a reader's own network to a new initialisation in one call."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trajtransfer.data import Batch
from trajtransfer.objective import Loss, Score, evaluate, paired_gradients, running_statistics
from trajtransfer.params import Params
from trajtransfer.permutation import Permutation, PermutationSpec
from trajtransfer.tracing import check_invariance, permutation_spec
from trajtransfer.trajectory import SCHEDULES, Line
from trajtransfer.transfer import Step, fgmt, gmt

METHODS: Mapping[str, Callable[..., Iterator[Step]]] = {"gmt": gmt, "fgmt": fgmt}
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
    mini-batch. `loss(outputs, labels)` is a mean. `method` is ``"fgmt"`` or ``"gmt"``; `steps` is T. The step
    with the least loss on the batches `selection` is chosen; without it, on the first batch of `batches`, which
    is a rough choice. Running statistics are estimated on the same batches. `cache` says where gradients are kept:
    ``"device"``, ``"host"``, or ``"half"`` (bfloat16, half the memory and faster products). Raises `UntraceableError` when the
    symmetry of `model` cannot be derived, and ``ValueError`` when the derived one fails the invariance check or
    a state does not fit the model.
    """
    if method not in METHODS:
        raise ValueError(f"unknown method {method!r}; known: {', '.join(METHODS)}")
    if schedule not in SCHEDULES:
        raise ValueError(f"unknown schedule {schedule!r}; known: {', '.join(SCHEDULES)}")
    model, names = _with_buffers(model, target), _names(model)
    start, end, initial = (_point(model, state, what) for state, what in zip((*source, target), _ROLES, strict=True))
    endless = _cycle(batches, next(model.parameters()).device)
    first = next(endless)
    spec = permutation_spec(model, first[0][:2])
    check_invariance(model, spec, first[0][:2], torch.Generator().manual_seed(seed))
    line, order = Line(start, end, SCHEDULES[schedule](steps)), torch.Generator().manual_seed(seed)
    moves = METHODS[method](line, initial, spec, paired_gradients(model, endless, loss=loss), generator=order, cache=cache)
    chosen = _Chooser(model, loss, [_to(b, first[0].device) for b in selection] if selection else [first])
    chosen.consider(Step(0, initial, Permutation.identity(spec)))
    for step in moves:
        chosen.consider(step)
    step, buffers = chosen.best
    return Transfer(step.t, step.params, buffers, step.permutation, tuple(chosen.scores), spec, names)


_ROLES = ("the start of the source", "the end of the source", "the target")


class _Chooser:
    """Keeps the step with the least selection loss."""

    def __init__(self, model: nn.Module, loss: Loss, batches: Sequence[Batch]):
        self.model, self.loss = model, loss
        self.data = (torch.cat([x for x, _ in batches]), torch.cat([y for _, y in batches]))
        self.scores: list[Score] = []
        self.best: tuple[Step, Params]

    def consider(self, step: Step) -> None:
        """Score a step, with running statistics estimated at it."""
        statistics = running_statistics(self.model, step.params, self.data)
        score = evaluate(self.model, step.params | statistics, self.data, loss=self.loss)
        if not self.scores or score.loss < min(s.loss for s in self.scores):
            self.best = step, statistics
        self.scores.append(score)


def _point(model: nn.Module, state: State, what: str) -> Params:
    """The parameters of a state dict, on the device of the model."""
    own = dict(model.named_parameters())
    wrong = [n for n, p in own.items() if n not in state or state[n].shape != p.shape]
    if wrong:
        raise ValueError(f"{what} does not fit the model at {wrong[:3]}; pass a state_dict of the same architecture")
    return Params({n: state[n].detach().to(p.device, copy=True) for n, p in own.items()})


def _with_buffers(model: nn.Module, state: State) -> nn.Module:
    """A copy of `model` with the buffers of a state dict."""
    model = copy.deepcopy(model)
    buffers = {name for name, _ in model.named_buffers()}
    model.load_state_dict({name: x for name, x in state.items() if name in buffers}, strict=False)
    return model


def _names(model: nn.Module) -> dict[str, str]:
    """The name of the tensor behind each key of the state dict; tied weights have one name and several keys."""
    every = (*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False))
    first: dict[int, str] = {}
    for name, x in every:
        first.setdefault(id(x), name)
    own = {name: first[id(x)] for name, x in every}
    return {key: own[key] for key in model.state_dict() if key in own}


def _cycle(batches: Iterable[Batch], device: torch.device) -> Iterator[Batch]:
    while True:
        empty = True
        for batch in batches:
            empty = False
            yield _to(batch, device)
        if empty:
            raise ValueError("batches is empty or cannot be started again; pass a list or a DataLoader, not an iterator")


def _to(batch: Any, device: torch.device) -> Batch:
    inputs, labels = batch
    return inputs.to(device), labels.to(device)
