"""The folder that an engine and its jobs share: the plan, what is asked for, what is done.

All in it belongs to one call of the engine. What is worth keeping, networks and rows, is elsewhere.
"""

from __future__ import annotations

import json
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
FOLDERS = ("requests", "jobs", "attempts", "notebooks", "failed")


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

    def begin(self, plan: Plan) -> None:
        """Write a plan where nothing is left of an earlier call."""
        unfinished = self.folder.glob(".attempt-*")
        for path in (*map(self.folder.joinpath, (*FOLDERS, "done", "logs")), *unfinished):
            shutil.rmtree(path, ignore_errors=True)
        for name in FOLDERS:
            (self.folder / name).mkdir(parents=True)
        write_text(self.folder / "plan.json", plan.model_dump_json(indent=1))

    def plan(self) -> Plan:
        """The plan. Raises `DocumentError` for one that is damaged."""
        return read_json(self.folder / "plan.json", Plan, "start the engine again")

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
            job = Job(
                rule="networks" if request.made_by.startswith(NETWORKS) else "rows",
                setting=request.setting.name,
                threads=request.threads,
                needs=needs,
            )
            write_text(self.folder / "jobs" / f"{request.key}.json", job.model_dump_json())
            keys.append(request.key)
        return keys

    def attempt(self, run: str, number: int) -> Path:
        """The file with the keys that an attempt at a run asks for."""
        return self.folder / "attempts" / f"{run}.{number}.json"

    def asked_before(self, run: str, number: int) -> set[str]:
        """The keys that the attempts before this one have asked for."""
        attempts = (self.attempt(run, earlier) for earlier in range(number))
        return {key for path in attempts for key in json.loads(path.read_text())}

    def notebook(self, run: str) -> Path:
        """Where a run waits for its place among the results, once it is complete."""
        return self.folder / "notebooks" / run

    def is_complete(self, run: str) -> bool:
        """Whether a run waits for its place."""
        return self.notebook(run).exists()

    def was_at_work(self) -> bool:
        """Whether an attempt was begun."""
        return (self.folder / "logs").exists()

    def fail(self, run: str, reason: str) -> None:
        """Say why a run cannot be made."""
        write_text(self.folder / "failed" / f"{run}.txt", reason)

    def failed(self, run: str) -> bool:
        """Whether it is known that a run cannot be made."""
        return (self.folder / "failed" / f"{run}.txt").exists()

    def why_not(self, run: str) -> str:
        """Why a run was not made."""
        if self.failed(run):
            return (self.folder / "failed" / f"{run}.txt").read_text()
        return f"something that it needs failed; {self.folder / 'logs'} has the words of the jobs"
