"""Training that goes on from transferred weights (sections 4.2 and 4.3)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

from trajtransfer.algorithms import Step
from trajtransfer.paper.experiment import Pair, follow, scores, source_line
from trajtransfer.paper.measures import STANDARD
from trajtransfer.paper.networks import Network, continued, initialised, network
from trajtransfer.paper.settings import Setting
from trajtransfer.params import parameters

Row = dict[str, Any]


def subsequent(
    setting: Setting, method: str, pair: Pair, device: str, *, origin: Setting | None = None, epochs: int = 0
) -> tuple[Network, float]:
    """The target of a pair trained from transferred weights by the setting's next recipe, and the accuracy it started from.

    Training starts at the step that is best on the selection split. The method `STANDARD` is the ordinary training of the
    target from its own initialisation. `origin` is the setting of the source where it is another one; `epochs`
    overrides the length (0: the setting's own).
    """
    if method == STANDARD:
        target = _standard(setting, pair[1], epochs or setting.recipe.epochs, device)
        return target, scores(setting, target.model, target.start, device, ["validation"])[0].accuracy
    line = source_line(setting, network(origin or setting, pair[0], device))
    step, row = best_step(follow(setting, method, pair, device, line=line))
    return trained_on(setting, method, pair, step, device, epochs=epochs), row["accuracy"]


def best_step(walk: Iterable[tuple[Step, Row]]) -> tuple[Step, Row]:
    """The step of a transfer that is best on the selection split, with its row; the first of equals."""
    return max(walk, key=lambda found: found[1]["selection_accuracy"])


def trained_on(setting: Setting, method: str, pair: Pair, step: Step, device: str, *, epochs: int = 0) -> Network:
    """The target trained from a step of a transfer by the setting's next recipe (0 epochs: as long as it says)."""
    recipe = replace(setting.next_recipe, epochs=epochs or setting.next_recipe.epochs)
    return continued(setting, recipe, step.params, pair[1], f"{method}-from{pair[0]}", device)


def training_rows(
    setting: Setting, methods: Sequence[str], pairs: Sequence[Pair], device: str, *, origin: Setting | None = None
) -> list[Row]:
    """Validation accuracy after each epoch of `subsequent` (epoch 0: before any), and its generalisation gap.

    The gap is the accuracy on as many training images minus that on the validation split.
    """
    rows = []
    for method in methods:
        for pair in pairs:
            trained, first = subsequent(setting, method, pair, device, origin=origin)
            about = {"method": method, "pair": f"{pair[0]}-{pair[1]}"}
            rows.append(about | {"epoch": 0, "accuracy": first, "gap": None})
            rows += [about | {"epoch": row["epoch"], "accuracy": row["accuracy"], "gap": _gap(row)} for row in trained.history]
    return rows


def generalization_rows(setting: Setting, poor: Setting, pairs: Sequence[Pair], device: str) -> list[Row]:
    """The four curves of Figure 8: targets of `setting`, or of `poor`, after a transfer from `poor` or by training alone.

    All four are trained for as many epochs, so that their gaps can be compared; standard training keeps the learning rate of
    the source, the others have that of the next recipe, as in the paper.
    """
    runs = {"FGMT, part → all": (setting, poor), "FGMT, part → part": (poor, poor), "standard, all": (setting, None),
            "standard, part": (poor, None)}  # fmt: skip
    rows = []
    for name, (target, origin) in runs.items():
        for pair in pairs:
            if origin:
                trained, _ = subsequent(target, "fgmt", pair, device, origin=origin)
            else:
                start = parameters(initialised(target, pair[1], device))
                recipe = replace(target.recipe, epochs=target.next_recipe.epochs)
                trained = continued(target, recipe, start, pair[1], STANDARD, device)
            about = {"method": name, "pair": f"{pair[0]}-{pair[1]}"}
            rows += [about | {"epoch": r["epoch"], "accuracy": r["accuracy"], "gap": _gap(r)} for r in trained.history]
    return rows


def starting_points(settings: Sequence[Setting], pairs: Sequence[Pair], device: str) -> list[Row]:
    """Mean validation accuracy that pre-training reached on its own task, for the targets of the pairs."""
    return [
        {
            "pre-trained on": parent.task(),
            "validation accuracy": fmean(network(parent, seed, device).history[-1]["accuracy"] for _, seed in pairs),
        }
        for parent in (setting.pretrained for setting in settings)
        if parent
    ]


def _standard(setting: Setting, seed: int, epochs: int, device: str) -> Network:
    """The ordinary training of a network, for so many epochs."""
    if epochs == setting.recipe.epochs:
        return network(setting, seed, device)
    start = parameters(initialised(setting, seed, device))
    return continued(setting, replace(setting.recipe, epochs=epochs), start, seed, STANDARD, device)


def _gap(row: Row) -> float | None:
    return row["train_accuracy"] - row["accuracy"] if "train_accuracy" in row else None
