"""One function per kind of figure. Each draws rows of a record on an `Axes` and returns nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from trajtransfer.claims import Curves
from trajtransfer.landscape import Profile
from trajtransfer.params import Params

# Colour-blind safe (Wong 2011); each method has its marker too, so that colour is never the only cue.
STYLES: dict[str, dict[str, Any]] = {
    "naive": {"color": "#999999", "marker": "x", "label": "Naive"},
    "oracle": {"color": "#000000", "marker": "s", "label": "Oracle"},
    "gmt": {"color": "#0072B2", "marker": "o", "label": "GMT"},
    "fgmt": {"color": "#D55E00", "marker": "^", "label": "FGMT"},
}
Rows = Sequence[Mapping[str, Any]]


def accuracy_curves(ax: Axes, curves: Curves, standard: Mapping[int, float] | None = None) -> None:
    """Accuracy (%) per trajectory step: mean over pairs with a band of one standard deviation (Figure 5).

    `curves` maps a method to one curve per pair; `standard` maps numbers of epochs to the
    accuracy of standard training after them, drawn as dotted lines.
    """
    for method, by_pair in curves.items():
        values = 100 * np.array([curve.accuracy for curve in by_pair])
        steps, mean = np.arange(1, values.shape[1] + 1), values.mean(0)
        ax.plot(steps, mean, markersize=4, **STYLES[method])
        if len(values) > 1:
            spread = values.std(0, ddof=1)
            ax.fill_between(steps, mean - spread, mean + spread, color=STYLES[method]["color"], alpha=0.2, lw=0)
    for (epochs, accuracy), dots in zip((standard or {}).items(), ((1, 6), (1, 3), (1, 1.5), (3, 1)), strict=False):
        ax.axhline(100 * accuracy, ls=(0, dots), lw=1, color="#555555", label=f"trained, {epochs} epoch{'s' * (epochs > 1)}")
    ax.set(xlabel="trajectory step t", ylabel="validation accuracy (%)")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend(fontsize=8)


def loss_profiles(ax: Axes, profiles: Mapping[str, Profile]) -> None:
    """Loss along segments of weight space, one line per labelled profile."""
    for (label, profile), marker in zip(profiles.items(), "osx^", strict=False):
        ax.plot(profile.positions, [s.loss for s in profile.scores], marker=marker, markersize=4, label=label)
    ax.set(xlabel="position on the segment (0: start, 1: end)", ylabel="validation loss (nats)")
    ax.legend(fontsize=8)


def agreement(ax: Axes, rows: Rows) -> None:
    """Matching objective over its bound per step: with the permutation found (solid) and without (dashed)."""
    for method in dict.fromkeys(row["method"] for row in rows):
        mine = [row for row in rows if row["method"] == method]
        steps = [row["t"] for row in mine]
        ax.plot(steps, [row["agreement"] for row in mine], markersize=4, **STYLES[method])
        identity = [row["agreement_identity"] for row in mine]
        ax.plot(steps, identity, ls="--", color=STYLES[method]["color"], label=f"{STYLES[method]['label']}, identity")
    ax.set(xlabel="trajectory step s", ylabel="objective / bound")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend(fontsize=8)


def drift(ax: Axes, rows: Rows) -> None:
    """Distance that each transferred point t moves at step s; dashed: two random permutations."""
    times = sorted({row["t"] for row in rows})
    for t in times:
        mine = [row for row in rows if row["t"] == t]
        shade = (t - 1) / max(1, len(times) - 1)
        color = (0.8 * shade, 0.3 + 0.2 * shade, 0.8 - 0.7 * shade)
        steps = [row["s"] for row in mine]
        ax.plot(steps, [row["distance"] for row in mine], marker="o", markersize=4, color=color, label=f"t = {t}")
        ax.plot(steps, [row["control"] for row in mine], marker="x", markersize=4, ls="--", lw=1, color=color)
    ax.set(xlabel="step s of the algorithm", ylabel="distance moved at step s", ylim=(0, None))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend(fontsize=8)


def trajectories(ax: Axes, rows: Rows) -> None:
    """Trajectories projected on a plane of weight space; rows hold trajectory, t, u and v (Figure 2)."""
    for name, marker in zip(dict.fromkeys(row["trajectory"] for row in rows), "osx^", strict=False):
        mine = [row for row in rows if row["trajectory"] == name]
        (line,) = ax.plot([r["u"] for r in mine], [r["v"] for r in mine], marker=marker, markersize=4, label=name)
        ax.annotate(
            "t = 0", (mine[0]["u"], mine[0]["v"]), xytext=(4, 4), textcoords="offset points", fontsize=7, color=line.get_color()
        )
    ax.set(xlabel="first axis (distance in weight space)", ylabel="second axis (same unit)")
    ax.legend(fontsize=8)


def network_diagram(ax: Axes, params: Params, order: Sequence[int], title: str) -> None:
    """A perceptron with weights ``hidden`` and ``head``, hidden units coloured by identity (Figure 1).

    Lines are weights: thicker for larger ones, dashed for negative ones. `order` has the identity of each unit.
    """
    incoming, outgoing = (params[name].numpy() for name in ("hidden.weight", "head.weight"))
    layers = [np.linspace(0, 1, n) for n in (incoming.shape[1], len(order), outgoing.shape[0])]
    palette = ["#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7", "#999999"]
    for x, weights in enumerate((incoming, outgoing)):
        scale = 3 / np.abs(weights).max()
        for (to, origin), w in np.ndenumerate(weights):
            hidden = to if x == 0 else origin
            ax.plot([x, x + 1], [layers[x][origin], layers[x + 1][to]], lw=scale * abs(w), ls="-" if w > 0 else "--",
                    color=palette[order[hidden] % len(palette)], alpha=0.7, zorder=1)  # fmt: skip
    for x, positions in enumerate(layers):
        faces = [palette[c % len(palette)] for c in order] if x == 1 else ["white"] * len(positions)
        ax.scatter([x] * len(positions), positions, s=180, c=faces, edgecolors="black", zorder=2)
    for position, c in zip(layers[1], order, strict=True):
        ax.annotate(str(c + 1), (1, position), ha="center", va="center", fontsize=8, zorder=3)
    ax.set_title(title, fontsize=10)
    ax.set_axis_off()
