"""Jobs of an engine: the numbers of one process, whatever is killed, fails, or is lost."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml

from tests.folders import ASKING, COUNTING, counting, project, squares
from trajtransfer.paper import requests
from trajtransfer.paper.lab import Lab
from trajtransfer.paper.requests import Request
from trajtransfer.paper.seeds import Seeds
from trajtransfer.paper.settings import setting
from trajtransfer.paper.storage import results
from trajtransfer.paper.storage.plans import Run
from trajtransfer.paper.storage.project import RunError
from trajtransfer.paper.transfers import transfers
from trajtransfer.publish import profiles, runner
from trajtransfer.publish.cluster import jobs
from trajtransfer.publish.cluster.engine import Engine
from trajtransfer.publish.cluster.workspace import Plan, PlannedRun, Workspace

pytestmark = pytest.mark.slow

HERE = Engine("local", 2)


def asking(**parameters):
    """A run of the notebook that asks for units of work."""
    about = {"name": "asking", "notebook": "asking", "part": "The experiments", "threads": 1}
    return about | {"parameters": parameters}


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A project with a run that asks for units, and one that fails."""
    monkeypatch.setenv("TRAJTRANSFER_HOME", str(tmp_path / "cluster"))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    (tmp_path / "cluster").mkdir()
    runs = [asking(), counting(1, fails=True)]
    return project(tmp_path / "cluster", ASKING, COUNTING, runs=runs)


def alone(tmp_path, monkeypatch):
    """The rows that the notebook asks for, made here."""
    monkeypatch.setenv("TRAJTRANSFER_HOME", str(tmp_path / "alone"))
    lab = Lab(setting("mnist5k-mlp", width=16, steps=2), "cpu")
    return transfers(lab, ["naive", "fgmt"], [Seeds(1, 2)])


def workspace(folder):
    """That of a plan without runs."""
    space = Workspace(folder)
    space.begin(Plan(root="", data="", python="", profile="", runs={}, resources={}))
    return space


def numbers(rows):
    """Rows as a frame, but for how long they took."""
    return pd.DataFrame(rows).drop(columns="seconds").fillna(-1)


def test_only_what_the_paper_has_is_made(tmp_path, monkeypatch):
    """Requests are files, and a file may be anybody's."""
    space = workspace(tmp_path)
    (key,) = space.ask([Request("key", "os.getcwd", setting("mnist5k-mlp"), "cpu", 1, ())])
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with pytest.raises(RunError, match=r"key asks for os\.getcwd, which is no function of the"):
        jobs.make(space, key)


def test_jobs_give_the_numbers_of_one_process(checkout, tmp_path, monkeypatch):
    """A notebook that fails is named, and the other is made all the same.

    What is lost between two calls, here a network and the rows of one method, is made again.
    """
    output = tmp_path / "results"
    with pytest.raises(RunError, match=r"counting_1: counting failed in cell .*asked to fail"):
        profiles.reproduce(checkout, "quick", output, "cpu", engine=HERE)
    rows = numbers(alone(tmp_path, monkeypatch))
    made = json.loads((output / "asking.json").read_text())
    assert numbers(made["tables"]["curves"]).equals(rows)
    profile = checkout / "notebooks" / "profiles" / "quick.yaml"
    content = yaml.safe_load(profile.read_text())
    runs = [asking(), counting(1)]
    profile.write_text(yaml.safe_dump(content | {"runs": runs}))
    (lost,) = (checkout / "runs" / "tables").glob("transfer-*-naive-*")
    shutil.rmtree(lost)
    monkeypatch.setenv("TRAJTRANSFER_HOME", str(checkout))
    profiles.reproduce(checkout, "quick", output, "cpu", ["asking", "counting_1"], HERE)
    _, records = results.read(output)
    assert numbers(records["asking"].tables["curves"]).equals(rows)
    assert squares(records["counting_1"]) == [1, 4, 9, 16]
    assert lost.exists()


def test_a_notebook_that_asks_for_what_was_made_does_not_go_on_for_ever(tmp_path, monkeypatch):
    """It fails by name, and is not tried again."""
    space = workspace(tmp_path)
    run = PlannedRun(run=Run(name="some", notebook="some"), threads=1, settings=[])
    plan = space.plan().model_copy(update={"runs": {"some": run}})
    calls = []

    def asks(*_):
        calls.append(1)
        wanted = [Request("key", "module.make", setting("mnist5k-mlp"), "cpu", 1, ())]
        requests.write(Path(os.environ[requests.ASKED]), wanted)
        raise RunError("asked")

    monkeypatch.setattr(runner, "execute", asks)
    monkeypatch.setenv(requests.ASKED, "")  # undone in the end, as the threads
    for library in ("OMP", "MKL", "OPENBLAS"):
        monkeypatch.setenv(f"{library}_NUM_THREADS", "1")
    assert jobs.attempt(space, plan, "some", 0) == 0
    assert json.loads(space.attempt("some", 0).read_text()) == ["key"]
    assert [jobs.attempt(space, plan, "some", 1) for _ in range(2)] == [1, 1]
    assert len(calls) == 2
    assert space.why_not("some").startswith("it asks for key again")


def test_an_attempt_knows_what_those_before_it_asked_for(tmp_path):
    space = workspace(tmp_path)
    space.attempt("some", 0).write_text('["lost"]')
    space.attempt("some", 1).write_text('["found"]')
    assert space.asked_before("some", 1) == {"lost"}  # this one may have been made twice
    assert space.asked_before("some", 2) == {"lost", "found"}
    assert not space.asked_before("some", 0)


def test_a_call_begins_with_nothing_of_the_one_before(tmp_path):
    space = workspace(tmp_path)
    left = [tmp_path / name / "file" for name in ("attempts", "done", "logs", ".attempt-x", "jobs")]
    for path in left:
        path.parent.mkdir(exist_ok=True)
        path.touch()
    space.fail("some", "reason")
    assert space.failed("some") and space.why_not("some") == "reason"
    (tmp_path / "mine").touch()
    space.begin(space.plan())
    assert not any(path.exists() for path in left)
    assert not space.failed("some") and (tmp_path / "mine").exists()


def test_resources_are_those_of_settings(checkout, tmp_path):
    profile = checkout / "notebooks" / "profiles" / "quick.yaml"
    content = yaml.safe_load(profile.read_text())
    resources = {"resources": {"mnist5k-mpl": {"gpus": 1}}}
    profile.write_text(yaml.safe_dump(content | resources))
    with pytest.raises(RunError, match=r"resources of unknown settings: \['mnist5k-mpl'\]"):
        profiles.reproduce(checkout, "quick", tmp_path / "r", "cpu", engine=HERE)


def test_an_engine_that_does_not_start_is_not_taken_for_a_notebook_that_failed(checkout, tmp_path):
    with pytest.raises(RunError, match="Snakemake ended with"):
        profiles.reproduce(checkout, "quick", tmp_path / "r", "cpu", engine=Engine("slrum", 2))
