"""Two records of the same parameters and data, number by number.

Every column of a table and every measure has a kind, and every kind one tolerance. Times are
reported and never compared: no difference here hangs on a clock.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from trajtransfer.paper.presentation import MISSING
from trajtransfer.paper.settings import SETTINGS
from trajtransfer.paper.storage.outcomes import Cell, RecordFile
from trajtransfer.publish.tolerances import (
    OTHER,
    ROUGH,
    ROUGH_NETWORKS,
    SAME,
    allowed,
    kind_of_column,
    kind_of_measure,
    tolerance_text,
)

Row = dict[str, Cell]
Rows = Sequence[Row]
LENGTH_FOLLOWS_SWEEPS = {"sweeps"}  # tables whose rows are matched by their labels and counts
ABSENT = "not there"


class Difference(NamedTuple):
    """Two values that should agree, where they stand, and by how much they might have differed."""

    run: str
    place: str
    first: str
    second: str
    tolerance: str


Found = Callable[[str, str, object, object], Iterator[Difference]]


def differences(
    first: RecordFile, second: RecordFile, alike: str | None = None
) -> list[Difference]:
    """Everything beyond its tolerance in two records of the same parameters and data.

    `alike` is how alike their machines are taken to be (default: their `likeness`). Raises
    ``ValueError`` for a measure or column without a kind.
    """
    alike = alike or likeness(first, second)

    def found(place: str, kind: str, a: object, b: object) -> Iterator[Difference]:
        """The difference of two values of a kind, if there is one."""
        if not _agree(kind, a, b, alike):
            tolerance = tolerance_text(kind, alike)
            yield Difference(first.name, place, _text(a), _text(b), tolerance)

    return [*_in_tables(first, second, found), *_in_measures(first, second, found)]


def likeness(first: RecordFile, second: RecordFile) -> str:
    """How alike the machines of two records are.

    A device that does not name its processor says too little.
    """
    a = first.provenance
    b = second.provenance
    if a.device == b.device and a.versions == b.versions and " with " in a.device:
        return SAME
    return elsewhere(first)


def elsewhere(record: RecordFile) -> str:
    """How alike the machine of a record is to any other, by the networks of its settings."""
    chosen = [SETTINGS[name] for name in _settings_of(record) if name in SETTINGS]
    rough = any(setting.architecture in ROUGH_NETWORKS for setting in chosen)
    return ROUGH if rough else OTHER


def _settings_of(record: RecordFile) -> list[str]:
    given = record.provenance.parameters
    several = given.get("settings")
    names = several if isinstance(several, list) else [given.get("setting", "")]
    return [str(name) for name in names]


def _in_tables(first: RecordFile, second: RecordFile, found: Found) -> Iterator[Difference]:
    for table in {**first.tables, **second.tables}:
        a = first.tables.get(table)
        b = second.tables.get(table)
        if a is None or b is None:
            yield from found(f"table {table}", "label", _presence(a), _presence(b))
            continue
        yield from _in_rows(table, a, b, found)


def _in_rows(table: str, a: Rows, b: Rows, found: Found) -> Iterator[Difference]:
    kind = "count"
    pairs = _in_turn(a, b)
    if table in LENGTH_FOLLOWS_SWEEPS:
        kind = "sweeps"
        pairs = _common(a, b)
    yield from found(f"rows of {table}", kind, len(a), len(b))
    for place, row, other in pairs:
        for column in {**row, **other}:
            cells = (row.get(column, ABSENT), other.get(column, ABSENT))
            where = f"{table}, row {place}, {column}"
            yield from found(where, kind_of_column(column, table), *cells)


def _in_measures(first: RecordFile, second: RecordFile, found: Found) -> Iterator[Difference]:
    for measure in {**first.measures, **second.measures}:
        kind = kind_of_measure(measure)
        a = first.measures.get(measure)
        b = second.measures.get(measure)
        if a is None or b is None:
            yield from found(f"measure {measure}", "label", _presence(a), _presence(b))
            continue
        yield from found(f"values of {measure}", "count", len(a), len(b))
        for number, (value, other) in enumerate(zip(a, b, strict=False), 1):
            yield from found(f"{measure}, value {number}", kind, value, other)


def _presence(found: object | None) -> str:
    return ABSENT if found is None else "there"


def _in_turn(a: Rows, b: Rows) -> Iterator[tuple[str, Row, Row]]:
    for number, (row, other) in enumerate(zip(a, b, strict=False), 1):
        yield str(number), row, other


def _common(a: Rows, b: Rows) -> Iterator[tuple[str, Row, Row]]:
    """The rows that have the same labels and counts."""
    there = {_key(row): row for row in b}
    for row in a:
        if _key(row) in there:
            yield "/".join(map(str, _key(row))), row, there[_key(row)]


def _key(row: Row) -> tuple[Cell, ...]:
    """The labels and counts of a row."""
    fixed = ("label", "count")
    return tuple(value for name, value in row.items() if kind_of_column(name) in fixed)


def _agree(kind: str, first: object, second: object, alike: str) -> bool:
    """Whether two values are the same, or finite numbers within the tolerance of their kind.

    The same NaN or infinity on both sides agrees; times need only be times.
    """
    a = _number(kind, first)
    b = _number(kind, second)
    if a is None or b is None:
        return first == second
    finite = math.isfinite(a) and math.isfinite(b)
    if kind == "seconds":
        return finite and a >= 0 and b >= 0
    if not finite:
        return a == b or (math.isnan(a) and math.isnan(b))
    return abs(a - b) <= allowed(kind, a, b, alike)


def _number(kind: str, value: object) -> float | None:
    """A value as a number, shares of time such as ``"75%"`` included; nothing for other texts."""
    if isinstance(value, str) and kind == "seconds" and re.fullmatch(r"-?\d+%", value):
        return float(value[:-1])
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _text(value: object) -> str:
    if value is None:
        return MISSING
    return f"{value:.6g}" if isinstance(value, float) else str(value)
