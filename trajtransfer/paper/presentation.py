"""How numbers are shown: Markdown tables, means with their spread, values that prose quotes."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    from IPython.display import Markdown

Row = Mapping[str, Any]
MISSING = "–"


def show(rows: Sequence[Row] | pd.DataFrame) -> Markdown:
    """Rows as a table under a cell of a notebook."""
    from IPython.display import Markdown  # only a notebook has cells

    return Markdown(markdown_table(rows))


def markdown_table(rows: Sequence[Row] | pd.DataFrame) -> str:
    """Rows as a Markdown table; floats are rounded to three decimals."""
    rows = rows if isinstance(rows, Sequence) else rows.to_dict("records")
    if not rows:
        return "Nothing to show for these parameters."
    columns = list(rows[0])
    lines = [columns, ["---"] * len(columns)]
    lines += [[_cell(row[column]) for column in columns] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def percent(values: Sequence[float]) -> str:
    """Fractions as ``mean ± std`` in per cent, or differences in points; a dash for none."""
    return mean_text([100 * value for value in values], 1) if len(values) else MISSING


def mean_text(values: Sequence[float], digits: int) -> str:
    """``mean ± std`` with so many decimals, the mean alone for a single value."""
    mean = f"{statistics.fmean(values):.{digits}f}"
    if len(values) == 1:
        return mean
    return f"{mean} ± {statistics.stdev(values):.{digits}f}"


def quote(name: str, values: Sequence[float], text: str) -> None:
    """Let prose quote the mean of some values as ``{glue:text}`NAME```, in the format `text`.

    The mean is its first argument, and ``points`` a hundred times that.
    """
    from myst_nb import glue  # only an executed notebook has a display to glue to

    shown = MISSING
    if values:
        mean = statistics.fmean(values)
        shown = text.format(mean, points=100 * mean)
    glue(name, _Text(shown), display=False)


class _Text(str):
    """A string that is shown without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return MISSING
    return f"{value:.3f}" if isinstance(value, float) else str(value)
