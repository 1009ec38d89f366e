"""Measures, verdicts and the pages made of them."""

from __future__ import annotations

import json

import pytest
import yaml
from conftest import ROOT

from trajtransfer import claims
from trajtransfer.records import Record, markdown_table, reported

CURVES = {
    "naive": [claims.Curve((0.1, 0.3, 0.2), (0.1, 0.3, 0.2)), claims.Curve((0.2, 0.4, 0.4), (0.2, 0.4, 0.4))],
    "fgmt": [claims.Curve((0.5, 0.9, 0.8), (0.1, 0.2, 0.2)), claims.Curve((0.6, 0.9, 0.8), (0.1, 0.1, 0.2))],
}


def test_measures_by_hand():
    found = claims.transfer_measures(CURVES)
    assert found["fgmt-first"] == [0.5, 0.6] and found["fgmt-final"] == [0.8, 0.8] and found["fgmt-peak"] == [0.9, 0.8]
    assert found["fgmt-fall"] == pytest.approx([0.1, 0.0]) and found["fgmt-rise"] == pytest.approx([0.3, 0.2])
    assert found["fgmt-first-minus-naive"] == pytest.approx([0.4, 0.4])
    assert found["fgmt-peak-minus-naive"] == pytest.approx([0.6, 0.4])
    assert found["fgmt-final-minus-naive"] == pytest.approx([0.6, 0.4])


def test_the_best_step_is_chosen_on_the_selection_split():
    rows = [{"method": "gmt", "pair": "1-2", "accuracy": a, "selection_accuracy": s} for a, s in ((0.3, 0.9), (0.8, 0.2))]
    (curve,) = claims.curves_of(rows)["gmt"]
    assert (curve.first, curve.peak, curve.final) == (0.3, 0.3, 0.8)


def test_the_paper_s_own_numbers_go_through_the_same_measures():
    found = claims.transfer_measures(claims.reported_curves("5a"))
    assert found["gmt-first"] == [pytest.approx(0.871722)] and found["naive-first"] == [pytest.approx(0.618556)]
    assert claims.panel_title("5a") == "MNIST, 2-MLP"


def record(values):
    origin = {
        "profile": "quick", "parameters": {"steps": 3}, "data": {"mnist-5k": "abc"}, "commit": "c0ffee", "device": "cpu",
        "versions": {"torch": "2"}, "seconds": {"training": 1.4, "transfer": 2.0},
    }  # fmt: skip
    return {"provenance": origin, "measures": {"gain": values}}


def claim(**bounds):
    return {
        "id": "C1",
        "claim": "It gains.",
        "where": "Figure 1",
        "checks": [{"record": "r", "measure": "gain", "says": "gain", **bounds}],
    }


@pytest.mark.parametrize(
    ("bounds", "values", "expected"),
    [
        ({"at_least": 0.2}, [0.1, 0.3], "holds"),
        ({"at_least": 0.2}, [0.1, 0.29], "**fails**"),
        ({"at_most": 0.2}, [0.1, 0.3], "holds"),
        ({"at_most": 0.2}, [0.1, 0.31], "**fails**"),
    ],
)
def test_a_verdict_compares_the_mean_with_the_criterion(bounds, values, expected):
    assert claims.verdict(claim(**bounds), {"r": record(values)}) == expected


def test_claims_without_numbers_say_so():
    assert claims.verdict(claim(at_least=1), {}) == "not run here"
    assert claims.verdict({"id": "C1", "claim": "", "where": ""}, {}) == "chapter to come"
    with pytest.raises(ValueError, match=r"'r' for an unknown measure 'gain'"):
        claims.verdict(claim(at_least=1), {"r": {"measures": {}}})


def test_the_pages():
    page = claims.claims_page([claim(at_least=0.25), {"id": "C2", "claim": "x", "where": "y"}], {"r": record([0.1, 0.3])})
    assert "| C1 | It gains. | Figure 1 | **fails** |" in page and "| C2 | x | y | chapter to come |" in page
    assert "| C1 | gain | – | 0.200 ± 0.141, n = 2 | mnist-5k | ≥ 0.25 | **no** |" in page
    assert "| r | quick | steps = 3 | mnist-5k (abc) | c0ffee | cpu | 2 | 3 |" in claims.runs_page({"r": record([1])})


def test_every_claim_of_the_paper_is_listed_and_every_check_can_be_read():
    listed = yaml.safe_load((ROOT / "book" / "claims.yml").read_text())
    assert [c["id"] for c in listed] == [f"C{i}" for i in range(1, 16)]
    for check in (check for c in listed for check in c.get("checks", [])):
        assert ("at_least" in check) != ("at_most" in check)
        assert "panel" not in check or check["measure"] in claims.transfer_measures(claims.reported_curves(check["panel"]))


def test_a_record_is_written_whole(tmp_path):
    results = Record("mine", "cpu", steps=3)
    with results.stage("work"):
        results.table("curves", [{"t": 1, "accuracy": 0.5}])
    results.save(tmp_path)
    content = json.loads((tmp_path / "mine.json").read_text())
    assert content["tables"] == {"curves": [{"t": 1, "accuracy": 0.5}]}
    assert content["provenance"]["parameters"] == {"steps": 3} and "work" in content["provenance"]["seconds"]
    assert {"commit", "profile", "data", "device", "versions"} <= content["provenance"].keys()
    assert (tmp_path / "mine-curves.csv").read_text() == "t,accuracy\n1,0.5\n"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine-curves.csv", "mine.json"]


def test_tables_and_reported_numbers():
    assert markdown_table([{"a": 0.12345, "b": None, "c": "x"}]) == "| a | b | c |\n| --- | --- | --- |\n| 0.123 | – | x |"
    assert {"3a", "5a", "5f", "6d", "9f", "ensemble-table"} <= reported().keys()
