"""Figures: what is drawn are the numbers of the frames, and a method looks the same everywhere."""

from __future__ import annotations

import io
import math
import random
import re
from functools import lru_cache
from itertools import combinations
from statistics import fmean, stdev

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import ROOT
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import same_color, to_hex
from matplotlib.figure import Figure

from trajtransfer.algorithms import METHODS, Method
from trajtransfer.landscape import Interpolation, Plane
from trajtransfer.objective import Score
from trajtransfer.paper import figures
from trajtransfer.paper.figures import style
from trajtransfer.paper.figures.style import PALETTE, STYLES, style_of
from trajtransfer.paper.measures import Curve, reported_curves
from trajtransfer.paper.reported import panels
from trajtransfer.params import Params

AXES = ("step", "accuracy (%)")
PANELS = sorted(panels().keys() - {"ensemble-table"})
ORDERS = {"permuted": "-", "identity": "--", "random": ":"}


def drawn(draw, *arguments, **options) -> Axes:
    """An axes that a function has drawn on; it can be rendered without a warning."""
    figure = Figure(figsize=(7.4, 4))
    FigureCanvasAgg(figure)
    ax = figure.subplots()
    assert draw(ax, *arguments, **options) is None
    figure.savefig(io.BytesIO(), dpi=20)
    if (found := ax.get_legend()) is not None:
        assert not found.get_window_extent().overlaps(ax.get_window_extent()), "over the data"
    return ax


@lru_cache
def drawn_panel(panel: str) -> Axes:
    """A panel of the paper, which no test changes."""
    return drawn(figures.reported_curves, panels()[panel])


def line(ax: Axes, label: str):
    (found,) = [one for one in ax.lines if one.get_label() == label]
    return found


def points(one) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in zip(one.get_xdata(), one.get_ydata(), strict=True)]


def looks(one) -> tuple[str, str, str]:
    return to_hex(one.get_color()), str(one.get_marker()), one.get_linestyle()


def legend(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.get_legend().get_texts()]


def heights(band) -> dict[float, set[float]]:
    """The edges of a band by their place."""
    found: dict[float, set[float]] = {}
    for path in band.get_paths():
        for x, y in path.vertices:
            found.setdefault(round(float(x), 9), set()).add(round(float(y), 9))
    return found


def steps(*methods: str, pairs: int = 3) -> pd.DataFrame:
    chance = random.Random(0)
    return pd.DataFrame(
        {"method": method, "pair": pair, "t": t, "accuracy": chance.random()}
        for pair in range(pairs)
        for method in methods
        for t in (1, 2, 3)
    )


def drawn_curves(*methods: str, pairs: int = 3) -> dict[str, list[Curve]]:
    frame = steps(*methods, pairs=pairs)
    found: dict[str, list[Curve]] = {}
    for (method, _), mine in frame.groupby(["method", "pair"], sort=False):
        accuracy = tuple(mine["accuracy"])
        found.setdefault(method, []).append(Curve(accuracy, accuracy))
    return found


def scores(*losses: float) -> tuple[Score, ...]:
    return tuple(Score(loss, 1 - loss) for loss in losses)


# How methods look


def test_methods_differ_in_colour_and_in_marker():
    """So that colour is never the only cue."""
    names = [*METHODS, "standard"]
    assert set(names) <= STYLES.keys()
    for one, other in combinations(names, 2):
        assert STYLES[one]["color"] != STYLES[other]["color"]
        assert STYLES[one]["marker"] != STYLES[other]["marker"]


def test_the_palette_has_no_colour_twice():
    assert len({to_hex(color) for color in PALETTE}) == len(PALETTE)


def test_a_method_has_its_label_and_anything_else_its_name():
    for name, method in METHODS.items():
        assert style_of(name)["label"] == method.label
    assert style_of("standard")["label"] == "Standard training"
    assert style_of("part → all")["label"] == "part → all"


