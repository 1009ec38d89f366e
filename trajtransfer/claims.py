"""Claims: verdicts from measures and criteria that were fixed before the run, and the pages that show them.

The same functions turn the paper's reported curves and our own into measures, so both columns of the claims
page mean the same thing.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from trajtransfer.measures import reported_measures
from trajtransfer.records import MISSING, markdown_table


def verdict(claim: Mapping[str, Any], records: Mapping[str, Mapping[str, Any]]) -> str:
    """``holds`` when the mean of every check that was run meets its criterion, ``fails`` when one does not.

    Says how many checks were run when some were not, and ``not decided here`` when none was.
    """
    checks = claim["checks"]
    found = [(check, values) for check in checks if (values := _values(check, records))]
    if not found:
        return "not decided here"
    partly = "" if len(found) == len(checks) else f" ({len(found)} of {len(checks)} checks run)"
    return ("holds" if all(_met(check, values) for check, values in found) else "**fails**") + partly


def claims_page(claims: Sequence[Mapping[str, Any]], records: Mapping[str, Mapping[str, Any]]) -> str:
    """Two Markdown tables: a verdict per claim, and the checks behind them."""
    verdicts = [
        {"": c["id"], "claim": c["claim"], "paper": c["where"], "verdict": verdict(c, records), "chapters": _chapters(c, records)}
        for c in claims
    ]
    return f"{markdown_table(verdicts)}\n\n## The checks behind the verdicts\n\n{checks_table(claims, records)}\n"


def summary(claims: Sequence[Mapping[str, Any]], records: Mapping[str, Mapping[str, Any]]) -> str:
    """One sentence: how many claims hold, fail and stay open, and which."""
    sorts: dict[str, list[str]] = {"hold": [], "fail": [], "are not decided": []}
    for claim in claims:
        words = verdict(claim, records)
        sorts["are not decided" if words.startswith("not") else "hold" if words.startswith("holds") else "fail"].append(
            claim["id"]
        )
    parts = [f"**{len(ids)} {what}** ({', '.join(ids)})" for what, ids in sorts.items() if ids]
    return f"Of the paper's {len(claims)} claims, " + ", ".join(parts) + ".\n"


def checks_table(claims: Sequence[Mapping[str, Any]], records: Mapping[str, Mapping[str, Any]]) -> str:
    """The checks of claims that were run: the paper's value, ours, the criterion, and whether it is met."""
    return markdown_table([
        {
            "": claim["id"],
            "measure": check["says"],
            "paper": _reported_value(check),
            "ours (mean ± std, n)": _summary(values),
            "data": _data(records[check["record"]]),
            "criterion": _criterion(check),
            "met": "yes" if _met(check, values) else "**no**",
        }
        for claim in claims
        for check in claim["checks"]
        if (values := _values(check, records))
    ])  # fmt: skip


def comparison(
    claims: Sequence[Mapping[str, Any]], first: Mapping[str, Mapping[str, Any]], second: Mapping[str, Mapping[str, Any]]
) -> tuple[str, list[str]]:
    """The devices and the checks of runs that were made twice with the same parameters and data; and the claims that turned.

    Whether a claim turned is asked of these runs alone. The text is empty where there are none.
    """
    twice = {name for name in first.keys() & second.keys() if _is_repetition(first[name], second[name])}
    a, b = ({name: records[name] for name in twice} for records in (first, second))
    rows = [
        {
            "": claim["id"],
            "measure": check["says"],
            "first": _summary(values),
            "second": _summary(again),
            "criterion": _criterion(check),
            "met": " / ".join("yes" if _met(check, v) else "**no**" for v in (values, again)),
        }
        for claim in claims
        for check in claim["checks"]
        if (values := _values(check, a)) and (again := _values(check, b))
    ]
    sides = [", ".join(sorted({record["provenance"]["device"] for record in side.values()})) for side in (a, b)]
    turned = [claim["id"] for claim in claims if verdict(claim, a) != verdict(claim, b)]
    words = f"Verdicts that differ, by these runs alone: {', '.join(turned) or 'none'}."
    text = f"First: {sides[0]}. Second: {sides[1]}. {words}\n\n{markdown_table(rows)}" if rows else ""
    return text, turned


def runs_page(records: Mapping[str, Mapping[str, Any]]) -> str:
    """One Markdown table over all runs: parameters, code, machine and time."""
    rows = []
    for name, record in records.items():
        origin = record["provenance"]
        rows.append({
            "run": name,
            "profile": origin["profile"],
            "parameters": ", ".join(f"{k} = {v}" for k, v in origin["parameters"].items()),
            "data": ", ".join(f"{k} ({v})" for k, v in origin["data"].items()),
            "commit": origin["commit"],
            "device": origin["device"],
            "torch": origin["versions"]["torch"],
            "seconds": round(sum(origin["seconds"].values())),
        })  # fmt: skip
    return markdown_table(rows) + "\n"


def _chapters(claim: Mapping[str, Any], records: Mapping[str, Mapping[str, Any]]) -> str:
    """Links to the pages of the runs that decide a claim, relative to the folder of the book."""
    runs = [run for run in dict.fromkeys(check["record"] for check in claim["checks"]) if run in records]
    return ", ".join(f"[{run}](published/{run}.ipynb)" for run in runs) or MISSING


def _values(check: Mapping[str, Any], records: Mapping[str, Mapping[str, Any]]) -> list[float] | None:
    record = records.get(check["record"])
    if record is None:
        return None
    if check["measure"] not in record["measures"]:
        raise ValueError(f"claims.yml asks the record {check['record']!r} for an unknown measure {check['measure']!r}")
    values: list[float] = record["measures"][check["measure"]]
    return values


def _met(check: Mapping[str, Any], values: Sequence[float]) -> bool:
    mean = statistics.fmean(values)
    return mean >= check["at_least"] if "at_least" in check else mean <= check["at_most"]


def _criterion(check: Mapping[str, Any]) -> str:
    return f"≥ {check['at_least']:g}" if "at_least" in check else f"≤ {check['at_most']:g}"


def _summary(values: Sequence[float]) -> str:
    spread = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.3f}{spread}, n = {len(values)}"


def _reported_value(check: Mapping[str, Any]) -> str:
    """The paper's value of a check, from the panel (or panels) that it names."""
    panels = [panel.strip() for panel in str(check.get("panel", "")).split(",") if panel.strip()]
    name = check.get("reported", check["measure"])
    values = [(panel, reported_measures(panel)[name][0]) for panel in panels]
    return ", ".join(f"{value:.3g} ({panel if panel[0].isalpha() else f'Fig. {panel}'})" for panel, value in values) or MISSING


def _is_repetition(record: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two records are two runs, not copies of one, with the same parameters and data."""
    a, b = record["provenance"], other["provenance"]
    return a != b and all(a[what] == b[what] for what in ("parameters", "data"))


def _data(record: Mapping[str, Any]) -> str:
    return ", ".join(record["provenance"]["data"])
