"""Figures to explore show the numbers of the record, and look like their still twins."""

from __future__ import annotations

import json
import re

import pandas as pd
import pytest
from conftest import ROOT

from tests.publish.records import record
from trajtransfer.paper.figures.style import STYLES
from trajtransfer.publish import explore, explored_curves, explored_landscape
from trajtransfer.publish.build import SCRIPTS

ROWS = [
    {"method": method, "pair": pair, "t": t, "accuracy": base + 0.1 * t + shift}
    for method, base in (("naive", 0.1), ("gmt", 0.4))
    for pair, shift in (("1-2", 0.0), ("3-4", 0.02))
    for t in (1, 2)
]


def data_of(html: str) -> dict:
    (text,) = re.findall(r'<script type="application/json">(.*)</script>', html)
    return json.loads(text)


def test_means_and_pairs_are_those_of_the_table():
    html = explore.explored("transfer-curves", record(tables={"curves": ROWS}))
    traces = {one["name"]: one for one in data_of(html)["data"]}
    mean = traces["GMT"]
    assert (mean["x"], mean["y"]) == ([1, 2], pytest.approx([51, 61]))
    assert mean["customdata"] == pytest.approx([2**0.5] * 2, abs=1e-3)
    assert "n = 2" in mean["hovertemplate"]
    assert mean["line"]["color"] == STYLES["gmt"]["color"]
    pair = traces["GMT, pair 3-4"]
    assert pair["y"] == pytest.approx([52, 62]) and pair["legendgroup"] == mean["legendgroup"]
    assert len(traces) == 2 * 3


def test_groups_of_two_columns_have_a_colour_per_first_and_dashes_per_second():
    rows = [
        {"series": name, "order": order, "pair": "1-2", "iteration": 3, "cosine": 0.5}
        for name in ("mlp 8", "mlp 16")
        for order in ("permuted", "identity")
    ]
    drawn = explored_curves.curves(pd.DataFrame(rows), explore.EXPLORED["assumption_p-cosines"])
    lines = [trace.line for trace in drawn.data]
    assert [line.dash for line in lines] == ["solid", "dash"] * 2
    assert lines[0].color == lines[1].color != lines[2].color == lines[3].color
    assert [trace.y[0] for trace in drawn.data] == [0.5] * 4


def test_a_walk_has_a_frame_per_step_that_draws_every_weight():
    rows = [
        {"network": network, "t": t, "accuracy": 0.25 * t, "weight": (-1) ** t * 0.5}
        | {"layer": layer, "from": start, "to": to, "unit": 0}
        for network in ("source", "target")
        for t in (0, 1, 2)
        for layer in ("hidden", "head")
        for start in ("0", "1")
        for to in ("0", "1")
    ]
    drawn = explored_landscape.walk(pd.DataFrame(rows))
    assert [frame.name for frame in drawn.frames] == ["0", "1", "2"]
    assert {len(frame.data) for frame in drawn.frames} == {16}
    assert {line.line.dash for line in drawn.frames[1].data} == {"dash"}
    texts = [one.text for one in drawn.frames[2].layout.annotations]
    assert texts == ["source: 50%", "target: 50%"]


def test_a_plane_shows_accuracy_or_loss_with_the_points_that_span_it():
    rows = [
        {"u": u, "v": v, "loss": 2 * u + v, "accuracy": (u + 2 * v) / 10}
        for u in (0.0, 1.0, 2.0)
        for v in (0.0, 1.0)
    ]
    corners = [{"corner": name, "u": 0.5, "v": 0.5} for name in ("a", "b", "c")]
    path = [{"t": t, "u": t / 4, "v": 0.0, "distance": 3.0 - t} for t in range(3)]
    tables = {"plane": rows, "corners": corners, "path": path}
    html = explore.explored("basins-plane", record(tables=tables))
    accuracy, loss, points, line, place = data_of(html)["data"]
    assert accuracy["z"] == [pytest.approx([0, 10, 20]), pytest.approx([20, 30, 40])]
    assert (accuracy["visible"], loss["visible"]) == (True, False)
    assert loss["z"][0] == pytest.approx([0, 2, 4]) and max(loss["z"][1]) == pytest.approx(4.5)
    assert points["text"] == ["a", "b", "c"]
    menu = data_of(html)["layout"]["updatemenus"][0]
    assert [button["args"][0]["visible"] for button in menu["buttons"]] == [
        [True, False, True, True, True],
        [False, True, True, True, True],
    ]
    assert line["x"] == [0, 0.25, 0.5] and place["x"] == [0]
    frames = data_of(html)["frames"]
    assert [(frame["name"], frame["traces"]) for frame in frames] == [
        ("0", [4]),
        ("1", [4]),
        ("2", [4]),
    ]
    assert [frame["data"][0]["x"] for frame in frames] == [[0], [0.25], [0.5]]
    assert frames[2]["data"][0]["text"] == ["1 off the plane"]


def test_other_figures_have_none_and_every_explored_one_is_drawn_by_a_notebook():
    assert explore.explored("theorem-distances", record()) is None
    notebooks = "".join(path.read_text() for path in (ROOT / "notebooks").glob("*.ipynb"))
    for figure in (*explore.EXPLORED, explore.WALK, explore.PLANE):
        assert f'"name": "{figure}"' in notebooks


def test_data_cannot_close_their_script():
    rows = [row | {"method": "</script>"} for row in ROWS]
    html = explore.explored("transfer-curves", record(tables={"curves": rows}))
    assert html.count("</script>") == 1
    assert any(one["name"] == "</script>" for one in data_of(html)["data"])


@pytest.mark.slow
@pytest.mark.xdist_group("book")
def test_the_library_that_draws_them_is_copied_into_the_book(html):
    for _, _, name in SCRIPTS:
        assert (html / "_static" / name).stat().st_size > 1_000_000
