"""Every number of a record of every kind, changed: the change is found at its place."""

from __future__ import annotations

from conftest import ROOT

from tests.publish.records import on_one_machine, places
from trajtransfer.paper.storage import results
from trajtransfer.paper.storage.outcomes import RecordFile
from trajtransfer.publish.differences import (
    LENGTH_FOLLOWS_SWEEPS,
    differences,
    elsewhere,
)
from trajtransfer.publish.tolerances import (
    TOLERANCES,
    allowed,
    kind_of_column,
    kind_of_measure,
)

FOLDERS = (ROOT / "tests" / "reference", ROOT / "book" / "published")
ALL = [record for folder in FOLDERS for record in results.read(folder)[1].values()]
RECORDS = list({frozenset(record.measures): record for record in ALL}.values())  # one of a kind


def beyond(kind: str, value: float, alike: str) -> float:
    """A value that is not the same as this one by the rules of its kind."""
    if kind == "seconds":
        return -1.0
    if not TOLERANCES[kind].relative:
        return value + 1.001 * allowed(kind, value, value, alike) + (kind == "count")
    return 5 * value if value else 1.0  # more than the widest factor, four


def light(record: RecordFile) -> RecordFile:
    """A record without its tables."""
    return record.model_copy(update={"tables": {}})


def with_value(record: RecordFile, measure: str, number: int, value: float) -> RecordFile:
    """A record in which one value of a measure is another."""
    values = record.measures[measure]
    mutated = [*values[:number], value, *values[number + 1 :]]
    return record.model_copy(update={"measures": record.measures | {measure: mutated}})


def values_of(record: RecordFile) -> list[tuple[str, int, float]]:
    """Every value of every measure with its place."""
    return [
        (measure, number, value)
        for measure, values in record.measures.items()
        for number, value in enumerate(values)
    ]


def test_every_changed_value_of_every_measure_is_found():
    """`compare` of the tests looked at names alone, and all changed values passed."""
    tried = 0
    missed = []
    for record in map(light, RECORDS):
        alike = elsewhere(record)
        for measure, number, value in values_of(record):
            changed = beyond(kind_of_measure(measure), value, alike)
            other = with_value(record, measure, number, changed)
            tried += 1
            if places(differences(record, other, alike)) != [f"{measure}, value {number + 1}"]:
                missed.append((record.name, measure, number))
    assert not missed and tried >= 1000


def test_on_the_same_machine_every_value_is_compared_to_the_last_digit():
    tried = 0
    missed = []
    for record in map(on_one_machine, map(light, RECORDS)):
        for measure, number, value in values_of(record):
            other = with_value(record, measure, number, value + 1e-6 * max(1.0, abs(value)))
            tried += 1
            if places(differences(record, other)) != [f"{measure}, value {number + 1}"]:
                missed.append((record.name, measure, number))
    assert not missed and tried >= 1000


def with_cell(record: RecordFile, table: str, column: str, value) -> RecordFile:
    """A record in which a cell of the last row of a table is another."""
    rows = record.tables[table]
    mutated = [*rows[:-1], rows[-1] | {column: value}]
    return record.model_copy(update={"tables": record.tables | {table: mutated}})


def another(kind: str, value, alike: str):
    """A cell that is not the same as this one."""
    if isinstance(value, str) or value is None:
        return "another" if kind != "seconds" else "-5%"
    return beyond(kind, value, alike)


def test_a_changed_cell_of_every_column_is_found():
    tried = 0
    for record in RECORDS:
        alike = elsewhere(record)
        for table, rows in record.tables.items():
            for column, value in rows[-1].items():
                kind = kind_of_column(column, table)
                if table in LENGTH_FOLLOWS_SWEEPS and kind in ("label", "count"):
                    continue  # a row of sweeps with another label is another row
                changed = another(kind, value, alike)
                found = differences(record, with_cell(record, table, column, changed), alike)
                tried += 1
                assert [place.rpartition(", ")[2] for place in places(found)] == [column]
    assert tried >= 150
