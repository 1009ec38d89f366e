"""Verdicts: a claim holds exactly when every check that was run is met."""

from __future__ import annotations

import math
from statistics import fmean

import pytest
from conftest import ROOT
from hypothesis import example, given
from hypothesis import strategies as st

from tests.publish.records import record
from trajtransfer.paper import claims
from trajtransfer.paper.claims import Finding, Outcome, Verdict
from trajtransfer.paper.measures.reported import of_panel
from trajtransfer.paper.storage import results
from trajtransfer.paper.storage.plans import Check, Claim
from trajtransfer.paper.storage.reading import read_claims

BOUNDS = ("at_least", "at_most")
BROKEN = (math.nan, math.inf, -math.inf)
finite = st.floats(-1e6, 1e6)
some_values = st.lists(st.one_of(finite, st.sampled_from(BROKEN)), max_size=4)
some_checks = st.lists(
    st.tuples(st.sampled_from(BOUNDS), finite, st.one_of(st.none(), some_values)),
    min_size=1,
    max_size=4,
)


def check(**changes) -> Check:
    return Check(**({"record": "r", "measure": "gain", "says": "gain"} | changes))


def claim(*checks: Check) -> Claim:
    return Claim(id="C1", claim="It gains.", where="Figure 1", checks=list(checks))


def judged(bounds: dict, *values: float) -> Verdict:
    """The verdict on a claim with one check, by a record with these values."""
    return claims.judge(claim(check(**bounds)), {"r": record({"gain": list(values)})})


def is_met(bound: str, limit: float, values: list[float]) -> bool:
    """What the criterion asks, written another way."""
    if not all(math.isfinite(value) for value in values):
        return False
    apart = fmean(values) - limit
    return apart >= 0 if bound == "at_least" else apart <= 0


@given(checks=some_checks)
@example(checks=[("at_least", 0.0, [math.nan])])
@example(checks=[("at_least", 0.0, []), ("at_most", 0.0, None)])
def test_a_claim_holds_exactly_when_every_check_that_was_run_is_met(checks):
    """Without values a check was not run: its record is not there, or could not tell."""
    asked = []
    records = {}
    for number, (bound, limit, values) in enumerate(checks):
        name = f"r{number}"
        asked.append(check(record=name, **{bound: limit}))
        if values is not None:
            records[name] = record({"gain": values})
    found = claims.judge(claim(*asked), records)
    run = [one for one in checks if one[2]]
    if not run:
        expected = Outcome.OPEN
    elif all(is_met(*one) for one in run):
        expected = Outcome.HOLDS
    else:
        expected = Outcome.FAILS
    assert found.outcome is expected
    assert found.partial == (0 < len(run) < len(checks))
    assert len(found.findings) == len(run)


@given(checks=some_checks)
def test_findings_are_the_checks_that_were_run_in_their_order_with_their_values(checks):
    names = [f"measure-{number}" for number in range(len(checks))]
    values = {name: one[2] or [] for name, one in zip(names, checks, strict=True)}
    asked = [
        check(measure=name, **{bound: limit})
        for name, (bound, limit, _) in zip(names, checks, strict=True)
    ]
    found = claims.judge(claim(*asked), {"r": record(values)})
    run = [one for one in asked if values[one.measure]]
    assert [finding.check for finding in found.findings] == run
    for finding in found.findings:
        assert list(map(repr, finding.values)) == list(map(repr, values[finding.check.measure]))


@pytest.mark.parametrize(
    ("bounds", "values", "expected"),
    [
        ({"at_least": 0.2}, [0.1, 0.3], Outcome.HOLDS),
        ({"at_least": 0.2}, [0.1, 0.29], Outcome.FAILS),
        ({"at_most": 0.2}, [0.1, 0.3], Outcome.HOLDS),
        ({"at_most": 0.2}, [0.1, 0.31], Outcome.FAILS),
        ({"at_least": 0}, [-0.0], Outcome.HOLDS),
        ({"at_most": 0}, [0.0], Outcome.HOLDS),
    ],
)
def test_a_verdict_compares_the_mean_with_the_criterion(bounds, values, expected):
    assert judged(bounds, *values).outcome is expected


