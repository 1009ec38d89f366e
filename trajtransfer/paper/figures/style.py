"""How methods look in every figure, in one place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.rcsetup import cycler

from trajtransfer.algorithms import METHODS

# Colour-blind safe (Wong 2011); each method has its marker too, so that colour is never the only
# cue.
STYLES: dict[str, dict[str, Any]] = {
    "naive": {"color": "#999999", "marker": "x"},
    "oracle": {"color": "#000000", "marker": "s"},
    "gmt": {"color": "#0072B2", "marker": "o"},
    "fgmt": {"color": "#D55E00", "marker": "^"},
    "rebasin": {"color": "#CC79A7", "marker": "D"},
    "standard": {"color": "#009E73", "marker": "v"},
    "full": {"color": "#56B4E9", "marker": "P"},  # ensembles of fully trained members
    "short": {"color": "#E69F00", "marker": "X"},  # and of members trained for a part of it
    "random permutation": {"color": "#999999", "marker": "1", "ls": ":"},  # controls are dotted
    "noise": {"color": "#56B4E9", "marker": "2", "ls": ":"},
}
PALETTE = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#000000",
    "#999999",
    "#8C564B",
    "#7F3C8D",
)
MARKERS = "*d<>ph8"  # of lines that are no methods, which look like none
PAPER: dict[str, Any] = {"ls": "--", "lw": 1}  # the paper's own curves: thin and dashed, everywhere
matplotlib.rcParams["axes.prop_cycle"] = cycler(color=PALETTE)
matplotlib.rcParams["figure.constrained_layout.use"] = True  # panels keep their labels apart
# Figures are as wide as a page, so that these are the sizes on it; sharp on screens of two dots.
matplotlib.rcParams["figure.dpi"] = 160
matplotlib.rcParams["font.size"] = 9
for small in ("legend.fontsize", "xtick.labelsize", "ytick.labelsize"):
    matplotlib.rcParams[small] = 8
for medium in ("axes.titlesize", "axes.labelsize"):
    matplotlib.rcParams[medium] = 9


def method_labels() -> dict[str, str]:
    """The names of the methods, and of standard training, in figures."""
    return {name: method.label for name, method in METHODS.items()} | {
        "standard": "Standard training"
    }


def style_of(name: str, number: int = 0) -> dict[str, Any]:
    """Colour, marker and label of a method; of anything else, those of the `number`-th line.

    A method that is not in `STYLES` gets a colour that no other one has.
    """
    taken = {style["color"] for style in STYLES.values()}
    free = [color for color in PALETTE if color not in taken]
    colors = free if name in METHODS else PALETTE
    own = {
        "color": colors[number % len(colors)],
        "marker": MARKERS[number % len(MARKERS)],
        "label": method_labels().get(name, name),
    }
    return own | STYLES.get(name, {})


def legend(ax: Axes) -> None:
    """The legend beside a single panel and below one of several, never over the data."""
    if len(ax.figure.axes) == 1:
        ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
        return
    below: dict[str, Any] = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.2), "frameon": False}
    columns = 2 if max(map(len, ax.get_legend_handles_labels()[1]), default=0) < 22 else 1
    ax.legend(ncols=columns, columnspacing=1.0, **below)


def line_with_band(
    ax: Axes, mean: pd.Series, spread: pd.Series, style: Mapping[str, Any], size: float = 3
) -> None:
    """A mean with a band of one deviation, which a single value does not have."""
    ax.plot(mean.index, mean, markersize=size, **style)
    spread = spread.fillna(0.0)
    color = style["color"]
    ax.fill_between(mean.index, mean - spread, mean + spread, color=color, alpha=0.2, lw=0)
