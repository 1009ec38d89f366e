"""Verdicts: intervals against bounds, gates that runs miss, and the primary check that decides."""

from __future__ import annotations

import math
from statistics import fmean, stdev

import pytest
import torch
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy import stats

from tests.publish.records import record
from trajtransfer.paper import claims
from trajtransfer.paper.claims import Evidence, Outcome, Verdict
from trajtransfer.paper.measures.reported import of_panel
from trajtransfer.paper.storage import results
from trajtransfer.paper.storage.plans import Check, Claim, Claims, Gate
from trajtransfer.paper.storage.reading import read_claims

BROKEN = (math.nan, math.inf, -math.inf)
finite = st.floats(-1e3, 1e3).map(lambda x: round(x, 3))
some_values = st.lists(finite, min_size=2, max_size=6)
bounds = st.tuples(st.sampled_from(["at_least", "at_most"]), finite)


def check(**changes) -> Check:
    given = {"record": "r", "measure": "gain", "says": "gain", "primary": True}
    return Check(**(given | changes))


def gate(**changes) -> Gate:
    return Gate(**({"record": "r", "measure": "trained", "says": "accuracy"} | changes))


def claim(*checks: Check, name: str = "C1") -> Claim:
    return Claim(id=name, claim="It gains.", where="Figure 1", checks=list(checks))


def evidence(bound: dict, *values: float, error: float = 0.0) -> Evidence:
    return Evidence(check(**bound), values, "pairs", error)


def judged(*values: float, gates: dict | None = None, trained: tuple = ()) -> Verdict:
    """The verdict on a claim with the bound 0 and perhaps a gate, by a record."""
    ours = record({"gain": list(values), "trained": list(trained)})
    asked = [gate(**gates)] if gates else []
    return claims.judge(claim(check(at_least=0)), asked, {"r": ours})


# Intervals


@given(values=some_values, error=st.floats(0, 10))
def test_the_interval_is_student_s_with_the_shared_error_added_to_the_spread(values, error):
    low, high = evidence({"at_least": 0}, *values, error=error).interval
    scale = math.hypot(stdev(values) / math.sqrt(len(values)), error)
    half = stats.t.ppf(0.975, len(values) - 1) * scale
    assert (low, high) == pytest.approx((fmean(values) - half, fmean(values) + half))
    if not error and scale:
        expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
        assert (low, high) == pytest.approx((expected.low, expected.high))


