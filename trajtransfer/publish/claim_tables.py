"""Verdicts as a reader sees them: the claims page, the tables of checks, the table of runs."""

from __future__ import annotations

import math
from collections.abc import Sequence

from trajtransfer.paper.claims import (
    Evidence,
    Finding,
    Outcome,
    Records,
    Verdict,
    reported_values,
)
from trajtransfer.paper.presentation import MISSING, markdown_table
from trajtransfer.paper.storage.plans import Check, Gate
from trajtransfer.paper.units import REST

WORDS = {
    Outcome.HOLDS: "holds",
    Outcome.FAILS: "**fails**",
    Outcome.UNDECIDED: "undecided",
    Outcome.OPEN: "not run",
}
COUNTED = {  # of one claim, and of several
    Outcome.HOLDS: ("holds", "hold"),
    Outcome.FAILS: ("fails", "fail"),
    Outcome.UNDECIDED: ("is undecided", "are undecided"),
    Outcome.OPEN: ("was not run", "were not run"),
}


def claims_page(verdicts: Sequence[Verdict], records: Records) -> str:
    """Three Markdown tables: a verdict per claim, the checks behind them, and the gates."""
    rows = [
        {
            "": anchored(verdict.claim.id),
            "claim": verdict.claim.claim,
            "paper": verdict.claim.where,
            "verdict": words_of(verdict),
            "chapters": _chapters(verdict, records),
        }
        for verdict in verdicts
    ]
    parts = [
        markdown_table(rows),
        "## The checks behind the verdicts",
        checks_table(verdicts, records),
        "## What the checks do not decide",
        undecided_table(verdicts) or "They decide everything.",
        "## Where the verdicts would turn",
        turning_table(verdicts) or "No primary check has an interval.",
    ]
    return "\n\n".join(parts) + "\n"


def anchored(claim: str) -> str:
    """The id of a claim as the place that `link` leads to."""
    return f'<span id="{claim.lower()}">{claim}</span>'


def link(claim: str, up: str, words: str) -> str:
    """A link to the row of a claim; `up` leads from the page to the folder of the book."""
    return f'<a href="{up}claims.html#{claim.lower()}">{words}</a>'


def summary(verdicts: Sequence[Verdict]) -> str:
    """One sentence: how many claims hold, fail and stay open, and which."""
    parts = []
    for outcome, words in COUNTED.items():
        ids = [verdict.claim.id for verdict in verdicts if verdict.outcome is outcome]
        if ids:
            parts.append(f"**{len(ids)} {words[len(ids) > 1]}** ({', '.join(ids)})")
    return f"Of the paper's {len(verdicts)} claims, " + ", ".join(parts) + ".\n"


def checks_table(verdicts: Sequence[Verdict], records: Records) -> str:
    """The checks that were run: the paper's value, ours with its interval, and what it decides."""
    rows = [
        {
            "": verdict.claim.id + ("" if finding.check.primary else " *(beside)*"),
            "measure": finding.check.says,
            "paper": reported_text(finding.check),
            "ours (mean, 95 % interval, n)": values_text(finding.evidence),
            "data": ", ".join(records[finding.check.record].provenance.data),
            "criterion": criterion(finding.check),
            "outcome": WORDS[finding.outcome],
        }
        for verdict in verdicts
        for finding in verdict.findings
    ]
    return markdown_table(rows)


def undecided_table(verdicts: Sequence[Verdict]) -> str:
    """Why checks are undecided, and what would decide them; empty where there are none."""
    rows = [
        {
            "": verdict.claim.id,
            "measure": finding.check.says,
            "why": reason(finding),
        }
        for verdict in verdicts
        for finding in verdict.findings
        if finding.outcome is Outcome.UNDECIDED
    ]
    return markdown_table(rows) if rows else ""


