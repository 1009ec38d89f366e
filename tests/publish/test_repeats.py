"""Runs that were made again: how far their means moved, against the spread over pairs."""

from __future__ import annotations

import pytest
from conftest import ROOT

from tests.publish.records import record
from trajtransfer.paper.presentation import MISSING
from trajtransfer.paper.storage import results
from trajtransfer.publish.repeats import REPEATED, repeated, shifts


def test_shifts_are_told_in_deviations_and_accuracies_in_points():
    first = record(
        {"gmt-final": [0.5, 0.7], "gmt-gradient-cosine": [0.0, 0.2], "naive-final": [1.0]}
    )
    again = record(
        {"gmt-final": [0.7, 0.7], "gmt-gradient-cosine": [0.1, 0.1], "naive-final": [0.5]}
    )
    deviation = 0.02**0.5
    assert shifts(first, again) == {
        "measures": 2,
        "moved, in deviations: median": pytest.approx(0.05 / deviation),
        "largest": pytest.approx(0.1 / deviation),
        "accuracies moved by at most (points)": pytest.approx(10),
    }


def test_a_run_beside_itself_does_not_move_and_without_accuracies_says_nothing_of_them():
    ours = record({"gmt-gradient-cosine": [0.0, 0.2]})
    found = shifts(ours, ours)
    assert found["largest"] == 0 and found["accuracies moved by at most (points)"] == MISSING


def test_results_that_were_not_made_again_say_so():
    _, reference = results.read(ROOT / "tests" / "reference")
    assert repeated(ROOT, reference).startswith("None of the runs of this copy")


def test_what_was_made_again_are_published_runs():
    _, published = results.read(ROOT / "book" / "published")
    _, again = results.read(ROOT / REPEATED)
    text = repeated(ROOT, published)
    assert all(f"| {name} | " in text for name in again)
