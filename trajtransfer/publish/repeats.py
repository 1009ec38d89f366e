"""Runs that were made again on another number of threads, beside the published ones."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean, median, stdev
from typing import Any

from trajtransfer.paper.claims import Records
from trajtransfer.paper.presentation import MISSING, markdown_table
from trajtransfer.paper.storage import results
from trajtransfer.paper.storage.outcomes import RecordFile
from trajtransfer.paper.storage.reading import read_claims
from trajtransfer.publish.comparison import compare
from trajtransfer.publish.tolerances import kind_of_measure

REPEATED = "book/repeated"  # the results of the profile `repeat`


def repeated(root: Path, records: Records) -> str:
    """How far the numbers of these records move when nothing but the threads changes.

    Says where to look in the book of results that were not made again.
    """
    _, again = results.read(root / REPEATED)
    first = {name: record for name, record in records.items() if name in again}
    found = compare(read_claims(root), first, again)
    if not found.compared:
        return "None of the runs of this copy were made again; those of the published book were.\n"
    rows = [{"run": name} | shifts(first[name], again[name]) for name in found.compared]
    return f"{markdown_table(rows)}\n\n{found.text}\n"


def shifts(first: RecordFile, again: RecordFile) -> dict[str, Any]:
    """How far the means of measures moved between two records of one run.

    In standard deviations over what a measure counts (pairs, most often), over all measures that
    have one; and in points, over accuracies and their differences.
    """
    shares = []
    points = []
    for name, values in first.measures.items():
        kind = kind_of_measure(name)
        if kind == "seconds" or len(values) < 2 or not stdev(values):
            continue
        moved = abs(fmean(values) - fmean(again.measures[name]))
        shares.append(moved / stdev(values))
        if kind == "accuracy":
            points.append(100 * moved)
    return {
        "measures": len(shares),
        "moved, in deviations: median": median(shares),
        "largest": max(shares),
        "accuracies moved by at most (points)": max(points, default=MISSING),
    }
