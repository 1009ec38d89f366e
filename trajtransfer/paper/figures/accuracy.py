"""Accuracies and costs against steps, epochs, widths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from trajtransfer.paper.figures.style import (
    PALETTE,
    PAPER,
    legend,
    line_with_band,
    method_labels,
    style_of,
)
from trajtransfer.paper.measures import Curve


def curves(
    ax: Axes,
    rows: pd.DataFrame,
    x: str,
    y: str,
    by: str,
    *,
    labels: tuple[str, str],
    percent: bool = False,
    log: bool = False,
) -> None:
    """The column `y` against `x`, one line per value of `by`: mean with a band of one deviation.

    Rows without a value are left out; `labels` are those of the axes, and `log` makes the first one
    logarithmic where all of `x` is positive. Methods have their own colours and markers.
    """
    scale = 100 if percent else 1
    for number, (name, mine) in enumerate(rows.groupby(by, sort=False)):
        values = mine.dropna(subset=[y]).groupby(x)[y]
        line_with_band(ax, values.mean() * scale, values.std() * scale, style_of(name, number))
    scale_of_x = "log" if log and rows[x].min() > 0 else "linear"
    ax.set(xlabel=labels[0], ylabel=labels[1], xscale=scale_of_x)
    legend(ax)


def points(
    ax: Axes, rows: pd.DataFrame, x: str, y: str, by: str, *, labels: tuple[str, str]
) -> None:
    """The column `y` (%) against `x`, a marker for each row and a colour per value of `by`."""
    for number, (name, mine) in enumerate(rows.groupby(by, sort=False)):
        style = style_of(name, number)
        ax.plot(mine[x], 100 * mine[y], ls="", markersize=4, alpha=0.7, **style)
    ax.set(xlabel=labels[0], ylabel=labels[1])
    legend(ax)


def reported_curves(ax: Axes, panel: Mapping[str, Any]) -> None:
    """The curves of a panel of the paper as it reports them, with its bands where it has them."""
    names = {label: name for name, label in method_labels().items()}
    for number, curve in enumerate(panel["curves"]):
        style = style_of(names.get(curve["label"], curve["label"]), number)
        mean = np.array(curve["mean"])
        ax.plot(curve["x"], mean, **{**style, "marker": None}, **PAPER)
        if curve["std"]:
            low = mean - curve["std"]
            high = mean + curve["std"]
            ax.fill_between(curve["x"], low, high, color=style["color"], alpha=0.2, lw=0)
    ax.set(xlabel=panel["x"], ylabel=panel["y"])
    ax.set_title(f"the paper: {panel['title']}")
    legend(ax)


def accuracy_curves(
    ax: Axes,
    curves: Mapping[str, Sequence[Curve]],
    standard: Mapping[int, float] | None = None,
) -> None:
    """Accuracy (%) per trajectory step: mean over pairs with a band of one deviation (Figure 5).

    `curves` maps a method to one curve per pair; `standard` maps numbers of epochs to the accuracy
    of standard training after them, drawn as dotted lines. Without it the curves are the paper's.
    """
    theirs: dict[str, Any] = {"marker": None, **PAPER} if standard is None else {}
    for number, (method, by_pair) in enumerate(curves.items()):
        values = pd.DataFrame([curve.accuracy for curve in by_pair]) * 100
        values.columns = range(1, values.shape[1] + 1)
        style = style_of(method, number) | theirs
        line_with_band(ax, values.mean(), values.std(), style, size=4)
    dots = ((1, 6), (1, 3), (1, 1.5), (3, 1))
    for (epochs, accuracy), pattern in zip((standard or {}).items(), dots, strict=False):
        label = f"trained, {epochs} epoch{'s' * (epochs > 1)}"
        ax.axhline(100 * accuracy, ls=(0, pattern), lw=1, color="#555555", label=label)
    ax.set(xlabel="trajectory step t", ylabel="validation accuracy (%)")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    legend(ax)


def by_disagreement(ax: Axes, rows: pd.DataFrame, column: str, label: str) -> None:
    """A score of ensembles against the disagreement of their members, one marker per ensemble."""
    scale = 100 if column == "accuracy" else 1
    for number, (method, mine) in enumerate(rows.groupby("method", sort=False)):
        style = style_of(method, number)
        epochs = mine["epochs per member"].iloc[0]
        style["label"] = f"{style['label']}, {epochs} epochs"
        ax.plot(100 * mine["disagreement"], scale * mine[column], ls="", markersize=6, **style)
    ax.set(xlabel="disagreement of members (%)", ylabel=label)
    legend(ax)


def scaling(ax: Axes, rows: pd.DataFrame, x: str) -> None:
    """Share of training against `x` (``"T"`` or ``"width"``), by method and the other of them."""
    other = "width" if x == "T" else "T"
    for number, (value, group) in enumerate(rows.groupby(other)):
        color = PALETTE[number % len(PALETTE)]
        for method, dashes in (("gmt", "--"), ("fgmt", "-")):
            mine = group[group["method"] == method].sort_values(x)
            label = f"{method_labels()[method]}, {other} = {value:g}"
            dots: dict[str, Any] = {"marker": "o", "markersize": 3, "color": color}
            ax.plot(mine[x], mine["share of training"], ls=dashes, label=label, **dots)
    ax.set(xscale="log", yscale="log", ylabel="share of training")
    ax.set(xlabel="steps T" if x == "T" else "width")
    legend(ax)
