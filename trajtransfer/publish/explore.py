"""Figures to explore on a page: curves with their values on hover, networks with a slider over t.

They are made from the tables of a record, so that no notebook has to know of them; each stands
folded under its still twin, and needs a script that is loaded when it is opened.
"""

from __future__ import annotations

import pandas as pd
from plotly import graph_objects as go

from trajtransfer.paper.storage.outcomes import RecordFile
from trajtransfer.publish.explored_curves import EXPLORED, curves
from trajtransfer.publish.explored_landscape import plane, walk

LAYOUT = {
    "template": "none",
    "height": 440,
    "margin": {"l": 60, "r": 10, "t": 40, "b": 50},
    "paper_bgcolor": "rgba(0,0,0,0)",
    "plot_bgcolor": "rgba(0,0,0,0)",
    "legend": {"orientation": "h", "y": -0.2},
    "hovermode": "closest",
}
WALK = "permutation_symmetry-transferred"
PLANE = "basins-plane"
PLANE_TABLES = ("plane", "corners", "path")


def explored(figure: str, record: RecordFile) -> str | None:
    """The figure to explore under a still one, as HTML; nothing where there is none."""
    if figure == WALK:
        drawn = walk(pd.DataFrame(record.tables["walk"]))
        return folded("Move along the trajectory, step by step", drawn)
    if figure == PLANE:
        drawn = plane(*(pd.DataFrame(record.tables[name]) for name in PLANE_TABLES))
        return folded("Move through the plane, step by step; accuracy or loss", drawn)
    if figure in EXPLORED:
        what = EXPLORED[figure]
        drawn = curves(pd.DataFrame(record.tables[what.table]), what)
        return folded("Explore these curves: values, single curves, every pair", drawn)
    return None


def folded(summary: str, figure: go.Figure) -> str:
    """A figure behind a line to click; its data are in the page, so that it opens from a disk."""
    figure.update_layout(**LAYOUT)
    data = figure.to_json().replace("</", "<\\/")
    return (
        f'<details class="explore"><summary>{summary}</summary>\n'
        '<div class="explored"></div>\n'
        f'<script type="application/json">{data}</script>\n'
        "</details>"
    )
