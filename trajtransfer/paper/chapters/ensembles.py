"""Ensembles of transferred networks beside ensembles of fully trained ones (appendix E.2)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from trajtransfer.objective import outputs
from trajtransfer.paper.experiment import Pair, parse_pairs
from trajtransfer.paper.measures import STANDARD
from trajtransfer.paper.networks import Network, task_of
from trajtransfer.paper.settings import Setting
from trajtransfer.paper.subsequent import subsequent

Row = dict[str, Any]
BINS = 15  # of the expected calibration error


def parse_groups(text: str) -> list[list[Pair]]:
    """Groups of seed pairs, one ensemble each, such as ``"1-2, 1-3; 4-5, 4-6"``."""
    return [parse_pairs(group) for group in text.split(";")]


def ensemble_rows(
    setting: Setting, methods: Sequence[str], share: float, groups: Sequence[Sequence[Pair]], device: str
) -> list[Row]:
    """Scores on the test set of one ensemble per method and group; each pair of a group gives one member.

    The method ``"full"`` trains members for all epochs of the setting, ``"short"`` in the same way for this `share` of
    them only, the others for as many after a transfer. Raises ``ValueError`` for a share outside (0, 1].
    """
    if not 0 < share <= 1:
        raise ValueError(f"share={share:g} must be in (0, 1]: epochs per member over those of full training")
    few = max(1, round(share * setting.recipe.epochs))
    rows = []
    for method in ("full", "short", *methods):
        epochs, how = setting.recipe.epochs if method == "full" else few, STANDARD if method in ("full", "short") else method
        for number, group in enumerate(groups, 1):
            members = [subsequent(setting, how, pair, device, epochs=epochs)[0] for pair in group]
            found = [probabilities(setting, member, device) for member in members]
            about = {"method": method, "epochs per member": epochs, "group": number, "members": len(group)}
            rows.append(about | ensemble_scores(found, task_of(setting, device).test.labels))
    return rows


def probabilities(setting: Setting, member: Network, device: str) -> Tensor:
    """Predicted probabilities (n, classes) of a trained network on the test set."""
    test = task_of(setting, device).test
    return outputs(member.model, member.end | member.buffers, test).softmax(1)


def ensemble_scores(members: Sequence[Tensor], labels: Tensor) -> dict[str, float]:
    """Accuracy, negative log-likelihood (nats) and calibration error of the mean of probabilities (n, classes).

    `disagreement` is the share of images on which two members predict different classes, averaged over pairs of
    members; `accuracy of members` is their mean.
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
    """Expected calibration error: mean |accuracy - confidence| over `BINS` equal bins of confidence, weighted by their images."""
    confidence, predicted = probabilities.max(1)
    right = (predicted == labels).double()
    bins = (confidence * BINS).long().clamp_max(BINS - 1)
    excess = torch.zeros(BINS, dtype=torch.float64, device=bins.device).index_add_(0, bins, right - confidence.double())
    return float(excess.abs().sum() / len(labels))
