"""Two runs side by side: every number is compared within the tolerance of its kind, and no clock decides anything."""

from __future__ import annotations

import math
import re

import pytest
from conftest import ROOT

from trajtransfer.paper.storage import results
from trajtransfer.paper.storage.documents import Check, Claim, Provenance, RecordFile, read_claims
from trajtransfer.publish import comparison
from trajtransfer.publish.comparison import compare, differences
from trajtransfer.publish.tolerances import COLUMNS, MEASURES, TOLERANCES, allowed, kind_of_column, kind_of_measure

REFERENCE = results.read(ROOT / "tests" / "reference")[1]
PUBLISHED = results.read(ROOT / "book" / "published")[1]
ALL = [pytest.param(record, id=f"{folder}/{name}") for folder, found in (("reference", REFERENCE), ("published", PUBLISHED))
       for name, record in found.items()]  # fmt: skip
STEP = 1e-6  # just above and just below, relative to the tolerance
KINDS_OF_COLUMNS = {kind: column for column, kind in COLUMNS.items()}
KINDS_OF_MEASURES = {
    "count": "pairs", "rounding": "largest-change", "accuracy": "gmt-final", "loss": "tuned-barrier",
    "agreement": "spread-of-objective", "cosine": "permuted", "slope": "slope", "ratio": "fgmt-peak-over-naive",
    "barriers": "oracle-over-fgmt", "epochs": "fgmt-saved-90", "work": "fgmt-cost",
}  # fmt: skip
EXAMPLES = [("column", column, kind) for kind, column in KINDS_OF_COLUMNS.items()]
EXAMPLES += [("measure", measure, kind) for kind, measure in KINDS_OF_MEASURES.items()]
EXAMPLES.remove(("column", KINDS_OF_COLUMNS["seconds"], "seconds"))  # times have a test of their own


def record(measures=None, tables=None, name="r", **changes):
    origin = {
        "profile": "quick", "parameters": {"setting": "mnist5k-mlp"}, "data": {"mnist-5k": "abc"}, "commit": "c0ffee",
        "device": "cpu", "versions": {"torch": "2"}, "seconds": {"training": 1.4},
    }  # fmt: skip
    # Costs are of counted work, unless a test says otherwise.
    tables = {"cost": [{"GFLOP of training": 1.0}]} if tables is None else tables
    return RecordFile(name=name, provenance=Provenance(**(origin | changes)), measures=measures or {}, tables=tables)


def again(measures=None, **changes):
    """Another run: its times differ."""
    return record(measures, seconds={"training": 1.5}, **changes)


def claim(**changes):
    check = {"record": "r", "measure": "gmt-final", "says": "gain", "at_least": 0.2} | changes
    return Claim(id="C1", claim="It gains.", where="Figure 1", checks=[Check(**check)])


def holding(what: str, name: str, value):
    if what == "measure":
        return record({name: [0.0, value]})
    table, _, column = name.rpartition("/")
    counted = {"cost": [{"GFLOP of training": 1.0}]}
    return record(tables=counted | {table or "some": [{column: 0.0}, {column: value}]})


def places(found) -> list[str]:
    return [difference.place for difference in found]


@pytest.mark.parametrize(("what", "name", "kind"), EXAMPLES)
def test_a_change_above_the_tolerance_of_a_kind_is_reported_and_one_below_is_not(what, name, kind):
    if kind in ("label", "count"):
        below, above = 2.0, 3.0
    else:
        # Relative tolerances are those of the larger number.
        size, relative = TOLERANCES[kind].size, TOLERANCES[kind].relative
        below, above = (2 / (1 - size * f) if relative else 2 + size * f for f in (1 - STEP, 1 + STEP))
    at_two = holding(what, name, 2.0)
    assert differences(at_two, holding(what, name, below)) == []
    for pair in ((at_two, holding(what, name, above)), (holding(what, name, above), at_two)):
        (found,) = differences(*pair)
        table, _, column = name.rpartition("/")
        assert found.place == (f"{table or 'some'}, row 2, {column}" if what == "column" else f"{name}, value 2")
        assert found.run == "r" and {found.first, found.second} == {"2", f"{above:.6g}"} and f"({kind})" in found.tolerance


@pytest.mark.parametrize("record", ALL)
def test_a_record_agrees_with_itself_and_every_name_in_it_has_a_kind(record):
    for measure in record.measures:
        assert kind_of_measure(measure) in TOLERANCES
    for table, rows in record.tables.items():
        for column in {column for row in rows for column in row}:
            assert kind_of_column(column, table) in TOLERANCES
    assert differences(record, record) == []


