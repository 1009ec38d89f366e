"""Curves to explore: means with their values on hover, and a thin line for every pair of seeds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd
from plotly import graph_objects as go

from trajtransfer.paper.figures.style import style_of

SYMBOLS = {"x": "x", "s": "square", "o": "circle", "^": "triangle-up", "D": "diamond", "v": "star"}
DASHES = {
    "identity": "dash",
    "random": "dot",
    "linear, cosine": "dash",
    "recorded": "dot",
    "trained target": "dash",
}


class Explored(NamedTuple):
    """What is drawn: the column `y` of a table against `x`, a curve per value of the columns `by`.

    With `pairs` every pair of seeds has a thin line of its own beside the mean.
    """

    table: str
    x: str
    y: str
    by: tuple[str, ...]
    axes: tuple[str, str]
    percent: bool = True
    pairs: bool = True


ACCURACY = "validation accuracy (%)"
STEP = "trajectory step t"
# By the label of the still figure in its notebook.
EXPLORED = {
    "transfer-curves": Explored("curves", "t", "accuracy", ("method",), (STEP, ACCURACY)),
    "trajectories-kinds": Explored(
        "steps", "t", "accuracy", ("method", "trajectory"), (STEP, ACCURACY)
    ),
    "accelerated_training-epochs": Explored(
        "training", "epoch", "accuracy", ("method",), ("epoch of training", ACCURACY)
    ),
    "generalization-curves": Explored(
        "training", "epoch", "accuracy", ("method",), ("epoch of fine-tuning", ACCURACY)
    ),
    "basins-segments": Explored(
        "segments",
        "position",
        "loss",
        ("from", "to"),
        ("position (0: transferred network, 1: other end)", "validation loss (nats)"),
        percent=False,
    ),
    "assumption_p-cosines": Explored(
        "updates",
        "iteration",
        "cosine",
        ("series", "order"),
        ("iteration of training", "cosine of the updates"),
        percent=False,
        pairs=False,
    ),
}


def curves(rows: pd.DataFrame, what: Explored) -> go.Figure:
    """Means over pairs by group, with the deviation on hover, and a thin line for each pair."""
    scale = 100 if what.percent else 1
    rows = rows.dropna(subset=[what.y]).assign(value=lambda found: scale * found[what.y])
    figure = go.Figure()
    groups = list(rows.groupby(list(what.by), sort=False))
    names = list(dict.fromkeys(key[0] for key, _ in groups))
    for key, mine in groups:
        look = _look(key, names.index(key[0]))
        figure.add_trace(_mean(key, mine, what, look))
        if what.pairs and mine["pair"].nunique() > 1:
            figure.add_traces(_pairs(key, mine, what, look))
    figure.update_layout(xaxis_title=what.axes[0], yaxis_title=what.axes[1])
    return figure


def _look(key: Sequence[str], number: int) -> dict[str, Any]:
    """Colour, marker and dashes of a curve, those of the still figure."""
    own = style_of(key[0], number)
    return {
        "color": own["color"],
        "symbol": SYMBOLS.get(own["marker"], "circle"),
        "dash": DASHES.get(key[-1], "solid"),
        "name": ", ".join([own["label"], *key[1:]]),
    }


def _mean(key: Sequence[str], rows: pd.DataFrame, what: Explored, look: dict[str, Any]) -> Any:
    values = rows.groupby(what.x)["value"]
    mean = values.mean().round(4)
    return go.Scatter(
        x=mean.index.tolist(),
        y=mean.tolist(),
        customdata=values.std().fillna(0).round(4).tolist(),
        name=look["name"],
        legendgroup="/".join(key),
        mode="lines+markers",
        line={"color": look["color"], "dash": look["dash"]},
        marker={"symbol": look["symbol"], "size": 6},
        hovertemplate=f"%{{y:.3~f}} ± %{{customdata:.2~f}} (n = {rows['pair'].nunique()})",
    )


def _pairs(
    key: Sequence[str], rows: pd.DataFrame, what: Explored, look: dict[str, Any]
) -> list[Any]:
    """A thin line per pair of seeds, which comes and goes with its mean."""
    traces = []
    for pair, mine in rows.groupby("pair", sort=False):
        traces.append(
            go.Scatter(
                x=mine[what.x].tolist(),
                y=mine["value"].round(4).tolist(),
                name=f"{look['name']}, pair {pair}",
                legendgroup="/".join(key),
                showlegend=False,
                mode="lines",
                opacity=0.35,
                line={"color": look["color"], "width": 1},
                hovertemplate="%{y:.3~f}",
            )
        )
    return traces