@pytest.mark.parametrize("name", METHODS)
def test_a_method_looks_alike_whatever_number_its_line_has(name):
    assert style_of(name, 0) == style_of(name, 7) == style_of(name, 99)


def disagreement(*methods: str) -> pd.DataFrame:
    about = {"epochs per member": 10, "nll": 0.5}
    return pd.DataFrame(
        about | {"method": method, "disagreement": 0.1 * number, "accuracy": 0.5 + 0.1 * number}
        for number, method in enumerate(methods)
    )


def agreements(*methods: str) -> pd.DataFrame:
    return pd.DataFrame(
        {"method": method, "t": t, "agreement": 0.5 + t / 10, "agreement_identity": t / 10}
        for method in methods
        for t in (1, 2)
    )


def walks(*labels: str) -> pd.DataFrame:
    return pd.DataFrame(
        {"trajectory": label, "t": t, "u": t + 0.1 * number, "v": t * t}
        for number, label in enumerate(labels)
        for t in (0, 1, 2)
    )


def barriers(*methods: str) -> pd.DataFrame:
    return pd.DataFrame(
        {"from": method, "position": position, "loss": position}
        for method in methods
        for position in (0.0, 0.5, 1.0)
    )


# Every figure that shows methods, each of which is drawn as a line of its own.
WITH_METHODS = {
    "curves": lambda: drawn(
        figures.curves, steps("gmt", "fgmt"), "t", "accuracy", "method", labels=AXES
    ),
    "accuracy_curves": lambda: drawn(figures.accuracy_curves, drawn_curves("gmt", "fgmt"), {}),
    "by_disagreement": lambda: drawn(
        figures.by_disagreement, disagreement("gmt", "fgmt"), "accuracy", "accuracy (%)"
    ),
    "points": lambda: drawn(
        figures.points, steps("gmt", "fgmt"), "t", "accuracy", "method", labels=AXES
    ),
    "agreement": lambda: drawn(figures.agreement, agreements("gmt", "fgmt")),
    "segments": lambda: drawn(figures.segments, barriers("gmt", "fgmt")),
    "trajectories": lambda: drawn(figures.trajectories, walks("GMT", "FGMT")),
}


@pytest.mark.parametrize("name", WITH_METHODS)
def test_the_look_of_a_method_stands_in_one_place(name, monkeypatch):
    """Changed there, it changes in every figure."""
    for color, marker in (("#123456", "*"), ("#654321", "P")):
        monkeypatch.setitem(STYLES, "gmt", {"color": color, "marker": marker})
        ax = WITH_METHODS[name]()
        gmt, *_ = [one for one in ax.lines if one.get_label().startswith("GMT")]
        assert looks(gmt)[:2] == (color, marker)
        fgmt, *_ = [one for one in ax.lines if one.get_label().startswith("FGMT")]
        assert looks(fgmt)[:2] == (to_hex(STYLES["fgmt"]["color"]), STYLES["fgmt"]["marker"])


@pytest.mark.parametrize("panel", ["5a", "6a"])
def test_the_paper_s_methods_have_the_colours_of_ours(panel, monkeypatch):
    monkeypatch.setitem(STYLES, "gmt", {"color": "#123456", "marker": "*"})
    drawings = [drawn(figures.reported_curves, panels()[panel])]
    if panel.startswith("5"):
        drawings.append(drawn(figures.accuracy_curves, reported_curves(panel)))
    for ax in drawings:
        assert looks(line(ax, "GMT")) == ("#123456", "None", "--")
        assert {one.get_linestyle() for one in ax.lines} == {"--"}


def test_colours_are_named_among_the_figures_alone():
    """No chapter, no notebook and no page says how a line looks."""
    colour = re.compile(r"#[0-9A-Fa-f]{6}\b")
    files = [*(ROOT / "trajtransfer").rglob("*.py"), *(ROOT / "notebooks").glob("*.ipynb")]
    found = {path for path in files if colour.search(path.read_text())}
    assert {path.parent.name for path in found} == {"figures"}


