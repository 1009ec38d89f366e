"""Verdicts and the pages made of them; records."""

from __future__ import annotations

import json
import math

import pytest
import yaml
from conftest import ROOT

from trajtransfer import claims
from trajtransfer.records import Record, markdown_table, reported


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


def test_claims_without_numbers_say_so_and_partial_evidence_is_named():
    assert claims.verdict(claim(at_least=1), {}) == "not decided here"
    with pytest.raises(ValueError, match=r"'r' for an unknown measure 'gain'"):
        claims.verdict(claim(at_least=1), {"r": {"measures": {}}})
    two = claim(at_least=0.2)
    two["checks"].append({"record": "other", "measure": "gain", "says": "gain", "at_most": 1})
    assert claims.verdict(two, {"r": record([0.3])}) == "holds (1 of 2 checks run)"
    assert claims.verdict(two, {"r": record([0.3]), "other": record([2.0])}) == "**fails**"


def test_the_pages():
    absent = claim(at_least=1) | {"id": "C2", "claim": "x", "where": "y"}
    absent["checks"][0]["record"] = "nowhere"
    page = claims.claims_page([claim(at_least=0.25), absent], {"r": record([0.1, 0.3])})
    assert "| C1 | It gains. | Figure 1 | **fails** | [r](published/r.ipynb) |" in page
    assert "| C2 | x | y | not decided here | – |" in page
    assert "| C1 | gain | – | 0.200 ± 0.141, n = 2 | mnist-5k | ≥ 0.25 | **no** |" in page
    assert "| r | quick | steps = 3 | mnist-5k (abc) | c0ffee | cpu | 2 | 3 |" in claims.runs_page({"r": record([1])})


def again(values):
    """Another run: its times differ."""
    second = record(values)
    second["provenance"]["seconds"] = {"training": 1.5}
    return second


def test_two_runs_side_by_side():
    table, turned = claims.comparison([claim(at_least=0.2)], {"r": record([0.1, 0.3])}, {"r": again([0.1, 0.2])})
    assert "| C1 | gain | 0.200 ± 0.141, n = 2 | 0.150 ± 0.071, n = 2 | ≥ 0.2 | yes / **no** |" in table
    assert turned == ["C1"] and "Verdicts that differ, by these runs alone: C1." in table
    table, turned = claims.comparison([claim(at_least=0.2)], {"r": record([0.3])}, {"r": again([0.4])})
    assert turned == [] and "Verdicts that differ, by these runs alone: none." in table


def test_a_copy_is_not_a_second_run():
    assert not claims.comparison([claim(at_least=0.2)], {"r": record([0.3])}, {"r": record([0.3])})[0]


@pytest.mark.parametrize("what", ["parameters", "data"])
def test_runs_that_ask_another_question_are_not_compared(what):
    other = again([0.1])
    other["provenance"][what] = {}
    table, turned = claims.comparison([claim(at_least=0.2)], {"r": record([0.3]), "alone": record([1])}, {"r": other})
    assert (table, turned) == ("", [])


def test_every_claim_of_the_paper_has_checks_that_can_be_read():
    listed = yaml.safe_load((ROOT / "book" / "claims.yml").read_text())
    assert [c["id"] for c in listed] == [f"C{i}" for i in range(1, 16)]
    for check in (check for c in listed for check in c["checks"]):
        assert ("at_least" in check) != ("at_most" in check)
        assert ("panel" in check) == (claims._reported_value(check) != "–")


@pytest.fixture
def published():
    """The claims and the published records."""
    folder = ROOT / "book" / "published"
    runs = json.loads((folder / "profile.json").read_text())["runs"]
    records = {name: json.loads((folder / f"{name}.json").read_text()) for name in runs}
    return yaml.safe_load((ROOT / "book" / "claims.yml").read_text()), records


def test_the_published_results_decide_every_claim(published):
    listed, records = published
    assert {claims.verdict(c, records).partition(" (")[0] for c in listed} <= {"holds", "**fails**"}


def test_what_a_run_cannot_tell_decides_nothing(monkeypatch):
    """A single NaN is no value; among the values of pairs it is one, and meets no criterion."""
    quoted = []
    monkeypatch.setattr("myst_nb.glue", lambda name, text, display: quoted.append(text))  # the real one starts an IPython shell
    results = Record("mine", "cpu")
    check = {"record": "mine", "measure": "effect", "at_least": 0}
    for value, words in ((math.nan, "not decided here"), ([0.5, math.nan], "**fails**"), (0.5, "holds")):
        results.measure("effect", value)
        assert claims.verdict({"checks": [check]}, {"mine": {"measures": results.measures}}) == words
    assert quoted == ["–", "nan%", "50.0%"]


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
    assert (
        markdown_table([{"a": 0.12345, "b": None, "c": math.nan, "d": "x"}])
        == "| a | b | c | d |\n| --- | --- | --- | --- |\n| 0.123 | – | – | x |"
    )
    assert {"3a", "5a", "5f", "6d", "9f", "ensemble-table"} <= reported().keys()


def test_the_repetitions_in_the_book_are_those_of_the_published_results(published):
    """After publishing: ``trajtransfer compare EARLIER book/published > book/repeats.md``."""
    listed, records = published
    ours = {
        (c["id"], k["says"]): claims._summary(records[k["record"]]["measures"][k["measure"]]) for c in listed for k in c["checks"]
    }
    rows = [[cell.strip() for cell in line.split("|")] for line in (ROOT / "book" / "repeats.md").read_text().splitlines()[4:]]
    assert rows and all(ours[claim, measure] == second for _, claim, measure, _, second, *_ in rows)