def test_nineteen_of_twenty_intervals_hold_the_mean():
    draws = torch.randn(4000, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    inside = 0
    for values in draws.tolist():
        low, high = evidence({"at_least": 0}, *values).interval
        inside += low <= 0 <= high
    assert inside / len(draws) == pytest.approx(0.95, abs=0.012)


@given(bound=bounds, values=some_values, error=st.floats(0, 10))
def test_an_outcome_is_where_the_interval_lies(bound, values, error):
    name, limit = bound
    found = evidence({name: limit}, *values, error=error)
    low, high = found.interval
    within = {"at_least": low >= limit, "at_most": high <= limit}[name]
    beyond = {"at_least": high < limit, "at_most": low > limit}[name]
    assert (found.outcome is Outcome.HOLDS) == within
    assert (found.outcome is Outcome.FAILS) == (beyond and not within)
    assert (found.outcome is Outcome.UNDECIDED) == (not within and not beyond)


@given(limit=finite, values=some_values)
def test_both_bounds_are_mirror_images(limit, values):
    least = evidence({"at_least": limit}, *values)
    most = evidence({"at_most": -limit}, *(-value for value in values))
    assert least.outcome is most.outcome and least.needed == most.needed


@given(bound=bounds, values=some_values, error=st.floats(0, 10))
def test_an_error_turns_no_verdict_around(bound, values, error):
    """It can only make one undecided."""
    plain = evidence(dict([bound]), *values)
    wider = evidence(dict([bound]), *values, error=error)
    assert wider.outcome in (plain.outcome, Outcome.UNDECIDED)


def test_values_that_are_all_alike_decide_at_the_bound():
    assert evidence({"at_least": 0.5}, 0.5, 0.5).outcome is Outcome.HOLDS
    assert evidence({"at_most": 0.5}, 0.5, 0.5).outcome is Outcome.HOLDS
    assert evidence({"at_least": 0.5}, 0.25, 0.25).outcome is Outcome.FAILS


@pytest.mark.parametrize("bound", [{"at_least": -1e9}, {"at_most": 1e9}])
@pytest.mark.parametrize("values", [(0.5,), *((0.5, broken) for broken in BROKEN)])
def test_one_value_or_one_that_is_not_finite_decides_nothing(bound, values):
    found = evidence(bound, *values)
    assert found.outcome is Outcome.UNDECIDED and found.needed is None


@given(limit=finite, values=some_values)
def test_as_many_values_of_this_spread_as_needed_would_decide_and_one_less_would_not(limit, values):
    found = evidence({"at_least": limit}, *values)
    apart = abs(found.mean - limit)

    def half(count: int) -> float:
        return float(stats.t.ppf(0.975, count - 1)) * stdev(values) / math.sqrt(count)

    if found.needed is None:
        assert half(claims.MOST_PAIRS) >= apart * (1 - 1e-9)
        return
    assert half(found.needed) <= apart * (1 + 1e-9)
    assert found.needed == 2 or half(found.needed - 1) >= apart * (1 - 1e-9)


# Gates


def test_a_run_that_misses_its_gate_decides_nothing():
    asked = {"at_least": 0.8}
    assert judged(0.5, 0.51).outcome is Outcome.HOLDS
    assert judged(0.5, 0.51, gates=asked, trained=(0.9, 0.91)).outcome is Outcome.HOLDS
    for missed in ((0.7, 0.71), (0.5, 0.99), (0.9,), ()):
        found = judged(0.5, 0.51, gates=asked, trained=missed)
        assert found.outcome is Outcome.UNDECIDED
        ((missing,),) = [finding.missed for finding in found.findings]
        assert missing.values == missed and missing.gate.at_least == 0.8


def test_a_gate_is_before_the_checks_of_its_own_record_alone():
    ours = record({"gain": [0.5, 0.51], "trained": [0.1, 0.11]})
    asked = claim(check(at_least=0), check(record="other", at_least=0, primary=False))
    first, second = claims.judge(asked, [gate(at_least=0.8)], {"r": ours, "other": ours}).findings
    assert first.outcome is Outcome.UNDECIDED and second.outcome is Outcome.HOLDS


# Claims


@given(values=st.lists(some_values, min_size=2, max_size=4), data=st.data())
def test_the_primary_check_decides(values, data):
    primary = data.draw(st.integers(0, len(values) - 1))
    checks = [
        check(record=f"r{number}", at_least=0, primary=number == primary)
        for number in range(len(values))
    ]
    records = {f"r{number}": record({"gain": mine}) for number, mine in enumerate(values)}
    found = claims.judge(claim(*checks), [], records)
    assert found.outcome is evidence({"at_least": 0}, *values[primary]).outcome
    assert len(found.findings) == len(values)
    del records[f"r{primary}"]
    found = claims.judge(claim(*checks), [], records)
    assert found.outcome is Outcome.OPEN and len(found.findings) == len(values) - 1


@pytest.mark.parametrize("primary", [(False, False), (True, True)])
def test_a_claim_has_one_primary_check(primary):
    with pytest.raises(ValidationError, match="decided by one primary check; C1 has"):
        claim(*(check(at_least=0, primary=one) for one in primary))


@pytest.mark.parametrize("records", [{}, {"r": record({"gain": []})}])
def test_a_claim_without_numbers_was_not_run(records):
    found = claims.judge(claim(check(at_least=1)), [], records)
    assert found.findings == () and found.outcome is Outcome.OPEN


def test_a_measure_that_a_record_does_not_know_is_an_error():
    """A name that was mistyped must not read as a check that was not run, or as a gate passed."""
    message = "'r' for an unknown measure 'loss'; correct the name there, or run the record again"
    records = {"r": record({"gain": [1.0, 1.0]})}
    with pytest.raises(ValueError, match=message):
        claims.judge(claim(check(at_least=1, measure="loss")), [], records)
    with pytest.raises(ValueError, match=message):
        claims.judge(claim(check(at_least=1)), [gate(at_least=1, measure="loss")], records)


def test_a_finding_says_what_its_values_are_one_per_and_their_error():
    ours = record({"gain": [0.5, 0.25]})
    changes = {"counts": {"gain": "networks"}, "errors": {"gain": 0.125}}
    found = claims.judge(claim(check(at_least=0)), [], {"r": ours.model_copy(update=changes)})
    ((_, ours, missed),) = found.findings
    assert ours == Evidence(check(at_least=0), (0.5, 0.25), "networks", 0.125) and not missed


def test_claims_are_judged_alone_and_in_their_order():
    first = claim(check(at_least=0))
    second = claim(check(at_most=0), name="C2")
    records = {"r": record({"gain": [1.0, 1.0]})}
    found = claims.judged(Claims(claims=[second, first]), records)
    assert found == [claims.judge(second, [], records), claims.judge(first, [], records)]
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
    listed = read_claims(ROOT).claims
    assert [one.id for one in listed] == [f"C{number}" for number in range(1, 16)]
    for one in listed:
        for asked in one.checks:
            found = claims.reported_values(asked)
            assert bool(found) == bool(asked.panel)
            assert all(math.isfinite(value) for _, value in found)


# What is published


def test_the_published_records_say_what_their_values_are_one_per():
    _, records = results.read(ROOT / "book" / "published")
    assert claims.judged(read_claims(ROOT), records)
    for one in records.values():
        assert one.counts.keys() == one.errors.keys() == one.measures.keys()
