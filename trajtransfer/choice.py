"""The best step of a transfer, by the loss on selection batches; errors say at which they arose."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from torch import nn

from trajtransfer.algorithms import Gradients, Step
from trajtransfer.batches import Batch, together
from trajtransfer.forward import Loss, inputs_for
from trajtransfer.matching.gains import VectorPair
from trajtransfer.objective import Score, evaluate, running_statistics
from trajtransfer.params import Params


class Watched:
    """A function of pairs of gradients that remembers the last pair and where it was taken."""

    def __init__(self, gradients: Gradients):
        self.gradients = gradients
        self.last: dict[str, Params] = {}

    def __call__(self, target: Params, source: Params) -> VectorPair:
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
                        f"{what} is not finite at {name!r}: the numbers overflow {x.dtype}, or the "
                        "model is not defined there; scale weights, inputs or loss down, or use "
                        "float64"
                    )
        return None


class Chooser:
    """Keeps the step with the least selection loss."""

    def __init__(self, model: nn.Module, loss: Loss, batches: Sequence[Batch]):
        self.model = model
        self.loss = loss
        self.data = together(batches)
        self.scores: list[Score] = []
        self.best: tuple[Step, Params]

    def best_of(
        self, initial: Step, moves: Iterator[Step], gradients: Watched
    ) -> tuple[Step, Params]:
        """The best of the initial step and those that follow; errors say at which they arose."""
        self.consider(initial)
        unmoved = self.scores[0].loss
        if not math.isfinite(unmoved):
            raise ValueError(
                f"the loss of the target initialisation is {unmoved} on the selection batches, so "
                "no step can be compared with it; check the labels and the loss, or scale the "
                "weights of the target down"
            )
        try:
            for step in moves:
                self.consider(step)
        except ValueError as error:
            if type(error) is not ValueError:  # one of the reader's own
                raise
            raise ValueError(f"step {len(self.scores)}: {gradients.fault() or error}") from error
        return self.best

    def consider(self, step: Step) -> None:
        """Score a step, with running statistics estimated at it."""
        inputs, labels = self.data
        given = inputs_for(self.loss, inputs, labels)
        statistics = running_statistics(self.model, step.params, (given, labels))
        score = evaluate(self.model, step.params | statistics, self.data, loss=self.loss)
        least = min((earlier.loss for earlier in self.scores), default=math.inf)
        if score.loss < least:
            self.best = (step, statistics)
        self.scores.append(score)
