"""The curves that the paper reports, as frames like ours: fractions, a mean per point."""

from __future__ import annotations

import json
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

RUNS_OF_FIGURE_8 = {
    "fgmt (imagenet-10% -> imagenet-full)": "FGMT, part → all",
    "fgmt (imagenet-10% -> imagenet-10%)": "FGMT, part → part",
    "standard (imagenet-full pre-trained)": "standard, all",
    "standard (imagenet-10% pre-trained)": "standard, part",
}
KINDS_OF_FIGURE_4 = {"linear": "linear, uniform", "actual": "recorded"}


@lru_cache
def panels() -> dict[str, Any]:
    """The curves of the paper's figures by panel (``"5a"``), digitised from its vector graphics."""
    text = files("trajtransfer.paper").joinpath("reported_curves.json").read_text()
    content: dict[str, Any] = json.loads(text)
    return content


def title_of(panel: str) -> str:
    """What a panel of the paper shows."""
    title: str = panels()[panel]["title"]
    return title


def update_cosines(panel: str) -> pd.DataFrame:
    """Cosines of Figure 3a (``"3a"``) by width, order and iteration."""
    found = _points(panel).assign(series="the paper", pair="mean")
    words = found["label"].str.split(expand=True)
    return found.assign(
        width=words[1].astype(int), order=words[2], iteration=found.x, cosine=found.y
    )


def trajectory_accuracies(panel: str) -> pd.DataFrame:
    """Accuracies of Figure 4 by kind of trajectory; there is no selection split."""
    found = _accuracies(panel)
    kinds = found["method"].map(KINDS_OF_FIGURE_4)
    return found.assign(trajectory=kinds, method="gmt", selection_accuracy=0.0)


def training_accuracies(panel: str) -> pd.DataFrame:
    """Accuracies of a panel of Figure 6 by method and epoch, without an epoch 0."""
    found = _accuracies(panel)
    return found.assign(method=found["method"].str.removesuffix(" training"))


def generalization_curves(panel: str) -> pd.DataFrame:
    """Accuracies and gaps of a panel of Figure 8 (``"8a"`` or ``"8b"``) by run and epoch."""
    found = _accuracies(f"{panel}-accuracy")
    gap = _accuracies(f"{panel}-gap")["accuracy"]
    return found.assign(method=found["method"].map(RUNS_OF_FIGURE_8), gap=gap)


def ensembles_table(task: str) -> list[dict[str, Any]]:
    """The row of a task in the paper's table of ensembles, one line per ensemble."""
    return [
        {"paper": task, "ensemble": name, "accuracy (%)": accuracy, "epochs per member": epochs}
        for name, (accuracy, epochs) in panels()["ensemble-table"][task].items()
    ]


def _accuracies(panel: str) -> pd.DataFrame:
    found = _points(panel)
    method = found["label"].str.lower()
    return found.assign(method=method, pair="mean", epoch=found.x, accuracy=found.y / 100)


def _points(panel: str) -> pd.DataFrame:
    """The points of the mean curves of a panel."""
    import pandas as pd  # takes a second to import, which a list of panels should not wait for

    rows = []
    for curve in panels()[panel]["curves"]:
        points = zip(curve["x"], curve["mean"], strict=True)
        rows += [{"label": curve["label"], "x": x, "y": y} for x, y in points]
    return pd.DataFrame(rows)