def test_every_kind_is_proven():
    assert KINDS_OF_MEASURES.keys() == MEASURES.keys()
    assert KINDS_OF_COLUMNS.keys() | KINDS_OF_MEASURES.keys() == TOLERANCES.keys()


def test_a_measure_has_one_kind():
    for name in {name for record in (*REFERENCE.values(), *PUBLISHED.values()) for name in record.measures}:
        assert sum(re.fullmatch(pattern, name) is not None for pattern in MEASURES.values()) == 1, name


def test_an_unknown_name_says_where_to_add_it():
    with pytest.raises(ValueError, match=r"the measure 'new'; add it to MEASURES in trajtransfer/tolerances\.py"):
        differences(record({"new": [1.0]}), record({"new": [1.0]}))
    strange = record(tables={"some": [{"new": 1}]})
    with pytest.raises(ValueError, match=r"the column 'new'; add it to COLUMNS in trajtransfer/tolerances\.py"):
        differences(strange, strange)


def beyond(kind: str, value: float, alike: str, counts: bool) -> float:
    """A value that is not the same as this one by the rules of its kind."""
    if kind == "seconds" or (kind == "work" and not counts):
        return -1.0
    if not TOLERANCES[kind].relative:
        return value + 1.001 * allowed(kind, value, value, alike) + (kind == "count")
    return 5 * value if value else 1.0  # more than the widest factor, four


def test_every_changed_value_of_every_measure_is_found():
    """`compare` of the tests looked at names alone, and all changed values passed."""
    tried, missed = 0, []
    for name, reference in REFERENCE.items():
        alike, counts = comparison.elsewhere(reference), comparison.counts_work(reference)
        for measure, values in reference.measures.items():
            for number, value in enumerate(values):
                changed = beyond(kind_of_measure(measure), value, alike, counts)
                mutated = [*values[:number], changed, *values[number + 1 :]]
                other = reference.model_copy(update={"measures": reference.measures | {measure: mutated}})
                tried += 1
                if places(differences(reference, other, alike)) != [f"{measure}, value {number + 1}"]:
                    missed.append((name, measure, number))
    assert not missed
    assert tried == sum(len(values) for r in REFERENCE.values() for values in r.measures.values()) >= 1000


def on_one_machine(reference: RecordFile) -> RecordFile:
    """A record of a machine that says which processor it has."""
    origin = reference.provenance.model_copy(update={"device": "cpu, AMD EPYC with AVX2 (1 of 2 cores)"})
    return reference.model_copy(update={"provenance": origin})


def test_on_the_same_machine_every_value_is_compared_to_the_last_digit():
    tried, missed = 0, []
    for name, reference in ((name, on_one_machine(record)) for name, record in REFERENCE.items()):
        for measure, values in reference.measures.items():
            if kind_of_measure(measure) == "work" and not comparison.counts_work(reference):
                continue
            for number, value in enumerate(values):
                mutated = [*values[:number], value + 1e-6 * max(1.0, abs(value)), *values[number + 1 :]]
                other = reference.model_copy(update={"measures": reference.measures | {measure: mutated}})
                tried += 1
                if places(differences(reference, other)) != [f"{measure}, value {number + 1}"]:
                    missed.append((name, measure, number))
        assert differences(reference, reference) == []
    assert not missed and tried >= 1000


def test_another_processor_thread_or_library_is_allowed_its_tolerance():
    one = on_one_machine(record({"gmt-final": [0.5]}))
    other = on_one_machine(record({"gmt-final": [0.55]}))
    assert places(differences(one, other)) == ["gmt-final, value 1"]
    for change in ({"device": "cpu, AMD EPYC with AVX512 (1 of 2 cores)"}, {"versions": {"torch": "3"}}):
        origin = other.provenance.model_copy(update=change)
        assert differences(one, other.model_copy(update={"provenance": origin})) == []
    text = compare([claim()], {"r": one}, {"r": other}).text
    assert "Compared: to the last digit, r." in text


def test_a_changed_cell_of_every_column_is_found():
    tried = 0
    for reference in REFERENCE.values():
        alike, counts = comparison.elsewhere(reference), comparison.counts_work(reference)
        for table, rows in reference.tables.items():
            for column, value in rows[-1].items():
                kind = kind_of_column(column, table)
                if isinstance(value, str) or value is None:
                    changed = "another" if kind != "seconds" else "-5%"
                else:
                    changed = beyond(kind, value, alike, counts)
                other = reference.model_copy(
                    update={"tables": reference.tables | {table: [*rows[:-1], rows[-1] | {column: changed}]}}
                )
                # A row of sweeps with another label is another row.
                if table in comparison.LENGTH_FOLLOWS_SWEEPS and kind in ("label", "count"):
                    continue
                tried += 1
                assert [place.rpartition(", ")[2] for place in places(differences(reference, other, alike))] == [column]
    assert tried >= 150


