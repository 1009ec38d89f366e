"""Ensembles of transferred networks beside ensembles of fully trained ones (appendix E.2)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from statistics import fmean

import pandas as pd
import torch
from torch import Tensor

from trajtransfer.objective import outputs
from trajtransfer.paper.lab import Lab
from trajtransfer.paper.networks import Network
from trajtransfer.paper.seeds import Seeds, seed_pairs
from trajtransfer.paper.subsequent import standard, transferred
from trajtransfer.paper.unit_of_work import Need, both_ends, contents, needing, starts

BINS = 15  # of the expected calibration error


def ensembles(
    lab: Lab, methods: Sequence[str], share: float, groups: Sequence[Sequence[Seeds]]
) -> pd.DataFrame:
    """Scores on the test set of one ensemble per method and group of pairs, one member each.

    The method ``"full"`` trains members for all epochs of the setting, ``"short"`` in the same way
    for this `share` of them only, the others for as many after a transfer. Raises ``ValueError``
    for a share outside (0, 1].
    """
    if not 0 < share <= 1:
        raise ValueError(f"share={share:g} must be in (0, 1]: epochs per member over full training")
    every = lab.setting.recipe.epochs
    few = max(1, round(share * every))
    units = []
    rows = []
    for method in ("full", "short", *methods):
        epochs = every if method == "full" else few
        for number, group in enumerate(groups, 1):
            units.append(lab.unit(ensemble, method, epochs, [str(seeds) for seeds in group]))
            about = {"method": method, "epochs per member": epochs, "group": number}
            rows.append(about | {"members": len(group)})
    scores = contents(units)
    return pd.DataFrame([row | found for row, found in zip(rows, scores, strict=True)])


def _members(lab: Lab, method: str, epochs: int, group: Sequence[str]) -> list[Need]:
    pairs = [seeds for text in group for seeds in seed_pairs(text)]
    whole = epochs == lab.setting.recipe.epochs
    if method in ("full", "short") and not whole:
        return starts(lab, *pairs)
    return both_ends(lab, *pairs)


@needing(_members)
def ensemble(lab: Lab, method: str, epochs: int, group: Sequence[str]) -> dict[str, float]:
    """The scores of one ensemble, its members trained for so many epochs."""
    members = []
    for (seeds,) in map(seed_pairs, group):
        if method in ("full", "short"):
            members.append(standard(lab, seeds.target, epochs))
        else:
            trained, _ = transferred(lab, method, seeds, epochs=epochs)
            members.append(trained)
    found = [probabilities(lab, member) for member in members]
    return ensemble_scores(found, lab.task.test.labels)


def probabilities(lab: Lab, member: Network) -> Tensor:
    """Predicted probabilities (n, classes) of a trained network on the test set."""
    return outputs(lab.model, member.end | member.buffers, lab.task.test).softmax(1)


def ensemble_scores(members: Sequence[Tensor], labels: Tensor) -> dict[str, float]:
    """Scores of the mean of predicted probabilities (n, classes).

    These are accuracy, negative log-likelihood (nats) and calibration error.

    `disagreement` is the share of images on which two members predict different classes, averaged
    over pairs of members; `accuracy of members` is their mean.
    """
    mean = torch.stack(list(members)).double().mean(0)
    chosen = [m.argmax(1) for m in members]
    apart = [float((a != b).double().mean()) for a, b in combinations(chosen, 2)]
    return {
        "accuracy": float((mean.argmax(1) == labels).double().mean()),
        "accuracy of members": fmean(float((c == labels).double().mean()) for c in chosen),
        "nll": float(-mean.gather(1, labels[:, None]).clamp_min(1e-12).log().mean()),
        "calibration error": calibration_error(mean, labels),
        "disagreement": fmean(apart) if apart else 0.0,
    }


def calibration_error(probabilities: Tensor, labels: Tensor) -> float:
    """Mean |accuracy - confidence| over `BINS` equal bins of confidence, weighted by images."""
    confidence, predicted = probabilities.max(1)
    right = (predicted == labels).double()
    bins = (confidence * BINS).long().clamp_max(BINS - 1)
    excess = torch.zeros(BINS, dtype=torch.float64, device=bins.device).index_add_(
        0, bins, right - confidence.double()
    )
    return float(excess.abs().sum() / len(labels))
