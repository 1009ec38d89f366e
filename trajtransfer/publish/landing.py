"""What the first page says of the results, from records: accuracies, verdicts in words, costs."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from trajtransfer.algorithms import METHODS
from trajtransfer.paper.claims import Outcome, Records, Verdict
from trajtransfer.paper.presentation import markdown_table, percent
from trajtransfer.paper.storage.plans import Run
from trajtransfer.publish.claim_tables import WORDS, link

SHOWN = ("naive", "gmt", "fgmt", "oracle")
ORDER = (Outcome.HOLDS, Outcome.FAILS, Outcome.UNDECIDED, Outcome.OPEN)


def accuracies(runs: Sequence[Run], records: Records) -> str:
    """A table of the test accuracies (%) of all transfers among some runs.

    They are those of the step that was chosen on the selection split, mean ± deviation over pairs.
    """
    rows = []
    for run in runs:
        if run.notebook == "transfer" and run.name in records:
            row = {"": (run.title or run.name).partition(" (")[0]}
            for method in SHOWN:
                row[METHODS[method].label] = percent(records[run.name].measures[f"{method}-test"])
            rows.append(row)
    return markdown_table(rows) + "\n"


def verdicts_in_words(verdicts: Sequence[Verdict]) -> str:
    """A table of what the paper says and what became of it, those that hold first."""
    rows = [
        {
            "the paper says": verdict.claim.claim,
            "here": link(verdict.claim.id, "", WORDS[verdict.outcome].strip("*")),
        }
        for outcome in ORDER
        for verdict in verdicts
        if verdict.outcome is outcome
    ]
    return markdown_table(rows) + "\n"


def costs(records: Records) -> str:
    """The range over all transfers of the share of training that a method costs."""
    parts = []
    count = 0
    for method in ("fgmt", "gmt"):
        found = [one.measures.get(f"{method}-cost") for one in records.values()]
        shares = [100 * statistics.fmean(values) for values in found if values]
        count = max(count, len(shares))
        if shares:
            label = METHODS[method].label
            parts.append(f"{min(shares):.1f} to {max(shares):.1f} % by {label}")
    if not parts:
        return "No transfer is among these results, so none has a cost.\n"
    return (
        "One transfer took, of the counted operations of the training that it stands in for, "
        f"{' and '.join(parts)}: the least and the most of {count} chapters on transfer, each a "
        "mean over its pairs.\n"
    )
