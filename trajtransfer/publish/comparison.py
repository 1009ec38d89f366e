"""Two runs of the same parameters and data, number by number: what changed, and which verdicts turn.

Every column of a table and every measure has a kind, and every kind one tolerance. Times are reported
and never compared: no difference and no verdict here hangs on a clock.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from trajtransfer.paper.claims import Records, repeated_checks_table, verdict
from trajtransfer.paper.record import MISSING, markdown_table
from trajtransfer.paper.storage.documents import Cell, Check, Claim, RecordFile
from trajtransfer.publish.tolerances import MEASURES, OTHER, ROUGH, SAME, allowed, kind_of_column, kind_of_measure, tolerance_text

Row = Mapping[str, Cell]
SHOWN = 40  # differences in the text; the rest is counted
LENGTH_FOLLOWS_SWEEPS = {"sweeps"}  # tables whose rows are matched by their labels and counts
ABSENT = "not there"
WORK = "GFLOP of training"  # records without it took the work for the time


class Difference(NamedTuple):
    """Two values that should agree, where they stand, and by how much they might have differed."""

    run: str
    place: str
    first: str
    second: str
    tolerance: str


@dataclass(frozen=True)
class Comparison:
    """What two folders of results have in common.

    `text` says all in Markdown; `turned` are the claims with another verdict by the `compared` runs
    alone, `changed` the values beyond their tolerance.
    """

    text: str
    turned: tuple[str, ...]
    changed: tuple[Difference, ...]
    compared: tuple[str, ...]


def compare(claims: Sequence[Claim], first: Records, second: Records) -> Comparison:
    """The runs of two folders side by side, as far as they ask the same question.

    Raises ``ValueError`` for a measure or column without a kind.
    """
    apart = {name: why for name in sorted({*first, *second}) if (why := _why_not(name, first, second))}
    compared = tuple(name for name in first if name in second and name not in apart)
    a, b = ({name: records[name] for name in compared} for records in (first, second))
    changed = tuple(found for name in compared for found in differences(a[name], b[name]))
    timeless = [_without_clocks(claim, a, b) for claim in claims]
    turned = tuple(claim.id for claim in timeless if verdict(claim, a) != verdict(claim, b))
    parts = [
        _sentence(a, b, turned),
        repeated_checks_table(timeless, a, b),
        _changes(changed),
        _origins(a, b),
        _compared(a, b),
        *(["Not compared:", "\n".join(f"- {name}: {why}" for name, why in apart.items())] if apart else []),
    ]
    return Comparison("\n\n".join(part for part in parts if part), turned, changed, compared)


def differences(first: RecordFile, second: RecordFile, alike: str | None = None) -> list[Difference]:
    """Everything beyond its tolerance in two records of the same parameters and data.

    `alike` is how alike their machines are taken to be (default: their `likeness`).

    Raises ``ValueError`` for a measure or column without a kind.
    """
    alike = alike or likeness(first, second)
    clocks = not (counts_work(first) and counts_work(second))

    def found(place: str, kind: str, a: object, b: object) -> Iterator[Difference]:
        """The difference of two values of a kind, if there is one."""
        kind = "seconds" if clocks and kind == "work" else kind
        if not _agree(kind, a, b, alike):
            yield Difference(first.name, place, _text(a), _text(b), tolerance_text(kind, alike))

    return [*_in_tables(first, second, found), *_in_measures(first, second, found)]


def likeness(first: RecordFile, second: RecordFile) -> str:
    """How alike the machines of two records are; one without the processor in its device says too little."""
    a, b = first.provenance, second.provenance
    if a.device == b.device and a.versions == b.versions and " with " in a.device:
        return SAME
    return elsewhere(first)


def elsewhere(record: RecordFile) -> str:
    """How alike the machine of a record is to any other."""
    return ROUGH if "resnet" in str(record.provenance.parameters.get("setting")) else OTHER


def counts_work(record: RecordFile) -> bool:
    """Whether the costs in a record are counted operations; earlier ones are ratios of times."""
    return any(WORK in row for rows in record.tables.values() for row in rows)


Found = Callable[[str, str, object, object], Iterator[Difference]]


def _in_tables(first: RecordFile, second: RecordFile, found: Found) -> Iterator[Difference]:
    for table in {**first.tables, **second.tables}:
        a, b = first.tables.get(table), second.tables.get(table)
        if a is None or b is None:
            yield from found(f"table {table}", "label", *(ABSENT if one is None else "there" for one in (a, b)))
            continue
        free = table in LENGTH_FOLLOWS_SWEEPS
        yield from found(f"rows of {table}", "sweeps" if free else "count", len(a), len(b))
        for place, row, other in _common(a, b) if free else _in_turn(a, b):
            for column in {**row, **other}:
                values = (one.get(column, ABSENT) for one in (row, other))
                yield from found(f"{table}, row {place}, {column}", kind_of_column(column, table), *values)


def _in_turn(a: Sequence[Row], b: Sequence[Row]) -> Iterator[tuple[str, Row, Row]]:
    for number, (row, other) in enumerate(zip(a, b, strict=False), 1):
        yield str(number), row, other


def _common(a: Sequence[Row], b: Sequence[Row]) -> Iterator[tuple[str, Row, Row]]:
    """The rows that have the same labels and counts."""

    def key(row: Row) -> tuple[Cell, ...]:
        return tuple(value for name, value in row.items() if kind_of_column(name) in ("label", "count"))

    there = {key(row): row for row in b}
    for row in a:
        if key(row) in there:
            yield "/".join(map(str, key(row))), row, there[key(row)]


def _in_measures(first: RecordFile, second: RecordFile, found: Found) -> Iterator[Difference]:
    for measure in {**first.measures, **second.measures}:
        kind = kind_of_measure(measure)
        a, b = first.measures.get(measure), second.measures.get(measure)
        if a is None or b is None:
            yield from found(f"measure {measure}", "label", *(ABSENT if one is None else "there" for one in (a, b)))
            continue
        yield from found(f"values of {measure}", "count", len(a), len(b))
        for number, (value, other) in enumerate(zip(a, b, strict=False), 1):
            yield from found(f"{measure}, value {number}", kind, value, other)


def _agree(kind: str, first: object, second: object, alike: str) -> bool:
    """Whether two values are the same, or finite numbers within the tolerance of their kind.

    The same NaN or infinity on both sides agrees; times need only be times.
    """
    a, b = _number(kind, first), _number(kind, second)
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


def _why_not(name: str, first: Records, second: Records) -> str:
    """Why a run cannot be compared; nothing where it can."""
    if name not in first or name not in second:
        return f"only in the {'second' if name not in first else 'first'} folder"
    a, b = first[name].provenance, second[name].provenance
    for what, ours, other in (("parameters", a.parameters, b.parameters), ("data", a.data, b.data)):
        if ours != other:
            names = sorted(key for key in {**ours, **other} if ours.get(key) != other.get(key))
            return f"other {what} ({', '.join(names)})"
    if a == b and not differences(first[name], second[name]):
        return "copies of one record, not two runs"
    return ""


def _without_clocks(claim: Claim, first: Records, second: Records) -> Claim:
    """A claim without the checks that a record decides by times: they turn when the machine is busy."""

    def timed(check: Check) -> bool:
        """Whether a check is about work that one of the records took for time."""
        records = [one[check.record] for one in (first, second) if check.record in one]
        clocks = not all(counts_work(record) for record in records)
        return clocks and re.fullmatch(MEASURES["work"], check.measure) is not None

    return claim.model_copy(update={"checks": [check for check in claim.checks if not timed(check)]})


def _sentence(first: Records, second: Records, turned: Sequence[str]) -> str:
    """The devices, and the verdicts that differ."""
    if not first:
        return "Nothing could be compared: no run is in both folders, made twice with the same parameters and data."
    sides = [", ".join(sorted({r.provenance.device for r in side.values()})) for side in (first, second)]
    words = f"Verdicts that differ, by these runs alone: {', '.join(turned) or 'none'}."
    return f"First: {sides[0]}. Second: {sides[1]}. {words}"


def _compared(first: Records, second: Records) -> str:
    """Which runs were compared, and how closely."""
    by: dict[str, list[str]] = {}
    for name, record in first.items():
        by.setdefault("to the last digit" if likeness(record, second[name]) == SAME else "within tolerances", []).append(name)
    words = "; ".join(f"{how}, {', '.join(names)}" for how, names in sorted(by.items()))
    return f"Compared: {words or 'nothing'}."


def _changes(changed: Sequence[Difference]) -> str:
    """A table of the first differences, and how many more there are."""
    if not changed:
        return ""
    rest = len(changed) - SHOWN
    table = markdown_table([found._asdict() for found in changed[:SHOWN]])
    more = f"\n\nAnd {rest} more." if rest > 0 else ""
    return f"Numbers that differ by more than their tolerance: {len(changed)}.\n\n{table}{more}"


def _origins(first: Records, second: Records) -> str:
    """Which commits and versions of packages differ."""
    sides = [_origin(records) for records in (first, second)]
    names = [name for name in {**sides[0], **sides[1]} if sides[0].get(name) != sides[1].get(name)]
    texts = [f"{name} {' / '.join(', '.join(sorted(side.get(name, {MISSING}))) for side in sides)}" for name in names]
    return f"Made by other code or packages (first / second): {'; '.join(texts)}." if texts else ""


def _origin(records: Records) -> dict[str, set[str]]:
    """The commits and the versions of each package in some records."""
    found: dict[str, set[str]] = {}
    for record in records.values():
        for name, value in {"commit": record.provenance.commit, **record.provenance.versions}.items():
            found.setdefault(name, set()).add(value)
    return found