@pytest.fixture
def another(monkeypatch) -> str:
    """A method that no figure knows of."""
    monkeypatch.setitem(
        METHODS, "another", Method("Another way", "nothing", METHODS["naive"].steps)
    )
    return "another"


def test_a_method_without_a_style_is_drawn_as_the_others_are(another):
    names = [*METHODS]
    ax = drawn(figures.accuracy_curves, drawn_curves(*names), {3: 0.5})
    assert len(legend(ax)) == len(names) + 1
    new = ax.lines[names.index(another)]
    expected = [100 * fmean(c.accuracy[t] for c in drawn_curves(*names)[another]) for t in range(3)]
    assert [y for _, y in points(new)] == pytest.approx(expected)
    assert new.get_marker() != "None"
    others = [one for one in ax.lines[: len(names)] if one is not new]
    assert looks(new) not in [looks(one) for one in others]


def test_a_method_without_a_style_has_its_label(another):
    ax = drawn(figures.accuracy_curves, drawn_curves("gmt", another), {})
    assert legend(ax) == ["GMT", "Another way"]


def test_a_method_without_a_style_has_a_colour_of_its_own(another):
    taken = {style["color"] for style in STYLES.values()}
    assert taken.isdisjoint(style_of(another, number)["color"] for number in range(len(PALETTE)))


def test_lines_that_are_no_methods_differ_from_each_other():
    found = [style_of(f"series {number}", number) for number in range(len(PALETTE))]
    assert len({(one["color"], one["marker"]) for one in found}) == len(found)


def test_what_is_no_method_looks_like_none():
    """As in the figure of projected trajectories."""
    ax = drawn(figures.trajectories, walks("target, trained", "source, as it is", "GMT", "FGMT"))
    assert len({looks(one) for one in ax.lines}) == 4


@pytest.mark.parametrize("panel", PANELS)
def test_the_curves_of_a_panel_can_be_told_apart(panel):
    ax = drawn_panel(panel)
    assert len({looks(one) for one in ax.lines}) == len(ax.lines)


# Accuracies and costs


def test_curves_are_means_with_a_band_of_one_deviation():
    frame = steps("gmt", "naive")
    ax = drawn(figures.curves, frame, "t", "accuracy", "method", labels=AXES, percent=True)
    assert legend(ax) == ["GMT", "Naive"]
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_xscale()) == (*AXES, "linear")
    for method, band in zip(("gmt", "naive"), ax.collections, strict=True):
        mine = frame[frame["method"] == method]
        edges = heights(band)
        for t, y in points(line(ax, METHODS[method].label)):
            at = [100 * value for value in mine.loc[mine["t"] == t, "accuracy"]]
            assert y == pytest.approx(fmean(at))
            expected = (fmean(at) - stdev(at), fmean(at) + stdev(at))
            assert (min(edges[t]), max(edges[t])) == pytest.approx(expected)


def test_the_order_of_rows_changes_no_line():
    frame = steps("gmt", "naive")
    shuffled = frame.sample(frac=1, random_state=0)
    both = [
        drawn(figures.curves, rows, "t", "accuracy", "method", labels=AXES)
        for rows in (frame, shuffled)
    ]
    for label in ("GMT", "Naive"):
        first, second = (points(line(ax, label)) for ax in both)
        assert [x for x, _ in first] == [x for x, _ in second] == [1, 2, 3]
        assert [y for _, y in first] == pytest.approx([y for _, y in second])


def test_a_single_value_has_no_deviation():
    """Where only one pair got so far, the band closes."""
    frame = steps("gmt", pairs=2)
    frame = frame[(frame["pair"] == 0) | (frame["t"] < 3)]
    ax = drawn(figures.curves, frame, "t", "accuracy", "method", labels=AXES)
    (band,) = ax.collections
    edges = heights(band)
    assert [len(edges[t]) for t in (1, 2, 3)] == [2, 2, 1]
    assert list(edges[3]) == pytest.approx([dict(points(line(ax, "GMT")))[3]])


