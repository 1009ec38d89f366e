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


def in_turn(candidates: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """Seconds of each candidate, all called once per repeat, so that a busy machine disturbs all alike."""
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(repeats):
        for name, run in candidates.items():
            clock = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - clock)
    return seconds


def rows(benchmark: str, case: str, seconds: Mapping[str, Sequence[float]], reference: str, **facts: object) -> list[Row]:
    """One row per candidate; `ratio` is the median of the reference over that of the candidate: how many times as fast."""
    base = statistics.median(seconds[reference])
    return [
        {
            "benchmark": benchmark, "case": case, "what": name, "seconds": statistics.median(s), "least": min(s), "most": max(s),
            "repeats": len(s), "reference": reference, "ratio": base / statistics.median(s), **facts,
        }
        for name, s in seconds.items()
    ]  # fmt: skip


def exponent(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """The slope of log seconds against log size by least squares."""
    x, y = (torch.tensor(v, dtype=torch.float64).log() for v in (sizes, seconds))
    return float(((x - x.mean()) * (y - y.mean())).sum() / (x - x.mean()).square().sum())


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
    path.with_suffix(".json").write_text(json.dumps({"machine": machine(), "rows": results}, indent=1, default=float) + "\n")
    path.with_suffix(".md").write_text(table(results) + "\n")


def table(results: Sequence[Row]) -> str:
    """Rows as a Markdown table; what only some rows have goes into the last column."""
    known = ("benchmark", "case", "what", "seconds", "least", "most", "repeats", "reference", "ratio")
    lines = ["| benchmark | case | what | seconds (least–most) | times as fast | notes |", "|---|---|---|---|---|---|"]
    for row in results:
        seconds = f"{row['seconds']:.3g} ({row['least']:.3g}–{row['most']:.3g})" if "seconds" in row else ""
        ratio = f"{row['ratio']:.3g} × {row['reference']}" if "ratio" in row else ""
        notes = ", ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items() if k not in known)
        lines.append(f"| {row['benchmark']} | {row['case']} | {row['what']} | {seconds} | {ratio} | {notes} |")
    return "\n".join(lines)
