"""Two records: every number is compared within the tolerance of its kind, whatever the machine."""

from __future__ import annotations

import math

import pytest
from conftest import ROOT

from tests.publish.records import on_one_machine, places, record
from trajtransfer.paper.storage import results
from trajtransfer.publish.differences import (
    differences,
    elsewhere,
)
from trajtransfer.publish.tolerances import (
    COLUMNS,
    OTHER,
    ROUGH,
    TOLERANCES,
    kind_of_column,
    kind_of_measure,
)

REFERENCE = results.read(ROOT / "tests" / "reference")[1]
PUBLISHED = results.read(ROOT / "book" / "published")[1]
ALL = [pytest.param(found, id=f"reference/{name}") for name, found in REFERENCE.items()]
ALL += [pytest.param(found, id=f"published/{name}") for name, found in PUBLISHED.items()]
STEP = 1e-6  # just above and just below, relative to the tolerance
A_COLUMN = {kind: column for column, kind in COLUMNS.items()}  # of each kind
A_MEASURE = {
    "count": "pairs",
    "rounding": "largest-change",
    "accuracy": "gmt-final",
    "loss": "tuned-barrier",
    "agreement": "spread-of-objective",
    "cosine": "permuted",
    "slope": "slope",
    "ratio": "movement",
    "share": "fgmt-share-of-oracle",
    "epochs": "fgmt-saved-90",
    "work": "fgmt-cost",
}
# Times have a test of their own.
EXAMPLES = [("column", name, kind) for kind, name in A_COLUMN.items() if kind != "seconds"]
EXAMPLES += [("measure", name, kind) for kind, name in A_MEASURE.items()]


def holding(what: str, name: str, value):
    """A record with a value of a measure or a column."""
    if what == "measure":
        return record({name: [0.0, value]})
    table, _, column = name.rpartition("/")
    return record(tables={table or "some": [{column: 0.0}, {column: value}]})


def place_of(what: str, name: str) -> str:
    """Where `holding` puts a value."""
    table, _, column = name.rpartition("/")
    return f"{table or 'some'}, row 2, {column}" if what == "column" else f"{name}, value 2"


def around(kind: str) -> tuple[float, float]:
    """What is just within the tolerance of 2, and what is just beyond."""
    if kind in ("label", "count"):
        return 2.0, 3.0
    size = TOLERANCES[kind].size
    near = size * (1 - STEP)
    far = size * (1 + STEP)
    if TOLERANCES[kind].relative:  # to the larger number
        return 2 / (1 - near), 2 / (1 - far)
    return 2 + near, 2 + far


@pytest.mark.parametrize(("what", "name", "kind"), EXAMPLES)
def test_a_change_above_the_tolerance_of_a_kind_is_reported_and_one_below_is_not(what, name, kind):
    below, above = around(kind)
    at_two = holding(what, name, 2.0)
    assert differences(at_two, holding(what, name, below)) == []
    changed = holding(what, name, above)
    for pair in ((at_two, changed), (changed, at_two)):
        (found,) = differences(*pair)
        assert (found.run, found.place) == ("r", place_of(what, name))
        assert {found.first, found.second} == {"2", f"{above:.6g}"}
        assert f"({kind})" in found.tolerance


@pytest.mark.parametrize("record", ALL)
def test_a_record_agrees_with_itself_and_every_name_in_it_has_a_kind(record):
    for measure in record.measures:
        assert kind_of_measure(measure) in TOLERANCES
    for table, rows in record.tables.items():
        for column in {column for row in rows for column in row}:
            assert kind_of_column(column, table) in TOLERANCES
    assert differences(record, record) == []
    same = on_one_machine(record)
    assert differences(same, same) == []