def turning_table(verdicts: Sequence[Verdict]) -> str:
    """For which bounds each primary check would hold, and for which it would fail.

    Between them it is undecided. Empty where no primary check has an interval.
    """
    rows = []
    for verdict in verdicts:
        for finding in verdict.findings:
            low, high = finding.evidence.interval
            if finding.check.primary and not finding.missed and math.isfinite(low):
                rising = finding.check.at_least is not None
                turns = {
                    "holds with a bound": f"up to {low:.3f}" if rising else f"from {high:.3f}",
                    "fails with a bound": f"above {high:.3f}" if rising else f"below {low:.3f}",
                }
                about = {"": verdict.claim.id, "measure": finding.check.says}
                rows.append(about | {"criterion": criterion(finding.check)} | turns)
    return markdown_table(rows) if rows else ""


def reason(finding: Finding) -> str:
    """Why a check is undecided: the gates that its run missed, or an interval around the bound."""
    if finding.missed:
        return "the run cannot show it: " + "; ".join(map(_why_missed, finding.missed))
    if not all(map(math.isfinite, finding.evidence.values)):
        return "not all values are finite"
    if len(finding.evidence.values) < 2:
        return f"one value has no interval ({finding.evidence.counts})"
    return f"the bound is within the interval; {_what_would_decide(finding.evidence)}"


def _why_missed(gate: Evidence) -> str:
    """What a gate asks, what came out, and what would tell whether it is met."""
    words = f"{gate.gate.says} is {values_text(gate)}, and has to be {criterion(gate.gate)}"
    undecided = gate.outcome is Outcome.UNDECIDED and len(gate.values) > 1
    return f"{words} ({_what_would_decide(gate)})" if undecided else words


def _what_would_decide(evidence: Evidence) -> str:
    """How many values of this spread would move the bound out of the interval, and on what."""
    if needed := evidence.needed:
        return f"with this spread, {needed} {evidence.counts} would decide"
    if needed := evidence._replace(error=0.0).needed:
        words = f"with this spread, {needed} {evidence.counts} would decide"
        return f"{words} if they were measured on many more images, and on these no number would"
    return "no number of values would move it out"


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
        "first": values_text(finding.evidence),
        "second": values_text(again.evidence),
        "criterion": criterion(finding.check),
        "outcome": f"{WORDS[finding.outcome]} / {WORDS[again.outcome]}",
    }


def runs_page(records: Records, lanes: int) -> str:
    """One Markdown table over all runs: parameters, code, machine and time, and their sum.

    So many `lanes` are made side by side.
    """
    rows = []
    whole = 0.0
    for name, record in records.items():
        origin = record.provenance
        parameters = ", ".join(f"{key} = {value}" for key, value in origin.parameters.items())
        seconds = sum(origin.seconds.values())
        whole += seconds
        rows.append(
            {
                "run": name,
                "profile": origin.profile,
                "parameters": parameters,
                "data": ", ".join(f"{key} ({value})" for key, value in origin.data.items()),
                "commit": origin.commit,
                "device": origin.device,
                "torch": origin.versions["torch"],
                "seconds": round(seconds),
                "where kept": round(origin.seconds.get(REST, 0)),
            }
        )
    words = f"One after another: {whole / 3600:.1f} hours"
    words += f"; {lanes} are made side by side." if lanes > 1 else "."
    return f"{markdown_table(rows)}\n\n{words}\n"


def words_of(verdict: Verdict) -> str:
    """A verdict in words, with the reason where it is undecided."""
    words = WORDS[verdict.outcome]
    if verdict.primary and verdict.outcome is Outcome.UNDECIDED:
        return f"{words}: {reason(verdict.primary)}"
    return words


def criterion(gate: Gate) -> str:
    """A bound with its sign."""
    return f"{'≤' if gate.at_least is None else '≥'} {gate.bound:g}"


def values_text(evidence: Evidence) -> str:
    """``mean [low, high], n = … pairs`` with three decimals; says so where one is not finite."""
    values = evidence.values
    count = f"n = {len(values)} {evidence.counts}"
    if not all(map(math.isfinite, values)):
        return f"not finite, {count}"
    low, high = evidence.interval
    interval = f" [{low:.3f}, {high:.3f}]" if len(values) > 1 else ""
    return f"{evidence.mean:.3f}{interval}, {count}"


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
