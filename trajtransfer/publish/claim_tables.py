"""Verdicts as a reader sees them: the claims page, the tables of checks, the table of runs."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from trajtransfer.paper.claims import Finding, Outcome, Records, Verdict, reported_values
from trajtransfer.paper.presentation import MISSING, markdown_table
from trajtransfer.paper.storage.plans import Check

WORDS = {Outcome.HOLDS: "holds", Outcome.FAILS: "**fails**", Outcome.OPEN: "not decided here"}
COUNTED = {Outcome.HOLDS: "hold", Outcome.FAILS: "fail", Outcome.OPEN: "are not decided"}


def claims_page(verdicts: Sequence[Verdict], records: Records) -> str:
    """Two Markdown tables: a verdict per claim, and the checks behind them."""
    rows = [
        {
            "": verdict.claim.id,
            "claim": verdict.claim.claim,
            "paper": verdict.claim.where,
            "verdict": words_of(verdict),
            "chapters": _chapters(verdict, records),
        }
        for verdict in verdicts
    ]
    table = checks_table(verdicts, records)
    return f"{markdown_table(rows)}\n\n## The checks behind the verdicts\n\n{table}\n"


def summary(verdicts: Sequence[Verdict]) -> str:
    """One sentence: how many claims hold, fail and stay open, and which."""
    parts = []
    for outcome, words in COUNTED.items():
        ids = [verdict.claim.id for verdict in verdicts if verdict.outcome is outcome]
        if ids:
            parts.append(f"**{len(ids)} {words}** ({', '.join(ids)})")
    return f"Of the paper's {len(verdicts)} claims, " + ", ".join(parts) + ".\n"


def checks_table(verdicts: Sequence[Verdict], records: Records) -> str:
    """The checks that were run: the paper's value, ours, the criterion, and whether it is met."""
    rows = [
        {
            "": verdict.claim.id,
            "measure": finding.check.says,
            "paper": reported_text(finding.check),
            "ours (mean ± std, n)": values_text(finding),
            "data": ", ".join(records[finding.check.record].provenance.data),
            "criterion": criterion(finding.check),
            "met": yes_or_no(finding),
        }
        for verdict in verdicts
        for finding in verdict.findings
    ]
    return markdown_table(rows)


def repeated_checks_table(first: Sequence[Verdict], second: Sequence[Verdict]) -> str:
    """The checks that two runs were made for, side by side; empty where there are none."""
    rows = []
    for one, other in zip(first, second, strict=True):
        again = {finding.check: finding for finding in other.findings}
        for finding in one.findings:
            if finding.check in again:
                rows.append(_repeated(one.claim.id, finding, again[finding.check]))
    return markdown_table(rows) if rows else ""


def _repeated(claim: str, finding: Finding, again: Finding) -> dict[str, str]:
    return {
        "": claim,
        "measure": finding.check.says,
        "first": values_text(finding),
        "second": values_text(again),
        "criterion": criterion(finding.check),
        "met": f"{yes_or_no(finding)} / {yes_or_no(again)}",
    }


def runs_page(records: Records) -> str:
    """One Markdown table over all runs: parameters, code, machine and time."""
    rows = []
    for name, record in records.items():
        origin = record.provenance
        parameters = ", ".join(f"{key} = {value}" for key, value in origin.parameters.items())
        rows.append(
            {
                "run": name,
                "profile": origin.profile,
                "parameters": parameters,
                "data": ", ".join(f"{key} ({value})" for key, value in origin.data.items()),
                "commit": origin.commit,
                "device": origin.device,
                "torch": origin.versions["torch"],
                "seconds": round(sum(origin.seconds.values())),
            }
        )
    return markdown_table(rows) + "\n"


def words_of(verdict: Verdict) -> str:
    """A verdict in words; says how many checks were run when some were not."""
    words = WORDS[verdict.outcome]
    if not verdict.partial:
        return words
    return f"{words} ({len(verdict.findings)} of {len(verdict.claim.checks)} checks run)"


def yes_or_no(finding: Finding) -> str:
    """Whether a check is met, a stressed word where it is not."""
    return "yes" if finding.met else "**no**"


def criterion(check: Check) -> str:
    """The bound of a check with its sign."""
    if check.at_least is not None:
        return f"≥ {check.at_least:g}"
    return f"≤ {check.at_most:g}"


def values_text(finding: Finding) -> str:
    """``mean ± std, n = … pairs`` with three decimals; says so where a value is not finite."""
    values = finding.values
    count = f"n = {len(values)} {finding.counts}"
    if not all(map(math.isfinite, values)):
        return f"not finite, {count}"
    spread = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.3f}{spread}, {count}"


def reported_text(check: Check) -> str:
    """The paper's value of a check, from the panel (or panels) that it names; a dash for none."""
    texts = []
    for panel, value in reported_values(check):
        where = panel if panel[0].isalpha() else f"Fig. {panel}"
        texts.append(f"{value:.3g} ({where})")
    return ", ".join(texts) or MISSING


def _chapters(verdict: Verdict, records: Records) -> str:
    """Links to the pages of the runs that decide a claim, relative to the folder of the book."""
    names = dict.fromkeys(check.record for check in verdict.claim.checks)
    links = [f"[{name}](published/{name}.ipynb)" for name in names if name in records]
    return ", ".join(links) or MISSING
