"""The folder that an engine and its jobs share: the plan, what is asked for, what is done."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from trajtransfer.paper import requests
from trajtransfer.paper.requests import Request
from trajtransfer.paper.storage.documents import Document
from trajtransfer.paper.storage.files import write_text
from trajtransfer.paper.storage.plans import Run
from trajtransfer.paper.storage.reading import read_json

NETWORKS = "trajtransfer.paper.networks."  # what makes them


class PlannedRun(Document):
    """A run with its parameters converted, the threads of its kernel, and what it is about."""

    run: Run
    threads: int
    settings: list[str]


class Job(Document):
    """What an engine has to know of a request: its rule, what it needs, what it takes."""

    rule: Literal["networks", "rows"]
    setting: str
    threads: int
    needs: list[str]


class Plan(Document):
    """What every job has to know: the project, its data, the profile, its runs by name.

    `python` is the interpreter of the jobs, `resources` what those of a setting ask a cluster for.
    """

    root: str
    data: str
    python: str
    profile: str
    runs: dict[str, PlannedRun]
    resources: dict[str, dict[str, int]]


class Workspace:
    """Paths in the folder of a plan, and what stands in its files."""

    def __init__(self, folder: Path):
        self.folder = folder

    def plan(self) -> Plan:
        """The plan. Raises `DocumentError` for one that is damaged."""
        return read_json(self.folder / "plan.json", Plan, "start the engine again")

    def write_plan(self, plan: Plan) -> None:
        """Write the plan, make the folders, and forget what failed before."""
        for name in ("requests", "jobs", "attempts", "notebooks", "failed"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        write_text(self.folder / "plan.json", plan.model_dump_json(indent=1))
        for run in plan.runs:
            self.failure(run).unlink(missing_ok=True)

    def request(self, key: str) -> Request:
        """What was asked for under a key."""
        (found,) = requests.read(self.folder / "requests" / f"{key}.json")
        return found

    def ask(self, wanted: Iterable[Request]) -> list[str]:
        """Write down requests and what they need; returns the keys of the requests alone."""
        keys = []
        for request in wanted:
            needs = self.ask(request.needs)
            requests.write(self.folder / "requests" / f"{request.key}.json", [request])
            network = request.made_by.startswith(NETWORKS)
            job = Job(
                rule="networks" if network else "rows",
                setting=request.setting.name,
                threads=request.threads,
                needs=needs,
            )
            write_text(self.folder / "jobs" / f"{request.key}.json", job.model_dump_json())
            # If it was made and is gone, it has to be made again.
            (self.folder / "done" / job.rule / request.key).unlink(missing_ok=True)
            keys.append(request.key)
        return keys

    def notebook(self, run: str) -> Path:
        """Where a run waits for its place among the results, once it is complete."""
        return self.folder / "notebooks" / run

    def forget(self, run: str) -> None:
        """Remove what says that a run is made, and the attempts at it."""
        shutil.rmtree(self.notebook(run))
        (self.folder / "done" / "notebooks" / run).unlink(missing_ok=True)
        for attempt in (self.folder / "attempts").glob(f"{run}.*.json"):
            attempt.unlink()

    def failure(self, run: str) -> Path:
        """Where the reason stands why a run failed."""
        return self.folder / "failed" / f"{run}.txt"