@pytest.mark.parametrize("bounds", [{"at_least": -1e9}, {"at_most": 1e9}])
@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("others", [[], [0.5], [math.inf]])
def test_a_value_that_is_missing_or_infinite_never_meets_a_criterion(bounds, broken, others):
    found = judged(bounds, *others, broken)
    (finding,) = found.findings
    assert not finding.met and found.outcome is Outcome.FAILS


@pytest.mark.parametrize("records", [{}, {"r": record({"gain": []})}])
def test_a_claim_without_numbers_is_not_decided(records):
    found = claims.judge(claim(check(at_least=1)), records)
    assert found.findings == () and found.outcome is Outcome.OPEN and not found.partial


def test_partial_evidence_decides_and_says_so():
    two = claim(check(at_least=0.2), check(record="other", at_most=1))
    ours = {"r": record({"gain": [0.3]})}
    found = claims.judge(two, ours)
    assert found.outcome is Outcome.HOLDS and found.partial
    found = claims.judge(two, ours | {"other": record({"gain": [2.0]})})
    assert found.outcome is Outcome.FAILS and not found.partial
    found = claims.judge(two, ours | {"other": record({"gain": []})})
    assert found.outcome is Outcome.HOLDS and found.partial


def test_a_measure_that_a_record_does_not_know_is_an_error():
    """A name that was mistyped must not read as a check that was not run."""
    asked = claim(check(at_least=1, measure="loss"))
    message = "'r' for an unknown measure 'loss'; correct the name there, or run the record again"
    with pytest.raises(ValueError, match=message):
        claims.judge(asked, {"r": record({"gain": [1.0]})})
    with pytest.raises(ValueError, match=message):
        claims.judged([claim(check(at_least=1)), asked], {"r": record({"gain": [1.0]})})


def test_a_finding_says_what_its_values_are_one_per():
    ours = record({"gain": [0.5, 0.25]})
    ours = ours.model_copy(update={"counts": {"gain": "networks"}})
    found = claims.judge(claim(check(at_least=0)), {"r": ours})
    assert found.findings == (Finding(check(at_least=0), (0.5, 0.25), "networks"),)


def test_claims_are_judged_alone_and_in_their_order():
    first = claim(check(at_least=0))
    second = claim(check(at_most=0)).model_copy(update={"id": "C2"})
    records = {"r": record({"gain": [1.0]})}
    found = claims.judged([second, first], records)
    assert found == [claims.judge(second, records), claims.judge(first, records)]
    assert [one.outcome for one in found] == [Outcome.FAILS, Outcome.HOLDS]


# The paper's values


def test_the_paper_s_value_is_that_of_each_panel_a_check_names():
    asked = check(measure="fgmt-fall", at_least=0, panel="5d, 5e")
    expected = [(panel, of_panel(panel)["fgmt-fall"].values[0]) for panel in ("5d", "5e")]
    assert claims.reported_values(asked) == expected
    other = check(measure="gain", reported="fgmt-peak", at_least=0, panel="5a")
    assert claims.reported_values(other) == [("5a", of_panel("5a")["fgmt-peak"].values[0])]
    assert claims.reported_values(check(at_least=0)) == []


def test_every_claim_of_the_paper_has_checks_that_can_be_read():
    listed = read_claims(ROOT)
    assert [one.id for one in listed] == [f"C{number}" for number in range(1, 16)]
    for one in listed:
        for asked in one.checks:
            found = claims.reported_values(asked)
            assert bool(found) == bool(asked.panel)
            assert all(math.isfinite(value) for _, value in found)


# What is published


@pytest.fixture(scope="module")
def published() -> tuple[list[Claim], claims.Records]:
    """The claims and the published records."""
    _, records = results.read(ROOT / "book" / "published")
    return read_claims(ROOT), records


def test_the_published_results_decide_every_claim(published):
    for verdict in claims.judged(*published):
        assert verdict.outcome in (Outcome.HOLDS, Outcome.FAILS)


def test_the_published_records_say_what_their_values_are_one_per(published):
    _, records = published
    for one in records.values():
        assert one.counts.keys() == one.measures.keys()
