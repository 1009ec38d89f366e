"""Claims: verdicts from measures and criteria that were fixed before the run."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import NamedTuple

from trajtransfer.paper.measures.reported import of_panel
from trajtransfer.paper.storage.outcomes import RecordFile
from trajtransfer.paper.storage.plans import Check, Claim

Records = Mapping[str, RecordFile]


class Outcome(Enum):
    """What is known of a claim."""

    HOLDS = "holds"
    FAILS = "fails"
    OPEN = "not decided here"


class Finding(NamedTuple):
    """A check that was run: the `values` of its measure, which are one per what `counts` says."""

    check: Check
    values: tuple[float, ...]
    counts: str

    @property
    def met(self) -> bool:
        """Whether the mean of the values is within the bound: never where one is not finite."""
        if not all(map(math.isfinite, self.values)):
            return False
        mean = statistics.fmean(self.values)
        if self.check.at_least is not None:
            return mean >= self.check.at_least
        return self.check.at_most is not None and mean <= self.check.at_most


class Verdict(NamedTuple):
    """A claim with those of its checks that were run."""

    claim: Claim
    findings: tuple[Finding, ...]

    @property
    def outcome(self) -> Outcome:
        """It holds when every check that was run is met, and fails when one is not."""
        if not self.findings:
            return Outcome.OPEN
        return Outcome.HOLDS if all(finding.met for finding in self.findings) else Outcome.FAILS

    @property
    def partial(self) -> bool:
        """Whether some of its checks were run, and some were not."""
        return 0 < len(self.findings) < len(self.claim.checks)


def judge(claim: Claim, records: Records) -> Verdict:
    """The verdict on a claim by some records.

    Raises ``ValueError`` for a record that lacks the measure of a check.
    """
    found = (_finding(check, records) for check in claim.checks)
    return Verdict(claim, tuple(finding for finding in found if finding.values))


def judged(claims: Sequence[Claim], records: Records) -> list[Verdict]:
    """The verdicts on all claims."""
    return [judge(claim, records) for claim in claims]


def reported_values(check: Check) -> list[tuple[str, float]]:
    """The paper's value of a check for each panel that it names."""
    panels = [part.strip() for part in check.panel.split(",") if part.strip()]
    name = check.reported or check.measure
    return [(panel, of_panel(panel)[name].values[0]) for panel in panels]


def _finding(check: Check, records: Records) -> Finding:
    """A check with its values: none where its run was not made, or could not tell."""
    record = records.get(check.record)
    if record is None:
        return Finding(check, (), "")
    if check.measure not in record.measures:
        raise ValueError(
            f"claims.yml asks the record {check.record!r} for an unknown measure "
            f"{check.measure!r}; correct the name there, or run the record again"
        )
    return Finding(check, tuple(record.measures[check.measure]), record.counts[check.measure])
