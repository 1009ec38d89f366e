"""Training that goes on from transferred weights (sections 4.2 and 4.3)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from trajtransfer.algorithms import Step
from trajtransfer.paper.lab import Lab
from trajtransfer.paper.networks import Network
from trajtransfer.paper.seeds import Seeds

Row = dict[str, Any]
STANDARD = "standard"  # the ordinary training of the target from its own initialisation


def best_step(walk: Iterable[tuple[Step, Row]]) -> tuple[Step, Row]:
    """The step that is best on the selection split, with its row; the first of equals."""
    return max(walk, key=lambda found: found[1]["selection_accuracy"])


def transferred(
    lab: Lab, method: str, seeds: Seeds, *, origin: Lab | None = None, epochs: int = 0
) -> tuple[Network, float]:
    """The target trained from transferred weights, and the accuracy that its training started from.

    Training starts at the step that is best on the selection split and follows the setting's next
    recipe (0 epochs: as long as it says). `origin` is the laboratory of the source where it is
    another one.
    """
    line = lab.along((origin or lab).network(seeds.source))
    step, row = best_step(lab.follow(method, seeds, line))
    return trained_on(lab, method, seeds, step, epochs=epochs), row["accuracy"]


def trained_on(lab: Lab, method: str, seeds: Seeds, step: Step, *, epochs: int = 0) -> Network:
    """The target trained from a step of a transfer by the setting's next recipe."""
    recipe = lab.setting.next_recipe
    recipe = replace(recipe, epochs=epochs or recipe.epochs)
    return lab.continued(recipe, step.params, seeds.target, f"{method}-from{seeds.source}")


def standard(lab: Lab, seed: int, epochs: int = 0) -> Network:
    """The ordinary training of a network, for so many epochs (0: as many as its setting says)."""
    recipe = lab.setting.recipe
    if epochs in (0, recipe.epochs):
        return lab.network(seed)
    return lab.continued(replace(recipe, epochs=epochs), lab.start(seed), seed, STANDARD)


def history_rows(network: Network, method: str, seeds: Seeds) -> list[Row]:
    """Validation accuracy after each epoch of a training, and its generalisation gap.

    The gap is the accuracy on as many training images minus that on the validation split.
    """
    return [
        {
            "method": method,
            "pair": str(seeds),
            "epoch": row["epoch"],
            "accuracy": row["accuracy"],
            "gap": row["train_accuracy"] - row["accuracy"],
        }
        for row in network.history
    ]
