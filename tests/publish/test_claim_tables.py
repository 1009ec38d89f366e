"""Verdicts as a reader sees them: in words that say what they are, and change nothing."""

from __future__ import annotations

import math
import re
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.publish.records import record
from trajtransfer.paper.claims import Evidence, Finding, Outcome, Verdict, judge, judged
from trajtransfer.paper.measures.reported import of_panel
from trajtransfer.paper.storage.plans import Check, Claim, Claims, Gate
from trajtransfer.publish.claim_tables import (
    checks_table,
    claims_page,
    criterion,
    reason,
    repeated_checks_table,
    reported_text,
    runs_page,
    summary,
    turning_table,
    undecided_table,
    values_text,
    words_of,
)

BROKEN = (math.nan, math.inf, -math.inf)
some_values = st.lists(
    st.one_of(st.floats(-1e6, 1e6), st.sampled_from(BROKEN)), min_size=1, max_size=4
)
NOTHING = "Nothing to show for these parameters."


WORDS = {
    Outcome.HOLDS: "holds",
    Outcome.FAILS: "**fails**",
    Outcome.UNDECIDED: "undecided",
    Outcome.OPEN: "not run",
}


def check(**changes) -> Check:
    given = {"record": "r", "measure": "gain", "says": "what is gained", "primary": True}
    return Check(**(given | changes))


def finding(values, missed=(), counts="pairs", **bounds) -> Finding:
    asked = check(**bounds)
    return Finding(asked, Evidence(asked, tuple(values), counts), tuple(missed))


def claim(*checks: Check, name: str = "C1") -> Claim:
    return Claim(id=name, claim="It gains.", where="Figure 1", checks=list(checks))


RECORDS = {"r": record({"gain": [1.0]})}
GATE = Gate(record="r", measure="trained", says="accuracy of the source", at_least=0.8)
MISSED = Evidence(GATE, (0.25, 0.25), "pairs")


def turned(text: str) -> list[float]:
    """The bounds at which the one row of a table turns."""
    return [float(one) for one in re.findall(r"(?:up to|from|above|below) (-?[0-9.]+)", text)]


@pytest.mark.parametrize("bound", ["at_least", "at_most"])
def test_a_verdict_turns_where_the_table_says(bound):
    values = (0.1, 0.3, 0.35, 0.2)
    one = finding(values, **{bound: 0.0})
    holds, fails = turned(turning_table([Verdict(claim(one.check), (one,))]))
    inward = 0.002 if bound == "at_least" else -0.002  # from the bound that holds to the other
    for turn, beyond in ((holds, Outcome.HOLDS), (fails, Outcome.UNDECIDED)):
        before = finding(values, **{bound: turn - inward}).evidence.outcome
        after = finding(values, **{bound: turn + inward}).evidence.outcome
        assert before is beyond and after is not beyond


def test_what_has_no_interval_or_missed_its_gate_turns_nowhere():
    for one in (finding((0.1,), at_least=0), finding((0.1, 0.2), missed=(MISSED,), at_least=0)):
        assert turning_table([Verdict(claim(one.check), (one,))]) == ""


@st.composite
def verdicts(draw) -> list[Verdict]:
    """Verdicts on claims whose checks ask for records of their own, some of which are there."""
    found = []
    for number in range(draw(st.integers(1, 4))):
        checks = []
        for place, measure in enumerate(("gain", "fall", "rise")[: draw(st.integers(1, 3))]):
            bound = draw(st.sampled_from(["at_least", "at_most"]))
            bounds = {bound: draw(st.floats(-1e6, 1e6))}
            checks.append(check(measure=measure, primary=not place, **bounds))
        run = [one for one in checks if draw(st.booleans())]
        missed = (MISSED,) if draw(st.booleans()) else ()
        findings = [
            Finding(one, Evidence(one, tuple(draw(some_values)), "pairs"), missed) for one in run
        ]
        found.append(Verdict(claim(*checks, name=f"C{number + 1}"), tuple(findings)))
    return found


def rows_of(table: str) -> list[list[str]]:
    """The cells of the body of a Markdown table."""
    _, _, *body = table.splitlines()
    return [[cell.strip() for cell in line.split(" | ")] for line in body]


def inner(cell: str) -> str:
    return cell.strip("| ")


@given(found=verdicts())
def test_what_is_shown_changes_no_verdict_and_is_shown_alike_again(found):
    before = [(one.outcome, repr(one)) for one in found]
    pages = [claims_page(found, RECORDS), summary(found), repeated_checks_table(found, found)]
    again = [claims_page(found, RECORDS), summary(found), repeated_checks_table(found, found)]
    assert pages == again
    assert [(one.outcome, repr(one)) for one in found] == before


