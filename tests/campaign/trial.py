"""All parts of the trial."""

from __future__ import annotations

import random
from pathlib import Path

from tests.campaign.flips import (
    flips_in_checkpoints,
    flips_in_data,
    flips_in_results,
    flips_in_units,
)
from tests.campaign.kills import killed_profiles, killed_trainings, killed_writers
from tests.campaign.refusals import bad_commands, bad_documents, bad_parameters, bad_values
from tests.campaign.tally import Tally


def trial(work: Path, chance: random.Random, share: float = 1.0) -> list[Tally]:
    """All parts, each of a `share` of its full size."""

    def times(full: int) -> int:
        return max(1, round(share * full))

    return [
        killed_writers(work / "writers", chance, times(24)),
        killed_trainings(work / "trainings", chance, times(14)),
        killed_profiles(work / "profiles", chance, times(6)),
        flips_in_checkpoints(work / "checkpoints", chance, times(240)),
        flips_in_units(work / "units", chance, times(240)),
        flips_in_results(work / "results", chance, times(240)),
        flips_in_data(work / "data", chance, times(60)),
        bad_values(work / "bad", share),
        bad_parameters(share),
        bad_documents(work / "documents"),
        bad_commands(work / "commands"),
    ]
