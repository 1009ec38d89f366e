"""Records: the tables and measures of an executed notebook, with where they come from."""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
from IPython.display import Markdown

from trajtransfer.paper.devices import described, select_device
from trajtransfer.paper.lab import Lab
from trajtransfer.paper.measures.measure import Measure
from trajtransfer.paper.presentation import quote, show
from trajtransfer.paper.provenance import commit, libraries
from trajtransfer.paper.seeds import seed_pairs
from trajtransfer.paper.storage.files import write_text
from trajtransfer.paper.storage.project import home
from trajtransfer.paper.storage.results import opened
from trajtransfer.paper.units import Clock


def begin(
    name: str,
    *labs: Lab,
    device: str = "auto",
    data: Mapping[str, str] | None = None,
    **parameters: Any,
) -> Record:
    """The record of a notebook that works in these laboratories with these `parameters`.

    Without a laboratory, `device` and the checksums of the `data` say what one would. The seeds of
    the parameters `pair` and `pairs` are those whose networks the laboratories expect.
    """
    pairs = parameters.get("pairs") or parameters.get("pair") or ""
    for lab in labs:
        lab.expected = tuple(seed for seeds in seed_pairs(pairs) for seed in seeds) if pairs else ()
    device = labs[0].device if labs else str(select_device(device))
    found = dict(data or {})
    for lab in labs:
        found |= lab.checksums()
    clock = labs[0].clock if labs else Clock()
    return Record(name, device, parameters, found, clock)


class Record:
    """The numbers of one executed notebook, written as ``NAME.json`` and one CSV file per table.

    `parameters` are those of the notebook; `tables` hold tidy rows, `measures` the values that
    claims are decided by. Nothing is written before `save`, and then whole.
    """

    def __init__(
        self,
        name: str,
        device: str,
        parameters: Mapping[str, Any],
        data: Mapping[str, str],
        clock: Clock,
    ):
        self.name = _plain_name(name)
        self.device = device
        self.parameters = dict(parameters)
        self.data = dict(data)
        self.tables: dict[str, pd.DataFrame] = {}
        self.measures: dict[str, Measure] = {}
        self.clock = clock

    def table(self, name: str, rows: pd.DataFrame | list[dict[str, Any]]) -> pd.DataFrame:
        """Keep tidy rows under a name, and return them as a frame."""
        self.tables[_plain_name(name)] = pd.DataFrame(rows)
        return self.tables[name]

    def measure(self, found: Mapping[str, Measure]) -> None:
        """Keep measures, and make the mean of each quotable in prose as ``RECORD-measure``."""
        for name, measure in found.items():
            self.measures[name] = measure
            quote(f"{self.name}-{name}", measure.values, measure.text)

    @staticmethod
    def show(rows: list[dict[str, Any]] | pd.DataFrame) -> Markdown:
        """Rows as a table under a cell."""
        return show(rows)

    def provenance(self) -> dict[str, Any]:
        """Where the numbers come from: code, parameters, data, machine, time."""
        versions = {"python": platform.python_version(), "trajtransfer": version("trajtransfer")}
        return {
            "commit": commit(),
            "profile": os.environ.get("TRAJTRANSFER_PROFILE", "none"),
            "parameters": self.parameters,
            "data": self.data,
            "device": described(self.device),
            "versions": versions | libraries(),
            "seconds": self.clock.seconds(),
        }

    def save(self) -> Markdown:
        """Write the record where the runner says, else among the results of notebooks.

        Returns the provenance as a table, for the foot of a page. The folder that a notebook lies
        in is left alone. Raises `RunError` where somebody else's files are in the way.
        """
        if "TRAJTRANSFER_RECORDS" in os.environ:
            self._write(Path(os.environ["TRAJTRANSFER_RECORDS"]))
        else:
            self._publish()
        return show([{"item": k, "value": _inline(v)} for k, v in self.provenance().items()])

    def _publish(self) -> None:
        with opened(home(), home() / "runs" / "notebooks", wait=True) as results:
            results.require_room(self.name)
            with results.work(self.name) as work:
                self._write(work)
                results.take(self.name, work)

    def _write(self, folder: Path) -> None:
        content = {
            "name": self.name,
            "provenance": self.provenance(),
            "measures": {name: list(found.values) for name, found in self.measures.items()},
            "counts": {name: found.counts for name, found in self.measures.items()},
            "errors": {name: found.error for name, found in self.measures.items()},
            "tables": {name: _rows(frame) for name, frame in self.tables.items()},
        }
        write_text(folder / f"{self.name}.json", json.dumps(content, indent=1) + "\n")
        for name, frame in self.tables.items():
            text = frame.to_csv(index=False, lineterminator="\n")
            write_text(folder / f"{self.name}-{name}.csv", text)


def _rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a frame as JSON; what is missing is null."""
    return [
        {name: None if pd.isna(value) else value for name, value in row.items()}
        for row in frame.to_dict("records")
    ]


def _plain_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_]+", name):
        raise ValueError(f"{name!r} is to name files; use letters, digits and underscores")
    return name


def _inline(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {_inline(v)}" for k, v in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
