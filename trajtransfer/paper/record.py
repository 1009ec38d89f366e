"""Records: the numbers of an executed notebook with where they come from, and the numbers the paper reports."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import platform
import re
import statistics
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from trajtransfer.paper.storage.project import home
from trajtransfer.paper.storage.results import opened, write_text

Row = Mapping[str, Any]
MISSING = "–"
PACKAGE = Path(__file__).parents[1]
LIBRARIES = ("trajtransfer", "torch", "torchvision", "scipy", "numpy")


class Record:
    """The numbers of one executed notebook, written as ``NAME.json`` and one CSV file per table.

    `parameters` are those of the notebook; `tables` hold tidy rows, `measures` the values that claims are
    decided by, one per seed pair. Nothing is written before `save`, and then whole.
    """

    def __init__(self, name: str, device: object, **parameters: Any):
        self.name = _plain_name(name)
        self.parameters = parameters
        self.device = str(device)
        self.data: dict[str, str] = {}
        self.tables: dict[str, list[dict[str, Any]]] = {}
        self.measures: dict[str, list[float]] = {}
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the wall-clock time of a block to the record."""
        clock = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - clock, 3)

    def table(self, name: str, rows: Sequence[Row]) -> list[dict[str, Any]]:
        """Keep tidy rows under a name, and return them."""
        self.tables[_plain_name(name)] = [dict(row) for row in rows]
        return self.tables[name]

    def measure(self, name: str, values: Sequence[float] | float, text: str = "{:.1%}") -> None:
        """Keep the values of a measure (one per seed pair) and make their mean quotable as ``NAME-measure``.

        Prose quotes it by ``{glue:text}``; `text` is the format of the mean. A single NaN stands for what
        this run cannot tell: no value is kept, and no claim decided by it.
        """
        from myst_nb import glue  # only an executed notebook has a display to glue to

        if isinstance(values, int | float):
            values = [] if math.isnan(values) else [values]
        self.measures[name] = [float(v) for v in values]
        shown = text.format(statistics.fmean(self.measures[name])) if self.measures[name] else MISSING
        glue(f"{self.name}-{name}", _Text(shown), display=False)

    def provenance(self) -> dict[str, Any]:
        """Where the numbers come from: code, parameters, data, machine, time."""
        return {
            "commit": _commit(),
            "profile": os.environ.get("TRAJTRANSFER_PROFILE", "none"),
            "parameters": self.parameters,
            "data": self.data,
            "device": _device(self.device),
            "versions": {"python": platform.python_version()} | {name: version(name) for name in LIBRARIES},
            "seconds": self.seconds,
        }

    def provenance_table(self) -> str:
        """The provenance as a Markdown table, for the foot of a page."""
        rows = [{"item": key, "value": _inline(value)} for key, value in self.provenance().items()]
        return markdown_table(rows)

    def save(self) -> None:
        """Write the record where the runner says, else among the results of notebooks, ``runs/notebooks``.

        The folder that a notebook lies in is left alone. Raises `RunError` where somebody else's files are in the way.
        """
        if "TRAJTRANSFER_RECORDS" in os.environ:
            self._write(Path(os.environ["TRAJTRANSFER_RECORDS"]))
            return
        with opened(home(), home() / "runs" / "notebooks", wait=True) as results:
            results.require_room(self.name)
            with results.work(self.name) as work:
                self._write(work)
                results.take(self.name, work)

    def _write(self, folder: Path) -> None:
        content = {"name": self.name, "provenance": self.provenance(), "measures": self.measures, "tables": self.tables}
        write_text(folder / f"{self.name}.json", json.dumps(content, indent=1) + "\n")
        for name, rows in self.tables.items():
            text = io.StringIO()
            writer = csv.DictWriter(text, rows[0].keys() if rows else [], lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
            write_text(folder / f"{self.name}-{name}.csv", text.getvalue())


def _device(name: str) -> str:
    """The GPU, or the processor, what it computes with, and on how many of its cores."""
    if "cuda" in name:
        return torch.cuda.get_device_name()
    cores = f"{torch.get_num_threads()} of {os.cpu_count()} cores"
    return f"{name}, {_processor()} with {torch.backends.cpu.get_cpu_capability()} ({cores})"


@lru_cache
def _processor() -> str:
    """The model of the processor, which decides the last digits of sums; hosts of virtual machines name it by numbers only."""
    try:
        first = Path("/proc/cpuinfo").read_text().partition("\n\n")[0]
    except OSError:
        return platform.processor() or platform.machine()
    found = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in first.splitlines())}
    numbers = [found[name] for name in ("cpu family", "model", "stepping") if name in found]
    return " ".join([found.get("model name", platform.machine()), ".".join(numbers)]).strip()


def _plain_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_]+", name):
        raise ValueError(f"{name!r} is to name files; use letters, digits and underscores")
    return name


class _Text(str):
    """A string that is shown without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def markdown_table(rows: Sequence[Row]) -> str:
    """Rows as a Markdown table; floats are rounded to three decimals."""
    if not rows:
        return "Nothing to show for these parameters."
    columns = list(rows[0])
    lines = [columns, ["---"] * len(columns), *([_cell(row[c]) for c in columns] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _inline(value: Any) -> str:
    return ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else str(value)


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return MISSING
    return f"{value:.3f}" if isinstance(value, float) else str(value)


@lru_cache
def _commit() -> str:
    """The commit of the code that runs, marked when code or notebooks differ from it; "unknown" outside a checkout."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(PACKAGE), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return git("rev-parse", "--short=12", "HEAD") + (
            "-modified" if git("status", "--porcelain", "--", ".", "../notebooks") else ""
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
