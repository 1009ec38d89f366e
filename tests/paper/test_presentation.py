"""How numbers are shown: means with their spread, Markdown tables, values that prose quotes."""

from __future__ import annotations

import math
import statistics

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from IPython.display import Markdown

from trajtransfer.paper.measures.measure import POINTS
from trajtransfer.paper.presentation import (
    MISSING,
    markdown_table,
    mean_text,
    percent,
    quote,
    show,
)

numbers = st.floats(-1e6, 1e6)
words = st.text("abc xyz→", min_size=1, max_size=5).map(str.strip).filter(bool)
cells = st.one_of(numbers, st.integers(), words, st.booleans())
NOTHING = "Nothing to show for these parameters."


@st.composite
def tables(draw) -> list[dict]:
    """Rows with the same columns; a column holds values of one type."""
    columns = draw(st.lists(words, min_size=1, max_size=4, unique=True))
    kinds = {
        column: draw(st.sampled_from([numbers, st.integers(-9, 9), words])) for column in columns
    }
    count = draw(st.integers(1, 4))
    return [{column: draw(kind) for column, kind in kinds.items()} for _ in range(count)]


def lines_of(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]


@given(values=st.lists(numbers, min_size=1, max_size=6), digits=st.integers(0, 4))
def test_a_mean_is_written_with_its_spread_where_there_is_one(values, digits):
    mean, _, spread = mean_text(values, digits).partition(" ± ")
    half = 0.5000001 * 10**-digits
    assert float(mean) == pytest.approx(statistics.fmean(values), abs=half)
    assert bool(spread) == (len(values) > 1)
    if spread:
        assert float(spread) == pytest.approx(statistics.stdev(values), abs=half)


@given(values=st.lists(st.floats(-1, 1), min_size=1, max_size=6))
def test_per_cent_is_a_hundredfold_with_one_decimal(values):
    assert percent(values) == mean_text([100 * value for value in values], 1)
    assert percent(tuple(values)) == percent(values)


def test_means_by_hand():
    assert mean_text([1, 3], 2) == "2.00 ± 1.41"
    assert mean_text([0.126], 2) == "0.13"
    assert percent([0.1, 0.3]) == "20.0 ± 14.1"
    assert percent([-0.5]) == "-50.0"
    assert percent([]) == percent(()) == MISSING == "–"


@given(rows=tables())
def test_every_row_of_a_table_has_the_cells_of_its_head(rows):
    head, rule, *body = lines_of(markdown_table(rows))
    assert head == list(rows[0]) and set(rule) == {"---"}
    assert len(body) == len(rows)
    assert {len(line) for line in (rule, *body)} == {len(head)}


@given(rows=tables())
def test_a_frame_is_shown_as_its_rows(rows):
    assert markdown_table(pd.DataFrame(rows)) == markdown_table(rows)


@given(value=cells)
def test_numbers_are_rounded_and_all_else_is_shown_as_it_is(value):
    (_, _, (cell,)) = lines_of(markdown_table([{"a": value}]))
    assert cell == (f"{value:.3f}" if isinstance(value, float) else str(value))


@pytest.mark.parametrize("nothing", [None, math.nan, float("nan")])
def test_what_is_missing_is_a_dash(nothing):
    rows = [{"method": "naive", "agreement": nothing}, {"method": "gmt", "agreement": 0.5}]
    expected = "| method | agreement |\n| --- | --- |\n| naive | – |\n| gmt | 0.500 |"
    assert markdown_table(rows) == expected
    assert markdown_table(pd.DataFrame(rows)) == expected


@pytest.mark.parametrize("nothing", [[], (), pd.DataFrame(), pd.DataFrame(columns=["a"])])
def test_a_table_without_rows_says_so(nothing):
    assert markdown_table(nothing) == NOTHING


@given(rows=tables())
def test_a_notebook_shows_the_same_table(rows):
    shown = show(rows)
    assert isinstance(shown, Markdown) and shown.data == markdown_table(rows)


@pytest.fixture
def glued(monkeypatch):
    """What was given to prose by name; the real glue starts an IPython shell."""
    found = {}

    def glue(name, text, display):
        assert display is False
        found[name] = text

    monkeypatch.setattr("myst_nb.glue", glue)
    return found


@pytest.mark.parametrize(
    ("values", "text", "quoted"),
    [
        ((0.1, 0.3), "{:.1%}", "20.0%"),
        ((0.1, 0.3), "{:.2f}", "0.20"),
        ((5.0,), "{:.0f}", "5"),
        ((0.1, 0.3), POINTS, "20.0 points"),
        ((-0.012,), POINTS, "-1.2 points"),
        ((3e-13, 5e-13), "{:.0e}", "4e-13"),
        ((), "{:.1%}", "–"),
        ((0.5, math.nan), "{:.1%}", "nan%"),
        ((math.inf,), "{:.0%}", "inf%"),
    ],
)
def test_prose_quotes_the_mean_without_quotation_marks(values, text, quoted, glued):
    quote("transfer-gmt-first", values, text)
    shown = glued["transfer-gmt-first"]
    assert str(shown) == repr(shown) == quoted