@given(found=verdicts())
def test_the_words_of_a_verdict_are_those_of_its_outcome_with_the_reason(found):
    for verdict in found:
        word, _, why = words_of(verdict).partition(": ")
        assert word == WORDS[verdict.outcome]
        assert bool(why) == (verdict.outcome is Outcome.UNDECIDED)
        if why:
            assert why == reason(verdict.primary)


@given(found=verdicts())
def test_the_summary_names_every_claim_once_with_its_outcome(found):
    text = summary(found)
    assert text.startswith(f"Of the paper's {len(found)} claims, ")
    counted = {
        Outcome.HOLDS: "holds?",
        Outcome.FAILS: "fails?",
        Outcome.UNDECIDED: "(?:is|are) undecided",
        Outcome.OPEN: "(?:was|were) not run",
    }
    for outcome, words in counted.items():
        names = [one.claim.id for one in found if one.outcome is outcome]
        listed = re.search(rf"\*\*(\d+) {words}\*\* \(([^)]*)\)", text)
        assert bool(listed) == bool(names)
        if listed:
            assert listed.group(2).split(", ") == names and int(listed.group(1)) == len(names)


@given(found=verdicts())
def test_every_check_that_was_run_has_a_line_and_no_other(found):
    table = checks_table(found, RECORDS)
    findings = [finding for verdict in found for finding in verdict.findings]
    if not findings:
        assert table == NOTHING
        return
    rows = rows_of(table)
    assert len(rows) == len(findings)
    for row, one in zip(rows, findings, strict=True):
        assert inner(row[-1]) == WORDS[one.outcome]
        assert row[-2] == criterion(one.check)
        assert row[3] == values_text(one.evidence)
        assert ("beside" in row[0]) == (not one.check.primary)


@given(found=verdicts())
def test_every_check_that_is_undecided_has_its_reason(found):
    open_ones = [
        one for verdict in found for one in verdict.findings if one.outcome is Outcome.UNDECIDED
    ]
    table = undecided_table(found)
    assert bool(table) == bool(open_ones)
    if table:
        assert [inner(row[-1]) for row in rows_of(table)] == [reason(one) for one in open_ones]


def test_reasons_by_hand():
    gated = reason(finding([1.0, 1.0], [MISSED], at_least=0))
    assert gated == (
        "the run cannot show it: accuracy of the source is 0.250 [0.250, 0.250], n = 2 pairs, "
        "and has to be ≥ 0.8"
    )
    assert reason(finding([1.0], counts="fits", at_least=0)) == "one value has no interval (fits)"
    wide = finding([0.0, 0.1, 0.2], at_least=0.05)
    words = f"with this spread, {wide.evidence.needed} pairs would decide"
    assert reason(wide) == f"the bound is within the interval; {words}"
    hopeless = finding([-1.0, 1.0], at_least=0)
    assert reason(hopeless).endswith("; no number of values would move it out")
    few = wide._replace(evidence=wide.evidence._replace(error=1.0))
    words += " if they were measured on many more images, and on these no number would"
    assert reason(few) == f"the bound is within the interval; {words}"


def test_a_gate_that_more_values_would_open_says_how_many():
    asked = Gate(record="r", measure="gain", says="gain", at_least=0.05)
    gate = Evidence(asked, (0.0, 0.1, 0.2), "pairs")
    told = reason(finding([1.0, 1.0], [gate], at_least=0))
    assert told.endswith(f"≥ 0.05 (with this spread, {gate.needed} pairs would decide)")


@given(values=some_values, counts=st.sampled_from(["pairs", "networks", "points of one pair"]))
def test_values_are_shown_with_their_number_and_what_it_counts(values, counts):
    evidence = finding(values, counts=counts, at_least=0).evidence
    shown, _, counted = values_text(evidence).rpartition(", n")
    assert counted == f" = {len(values)} {counts}"
    if not all(map(math.isfinite, values)):
        assert shown == "not finite"
        return
    mean, _, interval = shown.partition(" [")
    assert float(mean) == pytest.approx(fmean(values), abs=5.01e-4)
    assert bool(interval) == (len(values) > 1)
    if interval:
        ends = tuple(map(float, interval.rstrip("]").split(", ")))
        assert ends == pytest.approx(evidence.interval, abs=5.01e-4)


def test_rounding_decides_nothing():
    """What reads like the bound may miss it."""
    missed = finding([0.19999, 0.19999], at_least=0.2)
    assert values_text(missed.evidence).startswith("0.200")
    assert criterion(missed.check) == "≥ 0.2" and missed.outcome is Outcome.FAILS
    met = finding([0.2, 0.2], at_most=0.2)
    assert criterion(met.check) == "≤ 0.2" and met.outcome is Outcome.HOLDS


