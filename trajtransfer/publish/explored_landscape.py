"""Weight space to explore: networks with a slider over t, and a plane with its values on hover."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from plotly import graph_objects as go

from trajtransfer.paper.figures.landscape import UNITS
from trajtransfer.paper.figures.style import style_of

ACCURACY = "validation accuracy (%)"
LOSS = "validation loss (nats), at most its ninth decile"


def walk(rows: pd.DataFrame) -> go.Figure:
    """Source and target as diagrams, and a slider over the steps of the transfer."""
    frames = []
    lines = _lines(rows)
    for t, mine in lines.groupby("t"):
        traces = [_line(weight) for weight in mine.to_dict("records")]
        frames.append(go.Frame(data=traces, name=str(t), layout={"annotations": _titles(mine)}))
    figure = go.Figure(data=frames[0].data, frames=frames)
    titles = frames[0].layout.annotations
    figure.update_layout(annotations=titles, sliders=[_slider(frames)], showlegend=False)
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    return figure


def plane(rows: pd.DataFrame, corners: pd.DataFrame, path: pd.DataFrame) -> go.Figure:
    """Accuracy and loss over a plane, one at a time, with the three points that span it.

    A slider moves along the steps of the `path` as they fall on the plane.
    """
    percent = rows.assign(value=100 * rows["accuracy"])
    loss = rows.assign(value=rows["loss"].clip(upper=rows["loss"].quantile(0.9)))
    fields = [_field(percent, ACCURACY, "Viridis"), _field(loss, LOSS, "Viridis_r")]
    fields[1].visible = False
    places = [_place(step) for step in path.to_dict("records")]
    figure = go.Figure([*fields, _corners(corners), _path(path), places[0]])
    moving = [len(figure.data) - 1]
    named = zip(path["t"], places, strict=True)
    figure.frames = [go.Frame(data=[place], traces=moving, name=str(t)) for t, place in named]
    buttons = []
    for number, name in enumerate(("accuracy", "loss")):
        shown = [number == 0, number == 1, True, True, True]
        buttons.append({"label": name, "method": "update", "args": [{"visible": shown}]})
    menu = {"type": "buttons", "direction": "right", "x": 0, "y": 1.15, "xanchor": "left"}
    menus = [menu | {"buttons": buttons}]
    figure.update_layout(showlegend=False, updatemenus=menus, sliders=[_slider(figure.frames)])
    figure.update_xaxes(title="u (distance in weight space)")
    figure.update_yaxes(title="v (same unit)")
    return figure


def _field(rows: pd.DataFrame, title: str, colours: str) -> Any:
    """The `value` at each point of the grid."""
    grid = rows.pivot(index="v", columns="u", values="value")
    return go.Contour(
        x=grid.columns.round(3).tolist(),
        y=grid.index.round(3).tolist(),
        z=grid.round(3).to_numpy().tolist(),
        colorscale=colours,
        colorbar={"title": {"text": title, "side": "right"}},
        hovertemplate="u = %{x:.3~f}, v = %{y:.3~f}: %{z:.3~f}<extra></extra>",
        visible=True,
    )


def _corners(corners: pd.DataFrame) -> Any:
    return go.Scatter(
        x=corners["u"].tolist(),
        y=corners["v"].tolist(),
        text=corners["corner"].tolist(),
        mode="markers+text",
        textposition="top center",
        textfont={"color": "black"},
        marker={"color": "white", "size": 9, "line": {"color": "black", "width": 1}},
        hovertemplate="%{text}<extra></extra>",
    )


def _path(path: pd.DataFrame) -> Any:
    return go.Scatter(
        x=path["u"].tolist(),
        y=path["v"].tolist(),
        mode="lines",
        line={"color": style_of("fgmt")["color"], "width": 2},
        hoverinfo="skip",
    )


def _place(step: dict[str, Any]) -> Any:
    """A step of a path as it falls on the plane, with its distance from there in words."""
    return go.Scatter(
        x=[step["u"]],
        y=[step["v"]],
        text=[f"{step['distance']:.3g} off the plane"],
        mode="markers+text",
        textposition="bottom center",
        textfont={"color": "black"},
        marker={
            "color": style_of("fgmt")["color"],
            "size": 9,
            "line": {"color": "black", "width": 1},
        },
        hovertemplate="FGMT: %{text}<extra></extra>",
    )


def _slider(frames: Sequence[Any]) -> dict[str, Any]:
    """A slider over the steps t that frames are named by."""
    steps = [
        {"label": frame.name, "method": "animate", "args": [[frame.name], {"mode": "immediate"}]}
        for frame in frames
    ]
    return {"steps": steps, "currentvalue": {"prefix": "step t = "}, "pad": {"t": 45}}


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


def _line(weight: dict[str, Any]) -> dict[str, Any]:
    """A weight: thick for a large one, dashed for a negative one, in the colour of its unit.

    A dictionary: there are hundreds, and each object of plotly takes milliseconds.
    """
    return {
        "type": "scatter",
        "x": [weight["x"], weight["x"] + 1],
        "y": [round(weight["from y"], 3), round(weight["to y"], 3)],
        "mode": "lines",
        "line": {
            "color": UNITS[weight["unit"] % len(UNITS)],
            "width": weight["width"],
            "dash": "solid" if weight["weight"] > 0 else "dash",
        },
        "hovertemplate": f"{weight['weight']:.3f}",
        "name": f"{weight['network']}, {weight['layer']} {weight['from']} → {weight['to']}",
    }
