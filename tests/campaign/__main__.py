"""Run all parts of the trial at their full size."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

# Modules of tests import `conftest`, as pytest lets them.
sys.path.insert(0, str(Path(__file__).parents[1]))

from tests import campaign
from tests.campaign.trial import trial
from trajtransfer.paper.presentation import markdown_table


def main() -> int:
    """Print a table of all parts; 1 when anything was lost or wrong."""
    parser = argparse.ArgumentParser(description=campaign.__doc__)
    parser.add_argument("--seed", type=int, default=0, help="other moments, other bits")
    chance = random.Random(parser.parse_args().seed)
    clock = time.perf_counter()
    with tempfile.TemporaryDirectory() as work:
        tallies = trial(Path(work), chance)
    table = markdown_table([tally.row() for tally in tallies])
    print(f"{table}\n\n{time.perf_counter() - clock:.0f} s")
    wrong = [f"{tally.part}: {what}" for tally in tallies for what in tally.wrong]
    print("\n".join(wrong))
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
