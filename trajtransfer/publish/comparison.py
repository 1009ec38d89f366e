"""Two folders of results side by side: which numbers changed, and which verdicts turn.

Times are reported and never compared: no difference and no verdict here hangs on a clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trajtransfer.paper.claims import Records, Verdict, judged
from trajtransfer.paper.presentation import MISSING, markdown_table
from trajtransfer.paper.storage.plans import Claims
from trajtransfer.publish.claim_tables import repeated_checks_table
from trajtransfer.publish.differences import Difference, differences, likeness
from trajtransfer.publish.tolerances import SAME

SHOWN = 40  # differences in the text; the rest is counted


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


def compare(claims: Claims, first: Records, second: Records) -> Comparison:
    """The runs of two folders side by side, as far as they ask the same question.

    Raises ``ValueError`` for a measure or column without a kind.
    """
    apart = _apart(first, second)
    compared = tuple(name for name in first if name in second and name not in apart)
    a = {name: first[name] for name in compared}
    b = {name: second[name] for name in compared}
    changed = tuple(found for name in compared for found in differences(a[name], b[name]))
    before = judged(claims, a)
    after = judged(claims, b)
    turned = _turned(before, after)
    parts = [
        _sentence(a, b, turned),
        repeated_checks_table(before, after),
        _changes(changed),
        _origins(a, b),
        _compared(a, b),
        _not_compared(apart),
    ]
    return Comparison("\n\n".join(part for part in parts if part), turned, changed, compared)


def _turned(before: Sequence[Verdict], after: Sequence[Verdict]) -> tuple[str, ...]:
    """The claims of which something else is known than before."""
    return tuple(
        one.claim.id
        for one, other in zip(before, after, strict=True)
        if one.outcome is not other.outcome
    )


def _apart(first: Records, second: Records) -> dict[str, str]:
    """The runs that cannot be compared, each with the reason."""
    reasons = {name: _why_not(name, first, second) for name in sorted({*first, *second})}
    return {name: why for name, why in reasons.items() if why}


def _why_not(name: str, first: Records, second: Records) -> str:
    """Why a run cannot be compared; nothing where it can."""
    if name not in first:
        return "only in the second folder"
    if name not in second:
        return "only in the first folder"
    a = first[name].provenance
    b = second[name].provenance
    if names := _unequal(a.parameters, b.parameters):
        return f"other parameters ({', '.join(names)})"
    if names := _unequal(a.data, b.data):
        return f"other data ({', '.join(names)})"
    if a == b and not differences(first[name], second[name]):
        return "copies of one record, not two runs"
    return ""


def _unequal(a: Mapping[str, object], b: Mapping[str, object]) -> list[str]:
    """The names under which two mappings hold different values."""
    return sorted(name for name in {**a, **b} if a.get(name) != b.get(name))


def _sentence(first: Records, second: Records, turned: Sequence[str]) -> str:
    """The devices, and the verdicts that differ."""
    if not first:
        return (
            "Nothing could be compared: no run is in both folders, made twice with the same "
            "parameters and data."
        )
    words = f"Verdicts that differ, by these runs alone: {', '.join(turned) or 'none'}."
    return f"First: {_devices(first)}. Second: {_devices(second)}. {words}"


def _devices(records: Records) -> str:
    return ", ".join(sorted({record.provenance.device for record in records.values()}))


def _changes(changed: Sequence[Difference]) -> str:
    """A table of the first differences, and how many more there are."""
    if not changed:
        return ""
    rest = len(changed) - SHOWN
    table = markdown_table([found._asdict() for found in changed[:SHOWN]])
    more = f"\n\nAnd {rest} more." if rest > 0 else ""
    count = len(changed)
    return f"Numbers that differ by more than their tolerance: {count}.\n\n{table}{more}"


def _origins(first: Records, second: Records) -> str:
    """Which commits and versions of packages differ."""
    a = _origin(first)
    b = _origin(second)
    texts = [
        f"{name} {_listed(a, name)} / {_listed(b, name)}"
        for name in {**a, **b}
        if a.get(name) != b.get(name)
    ]
    if not texts:
        return ""
    return f"Made by other code or packages (first / second): {'; '.join(texts)}."


def _origin(records: Records) -> dict[str, set[str]]:
    """The commits and the versions of each package in some records."""
    found: dict[str, set[str]] = {}
    for record in records.values():
        origin = record.provenance
        for name, value in {"commit": origin.commit, **origin.versions}.items():
            found.setdefault(name, set()).add(value)
    return found


def _listed(versions: Mapping[str, set[str]], name: str) -> str:
    return ", ".join(sorted(versions.get(name, {MISSING})))


def _compared(first: Records, second: Records) -> str:
    """Which runs were compared, and how closely."""
    by: dict[str, list[str]] = {}
    for name, record in first.items():
        exact = likeness(record, second[name]) == SAME
        by.setdefault("to the last digit" if exact else "within tolerances", []).append(name)
    words = "; ".join(f"{how}, {', '.join(names)}" for how, names in sorted(by.items()))
    return f"Compared: {words or 'nothing'}."


def _not_compared(apart: Mapping[str, str]) -> str:
    """The runs that were left out, one a line."""
    if not apart:
        return ""
    lines = [f"- {name}: {why}" for name, why in apart.items()]
    return "\n".join(["Not compared:", "", *lines])