@pytest.mark.parametrize("nothing", [None, math.nan])
def test_rows_without_a_value_are_left_out(nothing):
    rows = [("standard", 0, nothing), ("standard", 1, 0.5), ("standard", 2, 0.25)]
    frame = pd.DataFrame(rows, columns=["method", "epoch", "gap"])
    ax = drawn(figures.curves, frame, "epoch", "gap", "method", labels=AXES)
    assert points(line(ax, "Standard training")) == [(1, 0.5), (2, 0.25)]


def test_limits_of_sweeps_are_on_a_logarithmic_axis():
    ax = drawn(figures.curves, steps("fgmt"), "t", "accuracy", "method", labels=AXES, log=True)
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "linear")


def test_accuracy_curves_are_means_over_pairs_at_each_step():
    curves = drawn_curves("gmt", "naive")
    ax = drawn(figures.accuracy_curves, curves, {})
    for method in curves:
        by_pair = [curve.accuracy for curve in curves[method]]
        expected = [(t + 1, 100 * fmean(at)) for t, at in enumerate(zip(*by_pair, strict=True))]
        assert np.allclose(points(line(ax, METHODS[method].label)), expected)


def test_standard_training_is_drawn_as_dotted_lines_with_its_epochs():
    ax = drawn(figures.accuracy_curves, drawn_curves("gmt"), {1: 0.5, 4: 0.7, 15: 0.9})
    labels = ["GMT", "trained, 1 epoch", "trained, 4 epochs", "trained, 15 epochs"]
    assert legend(ax) == labels
    for label, height in zip(labels[1:], (50, 70, 90), strict=True):
        assert list(line(ax, label).get_ydata()) == pytest.approx([height, height])


def test_the_paper_s_curves_are_dashed_and_without_markers():
    ours = drawn(figures.accuracy_curves, reported_curves("5a"), {})
    theirs = drawn(figures.accuracy_curves, reported_curves("5a"))
    for label in legend(theirs):
        assert looks(line(theirs, label))[1:] == ("None", "--")
        assert looks(line(ours, label))[1] != "None" and looks(line(ours, label))[2] == "-"
        assert points(line(ours, label)) == points(line(theirs, label))


@pytest.mark.parametrize("panel", PANELS)
def test_every_curve_of_a_panel_is_drawn_as_it_is_reported(panel):
    content = panels()[panel]
    ax = drawn_panel(panel)
    assert ax.get_title() == f"the paper: {content['title']}"
    assert (ax.get_xlabel(), ax.get_ylabel()) == (content["x"], content["y"])
    for curve, one in zip(content["curves"], ax.lines, strict=True):
        assert points(one) == list(zip(curve["x"], curve["mean"], strict=True))
    with_bands = [curve for curve in content["curves"] if curve["std"]]
    for curve, band in zip(with_bands, ax.collections, strict=True):
        edges = heights(band)
        for x, y, std in zip(curve["x"], curve["mean"], curve["std"], strict=True):
            found = edges[round(float(x), 9)]
            assert (min(found), max(found)) == pytest.approx((y - std, y + std))


@pytest.mark.parametrize(("column", "scale"), [("accuracy", 100), ("nll", 1)])
def test_ensembles_are_points_of_disagreement_and_score(column, scale):
    frame = disagreement("full", "short", "gmt")
    ax = drawn(figures.by_disagreement, frame, column, "score")
    assert legend(ax) == ["full, 10 epochs", "short, 10 epochs", "GMT, 10 epochs"]
    for one, row in zip(ax.lines, frame.to_dict("records"), strict=True):
        expected = [(100 * row["disagreement"], scale * row[column])]
        assert np.allclose(points(one), expected) and one.get_linestyle() == "None"


