"""The smoke form of the benchmarks: it runs, and ratios hold that no noise can turn."""

from __future__ import annotations

import json

import pytest

from benchmarks import __main__, measure

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    path = tmp_path_factory.mktemp("benchmarks") / "smoke"
    rows = __main__.main(["--smoke", "--output", str(path)])
    written = json.loads(path.with_suffix(".json").read_text())
    assert len(written["rows"]) == len(rows)
    assert written["machine"]["torch"]
    assert path.with_suffix(".md").read_text().count("\n") == len(rows) + 2
    return rows


def pick(rows, benchmark, what, **facts):
    facts |= {"benchmark": benchmark, "what": what}
    found = [row for row in rows if facts.items() <= row.items()]
    assert found
    return found


def test_exact_is_exact_and_a_gap_is_kept(results):
    for row in pick(results, "assignment", "exact"):
        assert "loss" not in row or abs(row["loss"]) < 1e-9
    for row in pick(results, "assignment", "gap 1e-3"):
        assert row["loss"] <= 1e-3


def test_the_auction_beats_scipy_on_real_gradients(results):
    (row,) = pick(results, "assignment", "exact", case="real gradients", n=512)
    assert row["ratio"] > 1.5  # about eight on an idle machine


def test_what_is_kept_changes_no_matching(results):
    for row in pick(results, "matching", "straightforward"):
        assert row["same"]
        assert row["difference of objectives"] < 1e-6
    (kept,) = pick(results, "transfer", "FGMT")
    (plain,) = pick(results, "transfer", "FGMT, straightforward")
    assert kept["agreement"] == pytest.approx(plain["agreement"], rel=1e-3)


def test_transfer_costs_less_than_training(results):
    (row,) = pick(results, "transfer", "FGMT")
    assert row["share of training"] < 0.5  # about 0.03 on an idle machine


def test_packed_photographs_are_read_faster_than_decoded(results):
    (row,) = pick(results, "loading", "packed, as bytes")
    assert row["ratio"] > 5  # about fifty on an idle machine


def test_exponents_are_slopes():
    assert measure.exponent([1, 2, 4], [3, 12, 48]) == pytest.approx(2)
