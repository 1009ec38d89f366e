"""Figures to explore on a page: curves with their values on hover, networks with a slider over t.

They are made from the tables of a record, so that no notebook has to know of them; each stands
folded under its still twin, and needs a script that is loaded when it is opened.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd
from plotly import graph_objects as go

from trajtransfer.paper.figures.landscape import UNITS
from trajtransfer.paper.figures.style import style_of
from trajtransfer.paper.storage.outcomes import RecordFile

SYMBOLS = {"x": "x", "s": "square", "o": "circle", "^": "triangle-up", "D": "diamond", "v": "star"}
DASHES = {"identity": "dash", "random": "dot", "linear, cosine": "dash", "recorded": "dot"}


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
WALK = "permutation_symmetry-transferred"


def explored(figure: str, record: RecordFile) -> str | None:
    """The figure to explore under a still one, as HTML; nothing where there is none."""
    if figure == WALK:
        drawn = walk(pd.DataFrame(record.tables["walk"]))
        return folded("Move along the trajectory, step by step", drawn)
    if figure in EXPLORED:
        what = EXPLORED[figure]
        drawn = curves(pd.DataFrame(record.tables[what.table]), what)
        return folded("Explore these curves: values, single curves, every pair", drawn)
    return None


def folded(summary: str, figure: go.Figure) -> str:
    """A figure behind a line to click; its data are in the page, so that it opens from a disk."""
    data = figure.to_json().replace("</", "<\\/")
    return (
        f'<details class="explore"><summary>{summary}</summary>\n'
        '<div class="explored"></div>\n'
        f'<script type="application/json">{data}</script>\n'
        "</details>"
    )


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
    figure.update_layout(**_layout(), xaxis_title=what.axes[0], yaxis_title=what.axes[1])
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


def walk(rows: pd.DataFrame) -> go.Figure:
    """Source and target as diagrams, and a slider over the steps of the transfer."""
    frames = []
    lines = _lines(rows)
    for t, mine in lines.groupby("t"):
        traces = [_line(weight) for weight in mine.to_dict("records")]
        frames.append(go.Frame(data=traces, name=str(t), layout={"annotations": _titles(mine)}))
    figure = go.Figure(data=frames[0].data, frames=frames)
    steps = [
        {"label": frame.name, "method": "animate", "args": [[frame.name], {"mode": "immediate"}]}
        for frame in frames
    ]
    slider = {"steps": steps, "currentvalue": {"prefix": "step t = "}, "pad": {"t": 20}}
    figure.update_layout(**_layout(), annotations=frames[0].layout.annotations, sliders=[slider])
    figure.update_layout(showlegend=False)
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    return figure


def _titles(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """The accuracies of both networks at a step, above their drawings."""
    found = rows.groupby("network")[["accuracy", "x"]].mean()
    return [
        {
            "text": f"{name}: {row['accuracy']:.0%}",
            "x": row["x"] + 0.5,
            "y": 1.12,
            "showarrow": False,
        }
        for name, row in found.iterrows()
    ]


def _lines(rows: pd.DataFrame) -> pd.DataFrame:
    """Where the line of each weight runs: source on the left, target on the right, inputs first."""
    column = rows["layer"].map({"hidden": 0, "head": 1})
    beside = rows["network"].map({"source": 0, "target": 3})
    found = rows.assign(x=column + beside)
    for end in ("from", "to"):
        unit = rows[end].astype(int)
        last = unit.groupby(rows["layer"]).transform("max")
        found[f"{end} y"] = unit / last
    found["width"] = (6 * rows["weight"].abs() / rows["weight"].abs().max()).round(2)
    return found


def _line(weight: dict[str, Any]) -> Any:
    """A weight: thick for a large one, dashed for a negative one, in the colour of its unit."""
    return go.Scatter(
        x=[weight["x"], weight["x"] + 1],
        y=[round(weight["from y"], 3), round(weight["to y"], 3)],
        mode="lines",
        line={
            "color": UNITS[weight["unit"] % len(UNITS)],
            "width": weight["width"],
            "dash": "solid" if weight["weight"] > 0 else "dash",
        },
        hovertemplate=f"{weight['weight']:.3f}",
        name=f"{weight['network']}, {weight['layer']} {weight['from']} → {weight['to']}",
    )


def _layout() -> dict[str, Any]:
    return {
        "template": "none",
        "height": 440,
        "margin": {"l": 60, "r": 10, "t": 40, "b": 50},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "legend": {"orientation": "h", "y": -0.2},
        "hovermode": "closest",
    }