@pytest.mark.parametrize(
    ("first", "second"),
    [(0.5, math.nan), (math.nan, 0.5), (0.5, math.inf), (math.inf, 0.5), (math.inf, -math.inf), (math.inf, math.nan)],
)
@pytest.mark.parametrize("name", ["gmt-final", "fgmt-peak-over-naive", "fgmt-saved-90", "pairs", "fgmt-cost"])
def test_a_value_that_is_missing_or_infinite_on_one_side_is_a_difference(name, first, second):
    assert places(differences(record({name: [first]}), record({name: [second]}))) == [f"{name}, value 1"]


def test_what_is_missing_on_both_sides_is_the_same():
    row = {"gap": None, "accuracy": math.nan}
    for pair in [(record({"gmt-final": [math.nan]}),) * 2, (record(tables={"some": [row]}),) * 2]:
        assert differences(*pair) == []


def test_what_is_on_one_side_only_is_a_difference():
    whole = record({"gmt-final": [0.5, 0.6]}, {"some": [{"t": 1, "gap": 0.1}, {"t": 2, "gap": 0.1}]})
    parts = {
        "measure gmt-final": record(tables=whole.tables),
        "values of gmt-final": record({"gmt-final": [0.5]}, whole.tables),
        "table some": record(whole.measures, {}),
        "rows of some": record(whole.measures, {"some": [{"t": 1, "gap": 0.1}]}),
        "some, row 2, gap": record(whole.measures, {"some": [{"t": 1, "gap": 0.1}, {"t": 2}]}),
    }
    for place, part in parts.items():
        assert places(differences(whole, part)) == places(differences(part, whole)) == [place]
    empty = record(whole.measures, {"some": [{"t": 1, "gap": 0.1}, {"t": 2, "gap": None}]})
    assert places(differences(whole, empty)) == ["some, row 2, gap"]


def test_times_must_be_times_and_are_not_compared():
    def timed(seconds, share="75%"):
        return record(tables={"some": [{"seconds": seconds, "the rest": share}]})

    assert differences(timed(0.1), timed(1000.0, "5%")) == []
    for wrong in (-0.1, math.nan, math.inf, None, "soon"):
        assert places(differences(timed(0.1), timed(wrong))) == ["some, row 1, seconds"]
    assert places(differences(timed(0.1), timed(0.1, "much"))) == ["some, row 1, the rest"]


def test_rows_of_sweeps_are_matched_by_their_labels():
    """Another processor may need a sweep more."""

    def descents(*agreements, start="identity"):
        rows = [{"from": start, "number": 1, "sweep": n, "agreement": a} for n, a in enumerate(agreements)]
        return record(tables={"sweeps": rows})

    assert differences(descents(0.0, 0.5, 0.6), descents(0.0, 0.5, 0.6, 0.6)) == []
    assert places(differences(descents(0.0, 0.5), descents(0.0, 0.7, 0.7))) == ["sweeps, row identity/1/1, agreement"]
    assert places(differences(descents(0.0), descents(0.0, 0.5, 0.5))) == ["rows of sweeps"]


def test_small_resnets_may_differ_more():
    def at(value, setting):
        return record({"gmt-final": [value]}, parameters={"setting": setting})

    assert differences(at(0.5, "mnist5k-resnet18-tiny"), at(0.9, "mnist5k-resnet18-tiny")) == []
    assert differences(at(0.5, "mnist5k-mlp"), at(0.9, "mnist5k-mlp"))
    assert differences(at(0.1, "mnist5k-resnet18-tiny"), at(0.9, "mnist5k-resnet18-tiny"))


def busy(value: RecordFile, factor: float) -> RecordFile:
    """The same run on a machine that is so many times slower."""

    clocks = not comparison.counts_work(value)

    def slower(name, x):
        timed = isinstance(x, float) and ("seconds" in name or (clocks and name == "share of training"))
        return x * factor if timed else x

    cost = re.compile(MEASURES["work"])
    measures = {n: [x * factor for x in xs] if cost.fullmatch(n) else xs for n, xs in value.measures.items()}
    if comparison.counts_work(value):
        measures = value.measures
    tables = {t: [{n: slower(n, x) for n, x in row.items()} for row in rows] for t, rows in value.tables.items()}
    origin = value.provenance.model_copy(update={"seconds": {n: factor * s for n, s in value.provenance.seconds.items()}})
    return value.model_copy(update={"provenance": origin, "measures": measures, "tables": tables})