def test_points_are_the_rows():
    frame = steps("naive", "gmt")
    ax = drawn(figures.points, frame, "t", "accuracy", "method", labels=AXES)
    assert legend(ax) == ["Naive", "GMT"] and (ax.get_xlabel(), ax.get_ylabel()) == AXES
    for one, (_, mine) in zip(ax.lines, frame.groupby("method", sort=False), strict=True):
        assert np.allclose(points(one), list(zip(mine["t"], 100 * mine["accuracy"], strict=True)))
        assert one.get_linestyle() == "None"


def test_an_axis_is_logarithmic_where_it_can_be():
    for least, scale in ((0.0, "linear"), (0.1, "log")):
        frame = steps("gmt").assign(t=lambda rows, least=least: rows["t"] - 1 + least)
        ax = drawn(figures.curves, frame, "t", "accuracy", "method", labels=AXES, log=True)
        assert ax.get_xscale() == scale


@pytest.mark.parametrize(("x", "other"), [("T", "width"), ("width", "T")])
def test_shares_of_training_have_a_line_per_method_and_value_of_the_other(x, other):
    chance = random.Random(0)
    frame = pd.DataFrame(
        {"T": steps, "width": width, "method": method, "share of training": chance.random()}
        for steps in (10, 2, 5)
        for width in (16, 8)
        for method in ("gmt", "fgmt")
    )
    ax = drawn(figures.scaling, frame, x)
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert len(ax.lines) == 2 * frame[other].nunique()
    for (value, method), mine in frame.groupby([other, "method"]):
        found = line(ax, f"{METHODS[method].label}, {other} = {value:g}")
        rows = mine.sort_values(x)
        assert points(found) == list(zip(rows[x], rows["share of training"], strict=True))
        assert found.get_linestyle() == {"gmt": "--", "fgmt": "-"}[method]


# The loss landscape


def test_segments_start_at_the_transferred_network():
    ax = drawn(figures.segments, barriers("gmt", "naive"))
    assert legend(ax) == ["GMT", "Naive"]
    assert points(line(ax, "GMT")) == [(0, 0), (0.5, 0.5), (1, 1)]


@pytest.mark.parametrize("what", ["accuracy", "loss"])
def test_a_plane_is_drawn_with_its_corners(what):
    grid = tuple(scores(*(0.1 * u + 0.2 * v for u in range(4))) for v in range(4))
    found = Plane((0, 1, 2, 3), (0, 1, 2, 3), grid, ((0, 0), (2, 0), (1, 2)))
    path = pd.DataFrame({"t": [0, 1], "u": [0.0, 1.0], "v": [0.5, 2.0]})
    ax = drawn(figures.plane, found, ["target", "FGMT+FT", "source"], what, path)
    assert legend(ax) == ["steps of FGMT", "target", "FGMT+FT", "source"]
    assert [points(one) for one in ax.lines] == [[(0, 0.5), (1, 2)], [(0, 0)], [(2, 0)], [(1, 2)]]
    (bar,) = [other for other in ax.figure.axes if other is not ax]
    unit = {"accuracy": "%", "loss": "nats"}[what]
    assert bar.get_ylabel() == f"validation {what} ({unit})"


def test_profiles_are_drawn_at_their_positions():
    profiles = {
        "as trained": Interpolation((0, 0.5, 1), scores(0.1, 0.9, 0.2)),
        "matched": Interpolation((0, 0.5, 1), scores(0.1, 0.3, 0.2)),
    }
    ax = drawn(figures.loss_profiles, profiles)
    assert points(line(ax, "as trained")) == [(0, 0.1), (0.5, 0.9), (1, 0.2)]
    assert points(line(ax, "matched")) == [(0, 0.1), (0.5, 0.3), (1, 0.2)]
    assert len({looks(one) for one in ax.lines}) == 2


