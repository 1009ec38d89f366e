"""Two folders side by side: verdicts that turn are named, and no clock decides anything."""

from __future__ import annotations

import math

import pytest
from conftest import ROOT

from tests.publish.records import places, record
from trajtransfer.paper.storage import results
from trajtransfer.paper.storage.outcomes import RecordFile
from trajtransfer.paper.storage.plans import Check, Claim, Claims
from trajtransfer.paper.storage.reading import read_claims
from trajtransfer.publish.comparison import compare

REFERENCE = results.read(ROOT / "tests" / "reference")[1]
PUBLISHED = results.read(ROOT / "book" / "published")[1]


def again(measures=None, **changes):
    """Another run: its times differ."""
    return record(measures, seconds={"training": 1.5}, **changes)


def asking(**changes) -> Claims:
    """One claim with one check."""
    about = {"record": "r", "measure": "gmt-final", "says": "gain", "at_least": 0.2}
    check = Check(**(about | {"primary": True} | changes))
    return Claims(claims=[Claim(id="C1", claim="It gains.", where="Figure 1", checks=[check])])


NOTHING = asking(record="nowhere")


def sides(first, second):
    """Two folders with one run each."""
    return {"r": record({"gmt-final": first})}, {"r": again({"gmt-final": second})}


def slower(row: dict, factor: float) -> dict:
    """A row of a table whose times are so many times longer."""
    timed = {name for name, x in row.items() if isinstance(x, float) and "seconds" in name}
    return row | {name: row[name] * factor for name in timed}


def busy(value: RecordFile, factor: float) -> RecordFile:
    """The same run on a machine that is so many times slower."""
    tables = {}
    for table, rows in value.tables.items():
        tables[table] = [slower(row, factor) for row in rows]
    seconds = {name: factor * x for name, x in value.provenance.seconds.items()}
    origin = value.provenance.model_copy(update={"seconds": seconds})
    return value.model_copy(update={"provenance": origin, "tables": tables})


@pytest.mark.parametrize("records", [REFERENCE, PUBLISHED], ids=["reference", "published"])
def test_a_busy_and_a_quiet_machine_give_no_difference_and_the_same_verdicts(records):
    slow = {name: busy(record, 3.0) for name, record in records.items()}
    for first, second in ((records, slow), (slow, records)):
        found = compare(read_claims(ROOT), first, second)
        assert (found.turned, found.changed) == ((), ()) and set(found.compared) == set(records)


def test_a_verdict_that_counts_work_is_compared():
    cheap = asking(measure="fgmt-cost", at_least=None, at_most=0.1)
    first = {"r": record({"fgmt-cost": [0.09, 0.09]})}
    found = compare(cheap, first, {"r": again({"fgmt-cost": [0.11, 0.11]})})
    assert found.turned == ("C1",) and found.changed == ()


def test_a_verdict_that_turns_is_named():
    found = compare(asking(), *sides([0.2, 0.2], [0.15, 0.15]))
    first, second = (f"{x:.3f} [{x:.3f}, {x:.3f}], n = 2 pairs" for x in (0.2, 0.15))
    assert f"| C1 | gain | {first} | {second} | ≥ 0.2 | holds / **fails** |" in found.text
    assert found.turned == ("C1",) and found.changed == () and found.compared == ("r",)
    assert "Verdicts that differ, by these runs alone: C1." in found.text
    assert "Compared: within tolerances, r." in found.text
    assert found.text.startswith("First: cpu. Second: cpu. Verdicts")
    assert "other code" not in found.text


def test_a_number_that_changes_is_shown_where_no_verdict_turns():
    found = compare(asking(), *sides([0.3], [0.5]))
    assert found.turned == () and places(found.changed) == ["gmt-final, value 1"]
    assert "Verdicts that differ, by these runs alone: none." in found.text
    assert "| r | gmt-final, value 1 | 0.3 | 0.5 | 0.12 (accuracy) |" in found.text


def test_a_verdict_turns_where_a_value_is_lost():
    for lost in (math.inf, math.nan):
        found = compare(asking(), *sides([0.3, 0.3], [lost, 0.3]))
        assert found.turned == ("C1",) and places(found.changed) == ["gmt-final, value 1"]
        assert "not finite, n = 2 pairs | ≥ 0.2 | holds / undecided |" in found.text


def test_a_verdict_that_becomes_undecided_turns():
    found = compare(asking(), *sides([0.25, 0.25], [0.15, 0.3]))
    assert found.turned == ("C1",) and "holds / undecided" in found.text


def test_a_verdict_turns_where_no_value_is_left():
    found = compare(asking(), *sides([0.3], []))
    assert found.turned == ("C1",) and places(found.changed) == ["values of gmt-final"]


def test_on_one_machine_runs_are_compared_to_the_last_digit():
    device = "cpu, AMD EPYC with AVX2 (1 of 2 cores)"
    first, second = ({"r": one({"gmt-final": [0.5]}, device=device)} for one in (record, again))
    assert "Compared: to the last digit, r." in compare(asking(), first, second).text


def test_forty_differences_are_shown_and_the_others_counted():
    found = compare(NOTHING, *sides([0.1] * 43, [0.9] * 43))
    assert len(found.changed) == 43 and found.text.count("| r | gmt-final, value") == 40
    assert "more than their tolerance: 43." in found.text and "And 3 more." in found.text


def test_other_versions_and_commits_are_named():
    other = again(commit="facade", versions={"torch": "3", "numpy": "2"})
    text = compare(NOTHING, {"r": record()}, {"r": other}).text
    assert "(first / second): commit c0ffee / facade; torch 2 / 3; numpy – / 2." in text


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (again(parameters={"setting": "fashion-mlp"}), "other parameters (setting)"),
        (again(parameters={"setting": "mnist5k-mlp", "widths": [8]}), "other parameters (widths)"),
        (again(data={}), "other data (mnist-5k)"),
        (record(), "copies of one record, not two runs"),
    ],
)
def test_runs_that_ask_another_question_and_copies_are_not_compared(other, words):
    first = {"r": record(), "alone": record()}
    found = compare(asking(measure="pairs"), first, {"r": other, "new": record()})
    assert found.text.startswith("Nothing could be compared")
    assert "Compared: nothing." in found.text
    places = ["- alone: only in the first folder", "- new: only in the second folder"]
    for line in (f"- r: {words}", *places):
        assert line in found.text
    assert (found.turned, found.changed, found.compared) == ((), (), ())


def test_a_copy_that_was_changed_is_compared():
    """Whoever alters a number in a copy of a record leaves its provenance."""
    first = {"r": record({"gmt-final": [0.3]})}
    found = compare(NOTHING, first, {"r": record({"gmt-final": [0.9]})})
    assert places(found.changed) == ["gmt-final, value 1"]
