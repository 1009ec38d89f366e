"""Timing in turn, the rows of results, and their table."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

Row = dict[str, Any]
COLUMNS = ("benchmark", "case", "what", "seconds (least–most)", "times as fast", "notes")
SHOWN = ("benchmark", "case", "what", "seconds", "least", "most", "repeats", "reference", "ratio")


def in_turn(candidates: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """Seconds of each candidate, all called once per repeat: a busy machine disturbs all alike."""
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(repeats):
        for name, run in candidates.items():
            clock = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - clock)
    return seconds


def rows(
    benchmark: str,
    case: str,
    seconds: Mapping[str, Sequence[float]],
    reference: str,
    **facts: object,
) -> list[Row]:
    """One row per candidate.

    `ratio` is the median of the reference over that of the candidate: how many times as fast.
    """
    base = statistics.median(seconds[reference])
    found = []
    for name, taken in seconds.items():
        median = statistics.median(taken)
        row = {
            "benchmark": benchmark,
            "case": case,
            "what": name,
            "seconds": median,
            "least": min(taken),
            "most": max(taken),
            "repeats": len(taken),
            "reference": reference,
            "ratio": base / median,
        }
        found.append(row | facts)
    return found


def exponent(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """The slope of log seconds against log size by least squares."""
    x = torch.tensor(sizes, dtype=torch.float64).log()
    y = torch.tensor(seconds, dtype=torch.float64).log()
    x = x - x.mean()
    y = y - y.mean()
    return float((x * y).sum() / x.square().sum())


def machine() -> Row:
    """What the numbers were measured on."""
    return {
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def write(path: Path, results: Sequence[Row]) -> None:
    """``path.json`` with all rows and ``path.md`` with a table of them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    everything = {"machine": machine(), "rows": results}
    path.with_suffix(".json").write_text(json.dumps(everything, indent=1, default=float) + "\n")
    path.with_suffix(".md").write_text(table(results) + "\n")


def table(results: Sequence[Row]) -> str:
    """Rows as a Markdown table; what only some rows have goes into the last column."""
    lines = [_line(COLUMNS), "|" + "---|" * len(COLUMNS)]
    for row in results:
        about = (row["benchmark"], row["case"], row["what"])
        lines.append(_line((*about, _seconds(row), _ratio(row), _notes(row))))
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _seconds(row: Row) -> str:
    if "seconds" not in row:
        return ""
    return f"{row['seconds']:.3g} ({row['least']:.3g}–{row['most']:.3g})"


def _ratio(row: Row) -> str:
    return f"{row['ratio']:.3g} × {row['reference']}" if "ratio" in row else ""


def _notes(row: Row) -> str:
    notes = []
    for name, value in row.items():
        if name not in SHOWN:
            notes.append(f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}")
    return ", ".join(notes)
