"""Claims: verdicts from measures and criteria that were fixed before the run, and the pages that show them.

The same functions turn the paper's reported curves and our own into measures, so both columns of the claims
page mean the same thing.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence

from trajtransfer.paper.measures import reported_measures
from trajtransfer.paper.record import MISSING, markdown_table
from trajtransfer.paper.storage.documents import Check, Claim, RecordFile

Records = Mapping[str, RecordFile]


def verdict(claim: Claim, records: Records) -> str:
    """``holds`` when the mean of every check that was run meets its criterion, ``fails`` when one does not.

    Says how many checks were run when some were not, and ``not decided here`` when none was.
    """
    found = [(check, values) for check in claim.checks if (values := values_of(check, records))]
    if not found:
        return "not decided here"
    partly = "" if len(found) == len(claim.checks) else f" ({len(found)} of {len(claim.checks)} checks run)"
    return ("holds" if all(met(check, values) for check, values in found) else "**fails**") + partly


def claims_page(claims: Sequence[Claim], records: Records) -> str:
    """Two Markdown tables: a verdict per claim, and the checks behind them."""
    verdicts = [
        {
            "": claim.id,
            "claim": claim.claim,
            "paper": claim.where,
            "verdict": verdict(claim, records),
            "chapters": _chapters(claim, records),
        }
        for claim in claims
    ]
    table = markdown_table(verdicts)
    return f"{table}\n\n## The checks behind the verdicts\n\n{checks_table(claims, records)}\n"


def summary(claims: Sequence[Claim], records: Records) -> str:
    """One sentence: how many claims hold, fail and stay open, and which."""
    sorts: dict[str, list[str]] = {"hold": [], "fail": [], "are not decided": []}
    for claim in claims:
        words = verdict(claim, records)
        if words.startswith("not"):
            sorts["are not decided"].append(claim.id)
        else:
            sorts["hold" if words.startswith("holds") else "fail"].append(claim.id)
    parts = [f"**{len(ids)} {what}** ({', '.join(ids)})" for what, ids in sorts.items() if ids]
    return f"Of the paper's {len(claims)} claims, " + ", ".join(parts) + ".\n"


def checks_table(claims: Sequence[Claim], records: Records) -> str:
    """The checks of claims that were run: the paper's value, ours, the criterion, and whether it is met."""
    return markdown_table([
        {
            "": claim.id,
            "measure": check.says,
            "paper": reported_text(check),
            "ours (mean ± std, n)": values_text(values),
            "data": ", ".join(records[check.record].provenance.data),
            "criterion": criterion(check),
            "met": yes_or_no(check, values),
        }
        for claim in claims
        for check in claim.checks
        if (values := values_of(check, records))
    ])  # fmt: skip


def repeated_checks_table(claims: Sequence[Claim], first: Records, second: Records) -> str:
    """The checks that two runs were made for, side by side; empty where there are none."""
    rows = [
        {
            "": claim.id,
            "measure": check.says,
            "first": values_text(values),
            "second": values_text(again),
            "criterion": criterion(check),
            "met": f"{yes_or_no(check, values)} / {yes_or_no(check, again)}",
        }
        for claim in claims
        for check in claim.checks
        if (values := values_of(check, first)) and (again := values_of(check, second))
    ]
    return markdown_table(rows) if rows else ""


def runs_page(records: Records) -> str:
    """One Markdown table over all runs: parameters, code, machine and time."""
    rows = []
    for name, record in records.items():
        origin = record.provenance
        rows.append({
            "run": name,
            "profile": origin.profile,
            "parameters": ", ".join(f"{k} = {v}" for k, v in origin.parameters.items()),
            "data": ", ".join(f"{k} ({v})" for k, v in origin.data.items()),
            "commit": origin.commit,
            "device": origin.device,
            "torch": origin.versions["torch"],
            "seconds": round(sum(origin.seconds.values())),
        })  # fmt: skip
    return markdown_table(rows) + "\n"


def values_of(check: Check, records: Records) -> list[float]:
    """The values that a check is about: none where its run was not made, or could not tell.

    Raises ``ValueError`` for a record without the measure.
    """
    record = records.get(check.record)
    if record is None:
        return []
    if check.measure not in record.measures:
        raise ValueError(
            f"claims.yml asks the record {check.record!r} for an unknown measure {check.measure!r}; "
            "correct the name there, or run the record again"
        )
    return record.measures[check.measure]


def met(check: Check, values: Sequence[float]) -> bool:
    """Whether the mean of the values is within the bound: never where there is none, or one is NaN or infinite."""
    if not values or not all(map(math.isfinite, values)):
        return False
    mean = statistics.fmean(values)
    if check.at_least is not None:
        return mean >= check.at_least
    return check.at_most is not None and mean <= check.at_most


def yes_or_no(check: Check, values: Sequence[float]) -> str:
    """`met` in a word, a stressed one where it is not."""
    return "yes" if met(check, values) else "**no**"


def criterion(check: Check) -> str:
    """The bound of a check with its sign."""
    return f"≥ {check.at_least:g}" if check.at_least is not None else f"≤ {check.at_most:g}"


def values_text(values: Sequence[float]) -> str:
    """``mean ± std, n = …`` with three decimals; says so where a value is NaN or infinite."""
    if not all(map(math.isfinite, values)):
        return f"not finite, n = {len(values)}"
    spread = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.3f}{spread}, n = {len(values)}"


def reported_text(check: Check) -> str:
    """The paper's value of a check, from the panel (or panels) that it names; a dash for none."""
    name = check.reported or check.measure
    texts = []
    for panel in (part.strip() for part in check.panel.split(",") if part.strip()):
        where = panel if panel[0].isalpha() else f"Fig. {panel}"
        texts.append(f"{reported_measures(panel)[name][0]:.3g} ({where})")
    return ", ".join(texts) or MISSING


def _chapters(claim: Claim, records: Records) -> str:
    """Links to the pages of the runs that decide a claim, relative to the folder of the book."""
    runs = [run for run in dict.fromkeys(check.record for check in claim.checks) if run in records]
    return ", ".join(f"[{run}](published/{run}.ipynb)" for run in runs) or MISSING
