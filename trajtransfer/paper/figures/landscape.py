"""Networks in weight space: segments, planes, trajectories, and a network small enough to draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from trajtransfer.landscape import Interpolation, Plane
from trajtransfer.paper.figures.accuracy import curves
from trajtransfer.paper.figures.style import legend, method_labels, style_of
from trajtransfer.params import Params

UNITS = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7", "#999999")


def segments(ax: Axes, rows: pd.DataFrame) -> None:
    """Loss along segments that start at transferred networks, one line per method, see `curves`."""
    labels = ("position (0: transferred network, 1: other end)", "validation loss (nats)")
    curves(ax, rows, "position", "loss", "from", labels=labels)


def plane(ax: Axes, found: Plane, names: Sequence[str], what: str, path: pd.DataFrame) -> None:
    """Loss or accuracy over a plane of weight space as contours, with its corners (Figure 7).

    `path` has the `u` and `v` at which the steps of FGMT fall on the plane.
    """
    scale = 100 if what == "accuracy" else 1
    heights = np.array([[scale * getattr(score, what) for score in line] for line in found.scores])
    colours = "viridis"
    if what == "loss":  # what lies far above the corners would take all the colours
        heights = heights.clip(max=np.quantile(heights, 0.9))
        colours = "viridis_r"
    drawn = ax.contourf(found.u, found.v, heights, levels=14, cmap=colours)
    unit = "%" if what == "accuracy" else "nats"
    ax.figure.colorbar(drawn, ax=ax, label=f"validation {what} ({unit})")
    colour = style_of("fgmt")["color"]
    ax.plot(path["u"], path["v"], color=colour, marker=".", markersize=3, label="steps of FGMT")
    corner: dict[str, Any] = {"color": "white", "markeredgecolor": "black", "ls": ""}
    for (u, v), name, marker in zip(found.points, names, "os^", strict=True):
        ax.plot(u, v, marker=marker, label=name, **corner)
    ax.set(xlabel="u (distance in weight space)", ylabel="v (same unit)")
    legend(ax)


def loss_profiles(ax: Axes, profiles: Mapping[str, Interpolation]) -> None:
    """Loss along segments of weight space, one line per labelled interpolation."""
    for (label, profile), marker in zip(profiles.items(), "osx^", strict=False):
        losses = [score.loss for score in profile.scores]
        ax.plot(profile.positions, losses, marker=marker, markersize=4, label=label)
    ax.set(xlabel="position on the segment (0: start, 1: end)", ylabel="validation loss (nats)")
    legend(ax)


def trajectories(ax: Axes, rows: pd.DataFrame) -> None:
    """Trajectories projected on a plane; rows hold trajectory, t, u and v (Figure 2)."""
    names = {label: name for name, label in method_labels().items()}
    for number, (name, mine) in enumerate(rows.groupby("trajectory", sort=False)):
        style = style_of(names.get(name, name), number)
        (line,) = ax.plot(mine["u"], mine["v"], markersize=4, **style)
        start = (mine["u"].iloc[0], mine["v"].iloc[0])
        beside: dict[str, Any] = {"xytext": (4, 4), "textcoords": "offset points"}
        ax.annotate("t = 0", start, fontsize=7, color=line.get_color(), **beside)
    ax.set(xlabel="first axis (distance in weight space)", ylabel="second axis (same unit)")
    legend(ax)


def network_diagram(ax: Axes, params: Params, order: Sequence[int], title: str) -> None:
    """A perceptron with weights ``hidden`` and ``head``, its units coloured by identity (Figure 1).

    Lines are weights: thicker for larger ones, dashed for negative ones. `order` has the identity
    of each unit.
    """
    incoming, outgoing = (params[name].numpy() for name in ("hidden.weight", "head.weight"))
    sizes = (incoming.shape[1], len(order), outgoing.shape[0])
    heights = [np.linspace(0, 1, size) for size in sizes]
    colors = [UNITS[unit % len(UNITS)] for unit in order]
    _weights(ax, 0, incoming, heights, [[color] * sizes[0] for color in colors])
    _weights(ax, 1, outgoing, heights, [colors] * sizes[2])
    for x, positions in enumerate(heights):
        faces = colors if x == 1 else ["white"] * len(positions)
        ax.scatter([x] * len(positions), positions, s=180, c=faces, edgecolors="black", zorder=2)
    middle: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 8, "zorder": 3}
    for position, unit in zip(heights[1], order, strict=True):
        ax.annotate(str(unit + 1), (1, position), **middle)
    ax.margins(0.12)  # room for whole circles
    ax.set_title(title)
    ax.set_axis_off()


def _weights(
    ax: Axes,
    x: int,
    weights: np.ndarray,
    heights: Sequence[np.ndarray],
    colors: Sequence[Sequence[str]],
) -> None:
    """The lines of one weight matrix, between the columns of units at `x` and `x + 1`."""
    scale = 3 / np.abs(weights).max()
    for (to, origin), weight in np.ndenumerate(weights):
        ends = [heights[x][origin], heights[x + 1][to]]
        how: dict[str, Any] = {"color": colors[to][origin], "alpha": 0.7, "zorder": 1}
        dashes = "-" if weight > 0 else "--"
        ax.plot([x, x + 1], ends, lw=scale * abs(weight), ls=dashes, **how)
