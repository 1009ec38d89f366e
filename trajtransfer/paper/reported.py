"""The curves that the paper reports, as rows like ours: fractions, one mean per point, no single pairs."""

from __future__ import annotations

import json
from functools import lru_cache
from importlib.resources import files
from typing import Any

Row = dict[str, Any]


@lru_cache
def panels() -> dict[str, Any]:
    """The curves of the paper's figures by panel (``"5a"``), digitised from its vector graphics."""
    content: dict[str, Any] = json.loads(
        files("trajtransfer.paper").joinpath("reported_curves.json").read_text()
    )
    return content


def similarity_rows(panel: str) -> list[Row]:
    """Cosines of a panel of Figure 3 by width, order and iteration."""
    rows = []
    for curve in panels()[panel]["curves"]:
        _, width, order = curve["label"].split()
        points = zip(curve["x"], curve["mean"], strict=True)
        rows += [{"width": int(width), "order": order, "iteration": x, "cosine": y} for x, y in points]
    return rows


def trajectory_rows(panel: str) -> list[Row]:
    """Accuracies of Figure 4 by kind of trajectory; there is no selection split."""
    kinds = {"linear": "linear, uniform", "actual": "recorded"}
    return [row | {"trajectory": kinds[row["method"]], "method": "gmt", "selection_accuracy": 0.0} for row in _rows(panel)]


def training_rows(panel: str) -> list[Row]:
    """Accuracies of a panel of Figure 6 by method and epoch, without an epoch 0."""
    return [row | {"method": row["method"].removesuffix(" training")} for row in _rows(panel)]


def generalization_rows(panel: str) -> list[Row]:
    """Accuracies and gaps of a panel of Figure 8 (``"8a"`` or ``"8b"``) by run and epoch."""
    names = {
        "fgmt (imagenet-10% -> imagenet-full)": "FGMT, part → all",
        "fgmt (imagenet-10% -> imagenet-10%)": "FGMT, part → part",
        "standard (imagenet-full pre-trained)": "standard, all",
        "standard (imagenet-10% pre-trained)": "standard, part",
    }
    both = zip(_rows(f"{panel}-accuracy"), _rows(f"{panel}-gap"), strict=True)
    return [a | {"method": names[a["method"]], "gap": b["accuracy"]} for a, b in both]


def _rows(panel: str) -> list[Row]:
    return [
        {"method": curve["label"].lower(), "pair": "mean", "epoch": x, "accuracy": y / 100}
        for curve in panels()[panel]["curves"]
        for x, y in zip(curve["x"], curve["mean"], strict=True)
    ]
