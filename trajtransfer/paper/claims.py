"""Claims: verdicts by intervals, from measures against criteria that were fixed before the run."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import NamedTuple

from scipy.special import stdtrit

from trajtransfer.paper.measures.reported import of_panel
from trajtransfer.paper.storage.outcomes import RecordFile
from trajtransfer.paper.storage.plans import Check, Claim, Claims, Gate

Records = Mapping[str, RecordFile]
CONFIDENCE = 0.95
MOST_PAIRS = 1000  # more would be no plan


class Outcome(Enum):
    """What is known of a claim, or of a check."""

    HOLDS = "holds"
    FAILS = "fails"
    UNDECIDED = "undecided"
    OPEN = "not run"


class Evidence(NamedTuple):
    """The `values` of a measure against the bound of a `gate` or a check.

    They are one per what `counts` says; `error` is the standard error that all of them share,
    because the images that they are measured on are finitely many.
    """

    gate: Gate
    values: tuple[float, ...]
    counts: str
    error: float = 0.0

    @property
    def mean(self) -> float:
        """The mean of the values."""
        return statistics.fmean(self.values)

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the mean by Student's t, the shared error added to the spread.

        Everything where there is one value alone, or one that is not finite.
        """
        if len(self.values) < 2 or not all(map(math.isfinite, self.values)):
            return -math.inf, math.inf
        half = _half_width(len(self.values), statistics.stdev(self.values), self.error)
        return self.mean - half, self.mean + half

    @property
    def outcome(self) -> Outcome:
        """Holds or fails where the whole interval does; undecided where the bound is within."""
        if not self.values:
            return Outcome.OPEN
        low, high = self.interval
        bound = self.gate.bound
        above = self.gate.at_least is not None
        if low >= bound if above else high <= bound:
            return Outcome.HOLDS
        if high < bound if above else low > bound:
            return Outcome.FAILS
        return Outcome.UNDECIDED

    @property
    def needed(self) -> int | None:
        """How many values of this spread would decide it; None where no affordable number does."""
        if len(self.values) < 2 or not all(map(math.isfinite, self.values)):
            return None
        spread = statistics.stdev(self.values)
        apart = abs(self.mean - self.gate.bound)
        counts = range(2, MOST_PAIRS + 1)
        return next((n for n in counts if _half_width(n, spread, self.error) < apart), None)


class Finding(NamedTuple):
    """A check that was run, and the gates that its run missed."""

    check: Check
    evidence: Evidence
    missed: tuple[Evidence, ...] = ()

    @property
    def outcome(self) -> Outcome:
        """That of its evidence; a run that misses a gate decides nothing."""
        if self.missed and self.evidence.values:
            return Outcome.UNDECIDED
        return self.evidence.outcome


class Verdict(NamedTuple):
    """A claim with those of its checks that were run."""

    claim: Claim
    findings: tuple[Finding, ...]

    @property
    def primary(self) -> Finding | None:
        """The check that decides the claim; None where it was not run."""
        return next((finding for finding in self.findings if finding.check.primary), None)

    @property
    def outcome(self) -> Outcome:
        """That of the primary check."""
        return self.primary.outcome if self.primary else Outcome.OPEN


def judge(claim: Claim, gates: Sequence[Gate], records: Records) -> Verdict:
    """The verdict on a claim by some records.

    Raises ``ValueError`` for a record that lacks the measure of a check or of a gate.
    """
    found = (_finding(check, gates, records) for check in claim.checks)
    return Verdict(claim, tuple(finding for finding in found if finding.evidence.values))


def judged(claims: Claims, records: Records) -> list[Verdict]:
    """The verdicts on all claims."""
    return [judge(claim, claims.gates, records) for claim in claims.claims]


def reported_values(check: Check) -> list[tuple[str, float]]:
    """The paper's value of a check for each panel that it names."""
    panels = [part.strip() for part in check.panel.split(",") if part.strip()]
    name = check.reported or check.measure
    return [(panel, of_panel(panel)[name].values[0]) for panel in panels]


def _finding(check: Check, gates: Sequence[Gate], records: Records) -> Finding:
    """A check with its evidence, which is empty where its run was not made or could not tell."""
    tried = [_evidence(gate, records) for gate in gates if gate.record == check.record]
    missed = (one for one in tried if one.outcome is not Outcome.HOLDS)
    return Finding(check, _evidence(check, records), tuple(missed))


def _evidence(gate: Gate, records: Records) -> Evidence:
    record = records.get(gate.record)
    if record is None:
        return Evidence(gate, (), "")
    name = gate.measure
    if name not in record.measures:
        raise ValueError(
            f"claims.yml asks the record {gate.record!r} for an unknown measure "
            f"{name!r}; correct the name there, or run the record again"
        )
    return Evidence(gate, tuple(record.measures[name]), record.counts[name], record.errors[name])


def _half_width(count: int, spread: float, error: float) -> float:
    """Half of a t-interval of a mean of so many values."""
    quantile = float(stdtrit(count - 1, (1 + CONFIDENCE) / 2))
    return quantile * math.hypot(spread / math.sqrt(count), error)