def test_trajectories_start_at_zero():
    frame = walks("target, trained", "GMT")
    ax = drawn(figures.trajectories, frame)
    assert legend(ax) == ["target, trained", "GMT"]
    for name, mine in frame.groupby("trajectory"):
        assert points(line(ax, name)) == list(zip(mine["u"], mine["v"], strict=True))
    assert [text.get_text() for text in ax.texts] == ["t = 0"] * 2


def test_a_network_is_drawn_with_a_line_per_weight_and_its_units_by_identity():
    generator = torch.Generator().manual_seed(0)
    params = Params({
        "hidden.weight": torch.randn(3, 4, generator=generator),
        "head.weight": torch.randn(2, 3, generator=generator),
    })  # fmt: skip
    order = [2, 0, 1]
    ax = drawn(figures.network_diagram, params, order, "π(θ)")
    assert ax.get_title() == "π(θ)"
    assert [text.get_text() for text in ax.texts] == ["3", "1", "2"]
    weights = [float(x) for name in params for x in params[name].flatten()]
    assert [one.get_linestyle() for one in ax.lines] == ["-" if x > 0 else "--" for x in weights]
    columns, hidden, _ = ax.collections
    assert len(columns.get_offsets()) == 4 and len(hidden.get_offsets()) == 3
    # A weight has the colour of its hidden unit.
    colors = [to_hex(color) for color in hidden.get_facecolors()]
    assert len(set(colors)) == 3
    for number, one in enumerate(ax.lines[:12]):
        assert same_color(one.get_color(), colors[number // 4])
    for number, one in enumerate(ax.lines[12:]):
        assert same_color(one.get_color(), colors[number % 3])


def test_a_unit_keeps_its_colour_where_it_is_moved():
    def colors(order):
        params = Params({"hidden.weight": torch.ones(3, 2), "head.weight": torch.ones(1, 3)})
        ax = drawn(figures.network_diagram, params, order, "")
        found = [to_hex(color) for color in ax.collections[1].get_facecolors()]
        return dict(zip(order, found, strict=True))

    assert colors([0, 1, 2]) == colors([2, 0, 1])


# Updates and gradients up to a permutation


def cosines(column: str, values) -> pd.DataFrame:
    chance = random.Random(0)
    return pd.DataFrame(
        {"series": series, "pair": pair, "order": order, column: value, "cosine": chance.random()}
        for series in ("mlp 8", "mlp 16")
        for pair in ("1-2", "3-4")
        for order in ORDERS
        for value in values
    )


@pytest.mark.parametrize(
    ("draw", "column", "values", "places"),
    [
        (figures.update_cosines, "iteration", (10, 20, 30), [10, 20, 30]),
        (figures.layers, "layer", ("stem", "inner", "head"), [0, 0.5, 1]),
    ],
)
def test_cosines_are_means_over_pairs_a_colour_per_series_and_dashes_per_order(
    draw, column, values, places
):
    frame = cosines(column, values)
    ax = drawn(draw, frame)
    assert legend(ax) == ["mlp 8", "mlp 16"]
    expected = [(series, order) for series in ("mlp 8", "mlp 16") for order in ORDERS]
    for one, (series, order) in zip(ax.lines, expected, strict=True):
        mine = frame[(frame["series"] == series) & (frame["order"] == order)]
        assert one.get_linestyle() == ORDERS[order]
        assert [x for x, _ in points(one)] == places
        means = [fmean(mine.loc[mine[column] == value, "cosine"]) for value in values]
        assert [y for _, y in points(one)] == pytest.approx(means)
    colors = [one.get_color() for one in ax.lines]
    assert colors == [colors[0]] * 3 + [colors[3]] * 3 and colors[0] != colors[3]


def test_distances_are_drawn_with_the_line_that_fits_them():
    rows = [
        {"condition": "labels", "order": order, "width": width, "distance": width**-0.5}
        for order in ("matched", "identity", "random")
        for width in (64, 16, 16)
    ]
    fits = [
        {"condition": condition, "order": order, "slope": slope, "intercept": 0.3}
        for condition in ("labels", "He scale")
        for order, slope in (("matched", -0.5), ("identity", -0.1), ("random", 0.0))
    ]
    ax = drawn(figures.gradient_distances, pd.DataFrame(rows), pd.DataFrame(fits))
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    found = line(ax, "labels, matched: slope -0.50")
    expected = [(width, math.exp(0.3) * width**-0.5) for width in (16, 64)]
    assert np.allclose(points(found), expected)
    assert len(ax.lines) == 3 and len({looks(one) for one in ax.lines}) == 3
    assert sum(len(dots.get_offsets()) for dots in ax.collections) == len(rows)


def test_agreement_is_drawn_with_and_without_the_permutation():
    ax = drawn(figures.agreement, agreements("gmt", "fgmt"))
    assert legend(ax) == ["GMT", "GMT, identity", "FGMT", "FGMT, identity"]
    assert np.allclose(points(line(ax, "GMT")), [(1, 0.6), (2, 0.7)])
    assert np.allclose(points(line(ax, "GMT, identity")), [(1, 0.1), (2, 0.2)])
    for name in ("GMT", "FGMT"):
        found = line(ax, name)
        identity = line(ax, f"{name}, identity")
        assert found.get_color() == identity.get_color()
        assert (found.get_linestyle(), identity.get_linestyle()) == ("-", "--")


def test_drift_is_drawn_beside_its_control_a_colour_per_point():
    rows = [(2, 1, 0.5, 2.0), (3, 1, 0.25, 1.5), (3, 2, 0.75, 1.0)]
    frame = pd.DataFrame(rows, columns=["s", "t", "distance", "control"])
    ax = drawn(figures.drift, frame, "GMT")
    assert legend(ax) == ["t = 1", "t = 2"] and ax.get_title() == "GMT"
    first, control, *_ = ax.lines
    assert points(first) == [(2, 0.5), (3, 0.25)]
    assert points(control) == [(2, 2.0), (3, 1.5)]
    assert first.get_color() == control.get_color() != line(ax, "t = 2").get_color()
    assert ax.get_ylim()[0] == 0


@pytest.mark.parametrize("columns", (1, 2))
def test_legends_of_several_panels_are_below_them(columns):
    figure = Figure(figsize=(7.4, 4))
    FigureCanvasAgg(figure)
    for ax in figure.subplots(1, columns, squeeze=False)[0]:
        figures.accuracy_curves(ax, drawn_curves("gmt", "naive"), {5: 0.9})
    figure.savefig(io.BytesIO())
    for ax in figure.axes:
        box = ax.get_legend().get_window_extent()
        assert (box.y1 <= ax.bbox.y0) if columns == 2 else (box.x0 >= ax.bbox.x1)
        assert figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 and box.y0 >= 0


def test_cosines_of_units_are_shown_in_both_orders():
    cosines = np.linspace(-1, 1, 9).reshape(3, 3)
    order = np.array([2, 0, 1])
    figure = Figure()
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 2)
    figures.unit_cosines(axes, cosines, order)
    figure.savefig(io.BytesIO())
    before, after = (ax.images[0].get_array() for ax in axes)
    assert np.array_equal(before, cosines) and np.array_equal(after, cosines[:, order])


def test_every_figure_is_exported():
    """So a chapter finds it, and these laws are about all of them."""
    assert set(figures.__all__) == {
        "accuracy_curves",
        "agreement",
        "by_disagreement",
        "curves",
        "drift",
        "gradient_distances",
        "layers",
        "loss_profiles",
        "network_diagram",
        "plane",
        "points",
        "reported_curves",
        "scaling",
        "segments",
        "trajectories",
        "unit_cosines",
        "update_cosines",
    }
    assert style.PAPER == {"ls": "--", "lw": 1}
