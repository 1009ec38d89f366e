"""Jobs of an engine: the numbers of one process, whatever is killed, fails, or is lost."""

from __future__ import annotations

import pandas as pd
import pytest
import yaml

from tests.folders import ASKING, COUNTING, counting, project, squares
from trajtransfer.paper.lab import Lab
from trajtransfer.paper.requests import Request
from trajtransfer.paper.seeds import Seeds
from trajtransfer.paper.settings import setting
from trajtransfer.paper.storage import results
from trajtransfer.paper.storage.project import RunError
from trajtransfer.paper.transfers import transfers
from trajtransfer.publish import profiles
from trajtransfer.publish.cluster import jobs
from trajtransfer.publish.cluster.engine import Engine
from trajtransfer.publish.cluster.workspace import Plan, Workspace

pytestmark = pytest.mark.slow

HERE = Engine("local", 2)


def asking(**parameters):
    """A run of the notebook that asks for units of work."""
    about = {"name": "asking", "notebook": "asking", "part": "The experiments", "threads": 1}
    return about | {"parameters": parameters}


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A project with one run that asks for units, and one that fails."""
    monkeypatch.setenv("TRAJTRANSFER_HOME", str(tmp_path / "cluster"))
    (tmp_path / "cluster").mkdir()
    runs = [asking(), counting(1, fails=True)]
    return project(tmp_path / "cluster", ASKING, COUNTING, runs=runs)


def alone(tmp_path, monkeypatch):
    """The rows that the notebook asks for, made here."""
    monkeypatch.setenv("TRAJTRANSFER_HOME", str(tmp_path / "alone"))
    lab = Lab(setting("mnist5k-mlp", width=16, steps=2), "cpu")
    return transfers(lab, ["naive", "fgmt"], [Seeds(1, 2)])


def numbers(rows):
    """Rows as a frame, but for how long they took."""
    return pd.DataFrame(rows).drop(columns="seconds").fillna(-1)


def test_only_what_the_paper_has_is_made(tmp_path, monkeypatch):
    """Requests are files, and a file may be anybody's."""
    space = Workspace(tmp_path)
    space.write_plan(Plan(root="", data="", python="", profile="", runs={}, resources={}))
    (key,) = space.ask([Request("key", "os.getcwd", setting("mnist5k-mlp"), "cpu", 1, ())])
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with pytest.raises(RunError, match=r"key asks for os\.getcwd, which is no function of the"):
        jobs.make(space, key)


def test_jobs_give_the_numbers_of_one_process(checkout, tmp_path, monkeypatch):
    """A notebook that fails is named; the other is made, and stays when the first is mended.

    What was lost after it had been made, here the rows of one method, is made again.
    """
    output = tmp_path / "results"
    with pytest.raises(RunError, match=r"counting_1: counting failed in cell .*asked to fail"):
        profiles.reproduce(checkout, "quick", output, "cpu", engine=HERE)
    profile = checkout / "notebooks" / "profiles" / "quick.yaml"
    content = yaml.safe_load(profile.read_text())
    profile.write_text(yaml.safe_dump(content | {"runs": [asking(), counting(1)]}))
    made = (output / "asking.json").stat().st_mtime_ns
    _, records = results.read(profiles.reproduce(checkout, "quick", output, "cpu", engine=HERE))
    assert (output / "asking.json").stat().st_mtime_ns == made
    assert squares(records["counting_1"]) == [1, 4, 9, 16]
    rows = alone(tmp_path, monkeypatch)
    assert numbers(records["asking"].tables["curves"]).equals(numbers(rows))
