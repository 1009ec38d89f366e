"""Verdicts and the pages made of them; records."""

from __future__ import annotations

import json
import math

import pytest
from conftest import ROOT

from trajtransfer.paper import claims
from trajtransfer.paper.record import Record, markdown_table
from trajtransfer.paper.reported import panels
from trajtransfer.paper.storage import results
from trajtransfer.paper.storage.documents import Check, Claim, Provenance, RecordFile, read_claims


def record(values, **measures):
    origin = Provenance(
        profile="quick", parameters={"steps": 3}, data={"mnist-5k": "abc"}, commit="c0ffee", device="cpu",
        versions={"torch": "2"}, seconds={"training": 1.4, "transfer": 2.0},
    )  # fmt: skip
    return RecordFile(name="r", provenance=origin, measures={"gain": values} | measures, tables={})


def check(**changes):
    return Check(**({"record": "r", "measure": "gain", "says": "gain"} | changes))


def claim(**bounds):
    return Claim(id="C1", claim="It gains.", where="Figure 1", checks=[check(**bounds)])


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


@pytest.mark.parametrize("bounds", [{"at_least": -1e9}, {"at_most": 1e9}])
@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("others", [[], [0.5], [math.inf]])
def test_a_value_that_is_missing_or_infinite_never_meets_a_criterion(bounds, broken, others):
    values = [*others, broken]
    assert claims.verdict(claim(**bounds), {"r": record(values)}) == "**fails**"
    assert claims.values_text(values) == f"not finite, n = {len(values)}"
    assert claims.yes_or_no(check(**bounds), values) == "**no**"
    assert not claims.met(check(**bounds), [])


def test_claims_without_numbers_say_so_and_partial_evidence_is_named():
    assert claims.verdict(claim(at_least=1), {}) == "not decided here"
    assert claims.verdict(claim(at_least=1), {"r": record([])}) == "not decided here"
    with pytest.raises(ValueError, match=r"'r' for an unknown measure 'loss'; correct the name there"):
        claims.verdict(claim(at_least=1, measure="loss"), {"r": record([1.0])})
    both = [check(at_least=0.2), check(record="other", at_most=1)]
    two = claim(at_least=0.2).model_copy(update={"checks": both})
    assert claims.verdict(two, {"r": record([0.3])}) == "holds (1 of 2 checks run)"
    assert claims.verdict(two, {"r": record([0.3]), "other": record([2.0])}) == "**fails**"


def test_the_pages():
    absent = Claim(id="C2", claim="x", where="y", checks=[check(record="nowhere", at_least=1)])
    page = claims.claims_page([claim(at_least=0.25), absent], {"r": record([0.1, 0.3])})
    assert "| C1 | It gains. | Figure 1 | **fails** | [r](published/r.ipynb) |" in page
    assert "| C2 | x | y | not decided here | – |" in page
    assert "| C1 | gain | – | 0.200 ± 0.141, n = 2 | mnist-5k | ≥ 0.25 | **no** |" in page
    line = "| r | quick | steps = 3 | mnist-5k (abc) | c0ffee | cpu | 2 | 3 |"
    assert line in claims.runs_page({"r": record([1.0])})


def test_every_claim_of_the_paper_has_checks_that_can_be_read():
    listed = read_claims(ROOT)
    assert [one.id for one in listed] == [f"C{i}" for i in range(1, 16)]
    for one in (one for claim in listed for one in claim.checks):
        assert bool(one.panel) == (claims.reported_text(one) != "–")


@pytest.fixture
def published():
    """The claims and the published records."""
    _, records = results.read(ROOT / "book" / "published")
    return read_claims(ROOT), records


def test_the_published_results_decide_every_claim(published):
    listed, records = published
    found = {claims.verdict(claim, records).partition(" (")[0] for claim in listed}
    assert found <= {"holds", "**fails**"}


def test_what_a_run_cannot_tell_decides_nothing(monkeypatch):
    """A single NaN is no value; among the values of pairs it is one, and meets no criterion."""
    quoted = []
    monkeypatch.setattr("myst_nb.glue", lambda name, text, display: quoted.append(text))  # the real one starts an IPython shell
    own = Record("mine", "cpu")
    for value, words in ((math.nan, "not decided here"), ([0.5, math.nan], "**fails**"), (0.5, "holds")):
        own.measure("effect", value)
        asked = claim(measure="effect", at_least=0)
        assert claims.verdict(asked, {"r": record([], **own.measures)}) == words
    assert quoted == ["–", "nan%", "50.0%"]


def test_a_record_is_written_whole(tmp_path, monkeypatch):
    monkeypatch.setenv("TRAJTRANSFER_RECORDS", str(tmp_path))
    own = Record("mine", "cpu", steps=3)
    with own.stage("work"):
        own.table("curves", [{"t": 1, "accuracy": 0.5}])
    own.save()
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
    assert {"3a", "5a", "5f", "6d", "9f", "ensemble-table"} <= panels().keys()


def test_the_repetitions_in_the_book_are_those_of_the_published_results(published):
    """After publishing: ``trajtransfer compare EARLIER book/published > book/repeats.md``."""
    listed, records = published
    ours = {(claim.id, one.says): claims.values_text(claims.values_of(one, records)) for claim in listed for one in claim.checks}
    lines = (ROOT / "book" / "repeats.md").read_text().split("\n\n")[1].splitlines()[2:]
    rows = [[cell.strip() for cell in line.split("|")] for line in lines]
    found = {(claim, measure): second for _, claim, measure, _, second, *_ in rows}
    assert found and found == {key: ours[key] for key in found}