@pytest.mark.parametrize("records", [REFERENCE, PUBLISHED], ids=["reference", "published"])
def test_a_busy_and_a_quiet_machine_give_no_difference_and_the_same_verdicts(records):
    """Records of before work was counted included, whose costs are ratios of times."""
    slow = {name: busy(record, 3.0) for name, record in records.items()}
    for first, second in ((records, slow), (slow, records)):
        found = compare(read_claims(ROOT), first, second)
        assert (found.turned, found.changed) == ((), ()) and set(found.compared) == set(records)


def test_a_verdict_that_counts_work_is_compared():
    cheap = claim(measure="fgmt-cost", at_least=None, at_most=0.1)
    found = compare([cheap], {"r": record({"fgmt-cost": [0.09]})}, {"r": again({"fgmt-cost": [0.11]})})
    assert found.turned == ("C1",) and found.changed == ()
    timed = [{"r": one({"fgmt-cost": [cost]}, tables={})} for one, cost in ((record, 0.09), (again, 0.5))]
    assert compare([cheap], *timed).turned == () and "C1" not in compare([cheap], *timed).text


def test_two_runs_side_by_side():
    found = compare([claim()], {"r": record({"gmt-final": [0.1, 0.3]})}, {"r": again({"gmt-final": [0.1, 0.2]})})
    assert "| C1 | gain | 0.200 ± 0.141, n = 2 | 0.150 ± 0.071, n = 2 | ≥ 0.2 | yes / **no** |" in found.text
    assert found.turned == ("C1",) and "Verdicts that differ, by these runs alone: C1." in found.text
    assert found.compared == ("r",) and found.changed == () and "Compared: within tolerances, r." in found.text
    assert found.text.startswith("First: cpu. Second: cpu. Verdicts") and "other code" not in found.text
    found = compare([claim()], {"r": record({"gmt-final": [0.3]})}, {"r": again({"gmt-final": [0.5]})})
    assert found.turned == () and "Verdicts that differ, by these runs alone: none." in found.text
    assert places(found.changed) == ["gmt-final, value 1"]
    assert "| r | gmt-final, value 1 | 0.3 | 0.5 | 0.12 (accuracy) |" in found.text


def test_a_verdict_turns_where_a_value_is_lost():
    for lost in (math.inf, math.nan):
        found = compare([claim()], {"r": record({"gmt-final": [0.3]})}, {"r": again({"gmt-final": [lost]})})
        assert found.turned == ("C1",) and places(found.changed) == ["gmt-final, value 1"]
        assert "not finite, n = 1 | ≥ 0.2 | yes / **no** |" in found.text


def test_forty_differences_are_shown_and_the_others_counted():
    first, second = (one({"gmt-final": [value] * 43}) for one, value in ((record, 0.1), (again, 0.9)))
    found = compare([], {"r": first}, {"r": second})
    assert len(found.changed) == 43 and found.text.count("| r | gmt-final, value") == 40
    assert "more than their tolerance: 43." in found.text and "And 3 more." in found.text


def test_other_versions_and_commits_are_named():
    other = again(commit="facade", versions={"torch": "3", "numpy": "2"})
    text = compare([], {"r": record()}, {"r": other}).text
    assert "(first / second): commit c0ffee / facade; torch 2 / 3; numpy – / 2." in text


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (again(parameters={"setting": "fashion-mlp"}), "other parameters (setting)"),
        (again(data={}), "other data (mnist-5k)"),
        (record(), "copies of one record, not two runs"),
    ],
)
def test_runs_that_ask_another_question_and_copies_are_not_compared(other, words):
    found = compare([claim(measure="pairs")], {"r": record(), "alone": record()}, {"r": other, "new": record()})
    assert found.text.startswith("Nothing could be compared") and "Compared: nothing." in found.text
    for line in (f"- r: {words}", "- alone: only in the first folder", "- new: only in the second folder"):
        assert line in found.text
    assert (found.turned, found.changed, found.compared) == ((), (), ())


def test_a_copy_that_was_changed_is_compared():
    """Whoever alters a number in a copy of a record leaves its provenance."""
    found = compare([], {"r": record({"gmt-final": [0.3]})}, {"r": record({"gmt-final": [0.9]})})
    assert places(found.changed) == ["gmt-final, value 1"]
