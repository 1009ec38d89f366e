"""Updates and gradients up to a permutation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from trajtransfer.paper.figures.style import PALETTE, legend, style_of

DASHES: dict[str, Any] = {"permuted": "-", "identity": "--", "random": ":"}


def update_cosines(ax: Axes, rows: pd.DataFrame) -> None:
    """Cosine of updates against the iteration, the mean over pairs.

    One colour per series; solid permuted, dashed identity, dotted random.
    """
    for number, (name, series) in enumerate(rows.groupby("series", sort=False)):
        color = PALETTE[number % len(PALETTE)]
        for order, dashes in DASHES.items():
            mine = series[series["order"] == order]
            mean = mine.groupby("iteration")["cosine"].mean()
            label = name if order == "permuted" else None
            ax.plot(mean.index, mean, ls=dashes, lw=1.2, color=color, label=label)
    ax.set(xlabel="iteration of training", ylabel="cosine of the updates")
    legend(ax)


def layers(ax: Axes, rows: pd.DataFrame) -> None:
    """Cosine of updates per layer against its depth, colours and lines as in `update_cosines`."""
    for number, (name, series) in enumerate(rows.groupby("series", sort=False)):
        color = PALETTE[number % len(PALETTE)]
        for order, dashes in DASHES.items():
            mine = series[series["order"] == order]
            mean = mine.groupby("layer", sort=False)["cosine"].mean()
            depth = np.linspace(0, 1, len(mean))
            label = name if order == "permuted" else None
            dots: dict[str, Any] = {"marker": "o", "markersize": 3}
            ax.plot(depth, mean, ls=dashes, lw=1.2, color=color, label=label, **dots)
    ax.set(xlabel="depth of the layer (0: input, 1: output)", ylabel="cosine of the updates")
    legend(ax)


def gradient_distances(ax: Axes, rows: pd.DataFrame, fits: pd.DataFrame) -> None:
    """Normalised distance of gradients against width, with the fitted lines (Theorem 3.1)."""
    slopes = fits.set_index(["condition", "order"])
    looks = {
        "matched": ("-", PALETTE[0]),
        "identity": ("--", "#999999"),
        "random": (":", "#000000"),
    }
    for (condition, order), mine in rows.groupby(["condition", "order"], sort=False):
        dashes, color = looks[order]
        fit = slopes.loc[(condition, order)]
        widths = np.unique(mine["width"])
        ax.scatter(mine["width"], mine["distance"], s=5, color=color, alpha=0.5)
        line = np.exp(fit["intercept"]) * widths ** fit["slope"]
        label = f"{condition}, {order}: slope {fit['slope']:.2f}"
        ax.plot(widths, line, ls=dashes, lw=1.2, color=color, label=label)
    ax.set(xscale="log", yscale="log")
    ax.set(xlabel="width N (hidden units)", ylabel="normalised distance of gradients")
    legend(ax)


def agreement(ax: Axes, rows: pd.DataFrame) -> None:
    """Matching objective over its bound per step: with the permutation (solid) and without."""
    for number, (method, mine) in enumerate(rows.groupby("method", sort=False)):
        style = style_of(method, number)
        ax.plot(mine["t"], mine["agreement"], markersize=4, **style)
        label = f"{style['label']}, identity"
        ax.plot(mine["t"], mine["agreement_identity"], ls="--", color=style["color"], label=label)
    ax.set(xlabel="trajectory step s", ylabel="objective / bound")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    legend(ax)


def drift(ax: Axes, rows: pd.DataFrame, title: str) -> None:
    """Distance that each transferred point t moves at step s, mean over pairs; dashed: random."""
    count = rows["t"].nunique()
    for number, (t, points) in enumerate(rows.groupby("t")):
        mine = points.groupby("s", as_index=False)[["distance", "control"]].mean()
        shade = number / max(1, count - 1)
        color = (0.8 * shade, 0.3 + 0.2 * shade, 0.8 - 0.7 * shade)
        how: dict[str, Any] = {"markersize": 4, "color": color}
        ax.plot(mine["s"], mine["distance"], marker="o", label=f"t = {t}", **how)
        ax.plot(mine["s"], mine["control"], marker="x", ls="--", lw=1, **how)
    ax.set(xlabel="step s of the algorithm", ylabel="distance moved at step s")
    ax.set(ylim=(0, None), title=title)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    legend(ax)


def unit_cosines(axes: Sequence[Axes], cosines: np.ndarray, order: np.ndarray) -> None:
    """Cosines (n, n) of the first target units (rows) and of source units, in two orders.

    On the left the columns are the source units of the same numbers, on the right the partners that
    `order` (n,) gives to the rows.
    """
    shown = np.arange(min(len(order), 24))
    for ax, columns, title in (
        (axes[0], shown, "as initialised"),
        (axes[1], order[shown], "in the best order"),
    ):
        picture = ax.imshow(cosines[np.ix_(shown, columns)], cmap="RdBu_r", vmin=-1, vmax=1)
        ax.set(xlabel="unit of the source", ylabel="unit of the target", title=title)
        ax.set(xticks=[], yticks=[])
    axes[1].figure.colorbar(picture, ax=list(axes), label="cosine of the gradients", shrink=0.8)