def test_an_unknown_name_says_where_to_add_it():
    place = r"trajtransfer/publish/tolerances\.py"
    new = record({"new": [1.0]})
    with pytest.raises(ValueError, match=f"the measure 'new'; add it to MEASURES in {place}"):
        differences(new, new)
    strange = record(tables={"some": [{"new": 1}]})
    with pytest.raises(
        ValueError, match=f"the column 'new'; add it to COLUMNS_OF_KINDS in {place}"
    ):
        differences(strange, strange)


def test_another_processor_thread_or_library_is_allowed_its_tolerance():
    one = on_one_machine(record({"gmt-final": [0.5]}))
    other = on_one_machine(record({"gmt-final": [0.55]}))
    assert places(differences(one, other)) == ["gmt-final, value 1"]
    device = "cpu, AMD EPYC with AVX512 (1 of 2 cores)"
    for change in ({"device": device}, {"versions": {"torch": "3"}}):
        origin = other.provenance.model_copy(update=change)
        assert differences(one, other.model_copy(update={"provenance": origin})) == []


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (0.5, math.nan),
        (math.nan, 0.5),
        (0.5, math.inf),
        (math.inf, 0.5),
        (math.inf, -math.inf),
        (math.inf, math.nan),
    ],
)
@pytest.mark.parametrize(
    "name", ["gmt-final", "fgmt-share-of-oracle", "fgmt-saved-90", "pairs", "fgmt-cost"]
)
def test_a_value_that_is_missing_or_infinite_on_one_side_is_a_difference(name, first, second):
    found = differences(record({name: [first]}), record({name: [second]}))
    assert places(found) == [f"{name}, value 1"]


def test_what_is_missing_on_both_sides_is_the_same():
    nothing = record({"gmt-final": [math.nan]})
    empty = record(tables={"some": [{"gap": None, "accuracy": math.nan}]})
    assert differences(nothing, nothing) == differences(empty, empty) == []


def test_what_is_on_one_side_only_is_a_difference():
    row = {"t": 1, "gap": 0.1}
    last = {"t": 2, "gap": 0.1}
    whole = record({"gmt-final": [0.5, 0.6]}, {"some": [row, last]})
    parts = {
        "measure gmt-final": record(tables=whole.tables),
        "values of gmt-final": record({"gmt-final": [0.5]}, whole.tables),
        "table some": record(whole.measures, {}),
        "rows of some": record(whole.measures, {"some": [row]}),
        "some, row 2, gap": record(whole.measures, {"some": [row, {"t": 2}]}),
    }
    for place, part in parts.items():
        assert places(differences(whole, part)) == [place]
        assert places(differences(part, whole)) == [place]
    empty = record(whole.measures, {"some": [row, {"t": 2, "gap": None}]})
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

    def descents(*agreements):
        about = {"from": "identity", "number": 1}
        rows = [about | {"sweep": n, "agreement": a} for n, a in enumerate(agreements)]
        return record(tables={"sweeps": rows})

    assert differences(descents(0.0, 0.5, 0.6), descents(0.0, 0.5, 0.6, 0.6)) == []
    found = differences(descents(0.0, 0.5), descents(0.0, 0.7, 0.7))
    assert places(found) == ["sweeps, row identity/1/1, agreement"]
    assert places(differences(descents(0.0), descents(0.0, 0.5, 0.5))) == ["rows of sweeps"]


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"setting": "mnist5k-resnet18-tiny"}, ROUGH),
        ({"settings": ["mnist5k-mlp", "mnist5k-resnet18-tiny"]}, ROUGH),
        ({"setting": "mnist5k-mlp"}, OTHER),
        ({"settings": ["mnist5k-mlp", "fashion-conv8-small"]}, OTHER),
        ({"setting": "resnet-of-my-own"}, OTHER),
        ({"pair": "1-2"}, OTHER),
    ],
)
def test_small_resnets_may_differ_more(parameters, expected):
    def at(value):
        return record({"gmt-final": [value]}, parameters=parameters)

    assert elsewhere(at(0.5)) == expected
    assert bool(differences(at(0.5), at(0.9))) == (expected == OTHER)
