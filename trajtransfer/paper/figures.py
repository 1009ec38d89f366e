"""One function per kind of figure. Each draws rows of a record on an `Axes` and returns nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.rcsetup import cycler
from matplotlib.ticker import MaxNLocator

from trajtransfer.algorithms import METHODS
from trajtransfer.landscape import Interpolation, Plane
from trajtransfer.paper.measures import Curves
from trajtransfer.params import Params

# Colour-blind safe (Wong 2011); each method has its marker too, so that colour is never the only cue.
STYLES: dict[str, dict[str, Any]] = {
    "naive": {"color": "#999999", "marker": "x", "label": METHODS["naive"].label},
    "oracle": {"color": "#000000", "marker": "s", "label": METHODS["oracle"].label},
    "gmt": {"color": "#0072B2", "marker": "o", "label": METHODS["gmt"].label},
    "fgmt": {"color": "#D55E00", "marker": "^", "label": METHODS["fgmt"].label},
    "rebasin": {"color": "#CC79A7", "marker": "D", "label": METHODS["rebasin"].label},
    "standard": {"color": "#009E73", "marker": "v", "label": "Standard training"},
}
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999", "#8C564B", "#7F3C8D")
PAPER: dict[str, Any] = {"ls": "--", "lw": 1}  # the paper's own curves: thin and dashed, everywhere
DASHES: dict[str, Any] = {"permuted": "-", "identity": "--", "random": ":"}
BY_LABEL = {style["label"]: style for style in STYLES.values()}
matplotlib.rcParams["axes.prop_cycle"] = cycler(color=PALETTE)
matplotlib.rcParams["figure.constrained_layout.use"] = True  # panels side by side keep their labels apart
Rows = Sequence[Mapping[str, Any]]


def curves(
    ax: Axes, rows: Rows, x: str, y: str, by: str, *, labels: tuple[str, str], percent: bool = False, log: bool = False
) -> None:
    """The column `y` against `x`, one line per value of `by`: mean over the rows that share both, band of one deviation.

    Rows without a value are left out; `labels` are those of the axes, and `log` makes the first one logarithmic. Methods
    have their own colours and markers.
    """
    for number, name in enumerate(dict.fromkeys(row[by] for row in rows)):
        mine = [row for row in rows if row[by] == name and row[y] is not None]
        places = sorted({row[x] for row in mine})
        values = [(100 if percent else 1) * np.array([row[y] for row in mine if row[x] == place]) for place in places]
        style = STYLES.get(name, {"color": PALETTE[number % len(PALETTE)], "marker": "osv^xD*P"[number % 8], "label": name})
        mean, spread = (np.array([f(v) for v in values]) for f in (np.mean, lambda v: v.std(ddof=1) if len(v) > 1 else 0.0))
        ax.plot(places, mean, markersize=3, **style)
        ax.fill_between(places, mean - spread, mean + spread, color=style["color"], alpha=0.2, lw=0)
    ax.set(xlabel=labels[0], ylabel=labels[1], xscale="log" if log else "linear")
    ax.legend(fontsize=7)


def segments(ax: Axes, rows: Rows) -> None:
    """Loss along segments that start at transferred networks, one line per method, see `curves`."""
    labels = ("position (0: transferred network, 1: other end)", "validation loss (nats)")
    curves(ax, rows, "position", "loss", "from", labels=labels)


def reported_curves(ax: Axes, panel: Mapping[str, Any]) -> None:
    """The curves of a panel of the paper as it reports them, with its bands where it has them."""
    for number, curve in enumerate(panel["curves"]):
        style = BY_LABEL.get(curve["label"], {"color": PALETTE[number % len(PALETTE)], "label": curve["label"]})
        x, mean = curve["x"], np.array(curve["mean"])
        ax.plot(x, mean, **{**style, "marker": None}, **PAPER)
        if curve["std"]:
            ax.fill_between(x, mean - curve["std"], mean + curve["std"], color=style["color"], alpha=0.2, lw=0)
    ax.set(xlabel=panel["x"], ylabel=panel["y"])
    ax.set_title(f"the paper: {panel['title']}", fontsize=9)
    ax.legend(fontsize=7)


def similarity(ax: Axes, rows: Rows) -> None:
    """Cosine of updates against the iteration: one colour per series, solid permuted, dashed identity, dotted random."""
    for number, name in enumerate(dict.fromkeys(row["series"] for row in rows)):
        for order, dashes in DASHES.items():
            mine = [row for row in rows if (row["series"], row["order"]) == (name, order)]
            iterations = sorted({row["iteration"] for row in mine})
            mean = [np.mean([row["cosine"] for row in mine if row["iteration"] == i]) for i in iterations]
            ax.plot(
                iterations, mean, ls=dashes, lw=1.2, color=PALETTE[number % len(PALETTE)], label=name if dashes == "-" else None
            )
    ax.set(xlabel="iteration of training", ylabel="cosine of the updates")
    ax.legend(fontsize=7)


def layers(ax: Axes, rows: Rows) -> None:
    """Cosine of updates per layer against its depth, colours and lines as in `similarity`."""
    for number, name in enumerate(dict.fromkeys(row["series"] for row in rows)):
        for order, dashes in DASHES.items():
            mine = [row for row in rows if (row["series"], row["order"]) == (name, order)]
            names = list(dict.fromkeys(row["layer"] for row in mine))
            mean = [np.mean([row["cosine"] for row in mine if row["layer"] == layer]) for layer in names]
            color, label = PALETTE[number % len(PALETTE)], name if dashes == "-" else None
            ax.plot(np.linspace(0, 1, len(names)), mean, ls=dashes, lw=1.2, marker="o", markersize=3, color=color, label=label)
    ax.set(xlabel="depth of the layer (0: input, 1: output)", ylabel="cosine of the updates")
    ax.legend(fontsize=7)


def by_disagreement(ax: Axes, rows: Rows, column: str, label: str) -> None:
    """A score of ensembles against the disagreement of their members, one marker per ensemble."""
    own = {"full": {"color": "#000000", "marker": "s"}, "short": {"color": "#009E73", "marker": "v"}}
    for method in dict.fromkeys(row["method"] for row in rows):
        mine = [row for row in rows if row["method"] == method]
        name = f"{STYLES.get(method, {}).get('label', method)}, {mine[0]['epochs per member']} epochs"
        style = {**STYLES.get(method, own.get(method, {})), "label": name}
        scale = 100 if column == "accuracy" else 1
        ax.plot([100 * r["disagreement"] for r in mine], [scale * r[column] for r in mine], ls="", markersize=6, **style)
    ax.set(xlabel="disagreement of members (%)", ylabel=label)
    ax.legend(fontsize=7)


def gradient_distances(ax: Axes, rows: Rows, fits: Rows) -> None:
    """Normalised distance of gradients against width, log-log, one colour per condition, with the fitted lines (Theorem 3.1)."""
    for number, condition in enumerate(dict.fromkeys(row["condition"] for row in rows)):
        for order, dashes, color in (
            ("matched", "-", PALETTE[number]),
            ("identity", "--", "#999999"),
            ("random", ":", "#000000"),
        ):
            mine = [row for row in rows if (row["condition"], row["order"]) == (condition, order)]
            (fit,) = (f for f in fits if (f["condition"], f["order"]) == (condition, order))
            widths = np.array(sorted({row["width"] for row in mine}))
            ax.scatter([row["width"] for row in mine], [row["distance"] for row in mine], s=5, color=color, alpha=0.5)
            line = np.exp(fit["intercept"]) * widths ** fit["slope"]
            ax.plot(widths, line, ls=dashes, lw=1.2, color=color, label=f"{condition}, {order}: slope {fit['slope']:.2f}")
    ax.set(xscale="log", yscale="log", xlabel="width N (hidden units)", ylabel="normalised distance of gradients")
    ax.legend(fontsize=7)


def plane(ax: Axes, found: Plane, names: Sequence[str], what: str) -> None:
    """Loss or accuracy over a plane of weight space as filled contours, with its three corners (Figure 7)."""
    scale = 100 if what == "accuracy" else 1
    heights = scale * np.array([[getattr(score, what) for score in line] for line in found.scores])
    if what == "loss":  # what lies far above the corners would take all the colours
        heights = heights.clip(max=np.quantile(heights, 0.9))
    drawn = ax.contourf(found.u, found.v, heights, levels=14, cmap="viridis" if what == "accuracy" else "viridis_r")
    ax.figure.colorbar(drawn, ax=ax, label=f"validation {what} ({'%' if scale == 100 else 'nats'})")
    for (u, v), name, marker in zip(found.points, names, "os^", strict=True):
        ax.plot(u, v, marker=marker, color="white", markeredgecolor="black", ls="", label=name)
    ax.set(xlabel="u (distance in weight space)", ylabel="v (same unit)")
    ax.legend(fontsize=7)


def scaling(ax: Axes, rows: Rows, x: str) -> None:
    """Share of training against `x` (``"T"`` or ``"width"``), log-log, one line per method and value of the other."""
    other = "width" if x == "T" else "T"
    for number, value in enumerate(sorted({row[other] for row in rows})):
        for method, dashes in (("gmt", "--"), ("fgmt", "-")):
            mine = sorted((r for r in rows if r["method"] == method and r[other] == value), key=lambda r: r[x])
            ax.plot([r[x] for r in mine], [r["share of training"] for r in mine], ls=dashes, marker="o", markersize=3,
                    color=PALETTE[number % len(PALETTE)], label=f"{method.upper()}, {other} = {value:g}")  # fmt: skip
    ax.set(xscale="log", yscale="log", xlabel="steps T" if x == "T" else "width", ylabel="share of training")
    ax.legend(fontsize=7)


def accuracy_curves(ax: Axes, curves: Curves, standard: Mapping[int, float] | None = None) -> None:
    """Accuracy (%) per trajectory step: mean over pairs with a band of one standard deviation (Figure 5).

    `curves` maps a method to one curve per pair; `standard` maps numbers of epochs to the
    accuracy of standard training after them, drawn as dotted lines. Without it the curves are the paper's.
    """
    how: dict[str, Any] = {"markersize": 4} if standard is not None else {"marker": None, **PAPER}
    for method, by_pair in curves.items():
        values = 100 * np.array([curve.accuracy for curve in by_pair])
        steps, mean = np.arange(1, values.shape[1] + 1), values.mean(0)
        ax.plot(steps, mean, **STYLES[method] | how)
        if len(values) > 1:
            spread = values.std(0, ddof=1)
            ax.fill_between(steps, mean - spread, mean + spread, color=STYLES[method]["color"], alpha=0.2, lw=0)
    for (epochs, accuracy), dots in zip((standard or {}).items(), ((1, 6), (1, 3), (1, 1.5), (3, 1)), strict=False):
        ax.axhline(100 * accuracy, ls=(0, dots), lw=1, color="#555555", label=f"trained, {epochs} epoch{'s' * (epochs > 1)}")
    ax.set(xlabel="trajectory step t", ylabel="validation accuracy (%)")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend(fontsize=7)


def loss_profiles(ax: Axes, profiles: Mapping[str, Interpolation]) -> None:
    """Loss along segments of weight space, one line per labelled profile."""
    for (label, profile), marker in zip(profiles.items(), "osx^", strict=False):
        ax.plot(profile.positions, [s.loss for s in profile.scores], marker=marker, markersize=4, label=label)
    ax.set(xlabel="position on the segment (0: start, 1: end)", ylabel="validation loss (nats)")
    ax.legend(fontsize=7)


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
    ax.legend(fontsize=7)


def drift(ax: Axes, rows: Rows, title: str) -> None:
    """Distance that each transferred point t moves at step s; dashed: two random permutations."""
    times = sorted({row["t"] for row in rows})
    for t in times:
        mine = [row for row in rows if row["t"] == t]
        shade = (t - 1) / max(1, len(times) - 1)
        color = (0.8 * shade, 0.3 + 0.2 * shade, 0.8 - 0.7 * shade)
        steps = [row["s"] for row in mine]
        ax.plot(steps, [row["distance"] for row in mine], marker="o", markersize=4, color=color, label=f"t = {t}")
        ax.plot(steps, [row["control"] for row in mine], marker="x", markersize=4, ls="--", lw=1, color=color)
    ax.set(xlabel="step s of the algorithm", ylabel="distance moved at step s", ylim=(0, None), title=title)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend(fontsize=7)


def trajectories(ax: Axes, rows: Rows) -> None:
    """Trajectories projected on a plane of weight space; rows hold trajectory, t, u and v (Figure 2)."""
    for name, marker in zip(dict.fromkeys(row["trajectory"] for row in rows), "osx^", strict=False):
        mine = [row for row in rows if row["trajectory"] == name]
        style = BY_LABEL.get(name, {"marker": marker, "label": name})
        (line,) = ax.plot([r["u"] for r in mine], [r["v"] for r in mine], markersize=4, **style)
        ax.annotate(
            "t = 0", (mine[0]["u"], mine[0]["v"]), xytext=(4, 4), textcoords="offset points", fontsize=7, color=line.get_color()
        )
    ax.set(xlabel="first axis (distance in weight space)", ylabel="second axis (same unit)")
    ax.legend(fontsize=7)


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