@pytest.mark.parametrize("bounds", [{"at_least": -1e9}, {"at_most": 1e9}])
@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("others", [(), (0.5,), (math.inf,)])
def test_a_value_that_is_missing_or_infinite_is_said_and_decides_nothing(bounds, broken, others):
    found = finding((*others, broken), **bounds)
    assert values_text(found.evidence) == f"not finite, n = {len(others) + 1} pairs"
    assert found.outcome is Outcome.UNDECIDED


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "–"),
        ({"panel": "5a"}, "{5a:.3g} (Fig. 5a)"),
        ({"panel": "5d, 5e"}, "{5d:.3g} (Fig. 5d), {5e:.3g} (Fig. 5e)"),
        ({"measure": "own", "reported": "fgmt-fall", "panel": "5a"}, "{5a:.3g} (Fig. 5a)"),
    ],
)
def test_the_paper_s_value_is_shown_with_its_panel(changes, expected):
    asked = check(**({"measure": "fgmt-fall", "at_least": 0} | changes))
    panels = {panel: of_panel(panel)["fgmt-fall"].values[0] for panel in ("5a", "5d", "5e")}
    assert reported_text(asked) == expected.format_map(panels)


def test_the_paper_s_table_of_ensembles_is_no_figure():
    asked = check(measure="fgmt-minus-full", at_least=0, panel="ensemble CUB")
    (value,) = of_panel("ensemble CUB")["fgmt-minus-full"].values
    assert reported_text(asked) == f"{value:.3g} (ensemble CUB)"


def test_the_pages_by_hand():
    listed = [claim(check(at_least=0.25)), claim(check(record="nowhere", at_least=1), name="C2")]
    records = {"r": record({"gain": [0.1, 0.1]})}
    page = claims_page(judged(Claims(claims=listed), records), records)
    row = '| <span id="c1">C1</span> | It gains. | Figure 1 | **fails** | [r](published/r.ipynb) |'
    assert row in page
    second = '| <span id="c2">C2</span> | It gains. | Figure 1 | not run | – |'
    assert second in page
    values = "0.100 [0.100, 0.100], n = 2 pairs"
    assert f"| C1 | what is gained | – | {values} | mnist-5k | ≥ 0.25 | **fails** |" in page
    assert "They decide everything." in page


def test_the_chapters_of_a_claim_are_those_of_its_records_once_each():
    checks = [check(at_least=0), check(at_most=1, primary=False)]
    checks.append(check(record="other", at_least=0, primary=False))
    records = {name: record({"gain": [0.5]}) for name in ("r", "other", "unasked")}
    page = claims_page(judged(Claims(claims=[claim(*checks)]), records), records)
    assert "| [r](published/r.ipynb), [other](published/other.ipynb) |" in page
    assert "unasked" not in page


def test_a_run_is_shown_with_all_that_it_came_from():
    seconds = {"training": 1.4, "the rest": 2.0}
    ours = record(parameters={"steps": 3, "methods": ["gmt"]}, seconds=seconds)
    line = (
        "| r | quick | steps = 3, methods = ['gmt'] | mnist-5k (abc) | c0ffee | cpu | 2 | 3 | 2 |"
    )
    assert line in runs_page({"r": ours}, 1)
    long = record(seconds={"training": 7200.0, "the rest": 1800.0})
    assert "One after another: 2.5 hours." in runs_page({"r": ours, "s": long}, 1)
    assert "2.5 hours; 2 are made side by side." in runs_page({"r": ours, "s": long}, 2)


# Two runs side by side


def test_checks_that_two_runs_were_made_for_stand_side_by_side():
    asked = claim(check(at_least=0.2), check(record="other", at_most=1, primary=False))
    first = {"r": record({"gain": [0.3, 0.3]}), "other": record({"gain": [1.0]})}
    second = {"r": record({"gain": [0.1]})}
    table = repeated_checks_table([judge(asked, [], first)], [judge(asked, [], second)])
    values = "0.300 [0.300, 0.300], n = 2 pairs | 0.100, n = 1 pairs"
    (line,) = table.splitlines()[2:]
    assert line == f"| C1 | what is gained | {values} | ≥ 0.2 | holds / undecided |"


def test_runs_that_share_no_check_have_no_table():
    asked = claim(check(at_least=0.2))
    ours = judge(asked, [], {"r": record({"gain": [0.5]})})
    assert repeated_checks_table([ours], [judge(asked, [], {})]) == ""
    assert repeated_checks_table([], []) == ""


@given(found=verdicts())
def test_a_run_beside_itself_is_the_same_twice(found):
    table = repeated_checks_table(found, found)
    findings = [finding for verdict in found for finding in verdict.findings]
    if not findings:
        assert table == ""
        return
    for row in rows_of(table):
        assert row[2] == row[3]
        first, _, second = inner(row[-1]).partition(" / ")
        assert first == second
