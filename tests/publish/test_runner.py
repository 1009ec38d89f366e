"""Running notebooks: results appear complete or not at all; kernels inherit what a run says."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import papermill
import pytest
from conftest import ROOT

from tests.folders import COUNTING, contents, make, project
from trajtransfer.paper.storage import results
from trajtransfer.paper.storage.plans import Run
from trajtransfer.publish import cli, own_runs, runner

pytestmark = pytest.mark.slow

COMMAND = [sys.executable, "-m", "trajtransfer.publish.cli"]
NOTEBOOK = ROOT / "notebooks" / "transfer.ipynb"


def options(parameters):
    return [text for parameter in parameters for text in ("-p", parameter)]


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A project with this one's notebooks and an empty cache of networks."""
    monkeypatch.setenv("TRAJTRANSFER_HOME", str(tmp_path))
    return project(tmp_path)


@pytest.fixture
def counter(tmp_path, monkeypatch):
    """A project with the notebook that counts, alone."""
    monkeypatch.setenv("TRAJTRANSFER_HOME", str(tmp_path))
    return project(tmp_path, COUNTING)


def outcome(executed, records):
    """The figure of an executed notebook, the last measure of Naive, and its parameters."""
    notebook = json.loads(executed.read_text())
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
    shown = [output["data"] for output in outputs if "data" in output]
    (figure,) = [data["image/png"] for data in shown if "image/png" in data]
    record = json.loads((records / "transfer.json").read_text())
    return figure, record["measures"]["naive-final"], record["provenance"]["parameters"]


def test_other_parameters_give_another_figure_and_other_numbers(checkout, tmp_path):
    """A reader's re-runs, in Jupyter and by the command, with another seed pair and width.

    Plain papermill does as Jupyter: the record goes under runs, and the notebook's own folder keeps
    what it has. The command says where its results are, and no more.
    """
    here = tmp_path / "elsewhere"
    here.mkdir()
    (here / "transfer.json").write_text("mine")
    common = {"steps": 2, "methods": ["naive"], "device": "cpu"}
    papermill.execute_notebook(
        str(NOTEBOOK),
        str(here / "transfer.ipynb"),
        {"pairs": "1-2", "width": 16} | common,
        cwd=str(here),
        progress_bar=False,
    )
    assert contents(here).keys() == {"transfer.json", "transfer.ipynb"}
    assert (here / "transfer.json").read_text() == "mine"
    records = checkout / "runs" / "notebooks"
    assert list(results.read(records)[1]) == ["transfer"]
    given = options(["pairs=7-8", "width=24", "steps=2", "methods=[naive]"])
    command = [*COMMAND, "run", "transfer", *given, "--device", "cpu"]
    done = subprocess.run(command, capture_output=True, text=True)
    own = checkout / "runs" / "own"
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{own / 'transfer.ipynb'}\n", "")
    figure, final, parameters = outcome(here / "transfer.ipynb", records)
    other_figure, other_final, others = outcome(own / "transfer.ipynb", own)
    assert figure != other_figure and final != other_final
    assert (parameters["width"], others["width"], others["pairs"]) == (16, 24, "7-8")
    assert parameters["methods"] == ["naive"]
    assert '"output_type": "stream"' not in (own / "transfer.ipynb").read_text()
    hidden = [name for name in contents(own) if name.startswith(".")]
    assert hidden == [".trajtransfer-lock"]


def test_errors_inside_a_notebook_are_reported_and_leave_earlier_results(counter, capsys):
    folder = counter / "runs" / "own"
    with results.opened(counter, folder) as ours, ours.work("counting") as work:
        make(work, "counting")
        ours.take("counting", work)
    before = contents(folder)
    assert cli.main(["run", "counting", *options(["fails=true"])]) == 1
    said = capsys.readouterr().err
    assert "counting failed in cell" in said and "ValueError: asked to fail" in said
    assert contents(folder).keys() == before.keys()
    assert (folder / "counting.ipynb").read_text() == "notebook 1"


def test_an_interrupted_run_leaves_nothing_half_written(checkout, monkeypatch):
    def interrupted(path, executed, values, variables):
        executed.write_text("half")
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, "_execute", interrupted)
    assert cli.main(["run", "transfer"]) == 130
    assert contents(checkout / "runs" / "own").keys() == {".trajtransfer-lock"}


def test_a_real_interrupt_stops_the_kernel_and_leaves_nothing(counter):
    # What runs in the background of a shell is started with interrupts ignored: not here.
    heard = signal.signal(signal.SIGINT, signal.default_int_handler)
    begun = counter / "begun"
    given = options(["seconds=30", f"begun={begun}"])
    process = subprocess.Popen(
        [*COMMAND, "run", "counting", *given],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    signal.signal(signal.SIGINT, heard)
    deadline = time.monotonic() + 60
    while not begun.exists() and time.monotonic() < deadline:
        time.sleep(0.2)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (130, "interrupted; nothing half-written was kept\n")
    assert contents(counter / "runs" / "own").keys() == {".trajtransfer-lock"}


def variables_of(checkout, chosen, monkeypatch):
    """What the kernel of a run is given in its environment."""
    found = {}

    def look(path, executed, values, variables):
        found.update(variables)
        make(executed.parent, values["record"])

    monkeypatch.setattr(runner, "_execute", look)
    monkeypatch.setattr(runner, "_tidy", lambda executed, chosen: None)
    with results.opened(checkout, checkout / "runs" / "own") as ours:
        runner.run(checkout, chosen, ours, "quick")
    return found


def test_a_kernel_gets_the_threads_of_its_run_unless_told_otherwise(checkout, monkeypatch):
    plain = Run(name="transfer", notebook="transfer")
    single = plain.model_copy(update={"threads": 1})
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert "OMP_NUM_THREADS" not in variables_of(checkout, plain, monkeypatch)
    assert variables_of(checkout, single, monkeypatch)["OMP_NUM_THREADS"] == "1"
    assert "OMP_NUM_THREADS" not in os.environ
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert variables_of(checkout, single, monkeypatch)["OMP_NUM_THREADS"] == "2"


def test_a_run_of_ones_own_with_a_resnet_gets_one_thread(checkout, monkeypatch):
    asked = []
    monkeypatch.setattr(
        own_runs, "run", lambda root, chosen, results, profile: asked.append(chosen)
    )
    given = options(["setting=mnist5k-resnet18-tiny"])
    assert cli.main(["run", "transfer", *given]) == cli.main(["run", "transfer"]) == 0
    assert cli.main(["run", "coordinate_descent"]) == 0
    assert [run.threads for run in asked] == [1, None, 1]


def test_what_a_kernel_has_to_tell_is_shown_meanwhile(tmp_path, capsys):
    with runner._shown(tmp_path / "notices"):
        with (tmp_path / "notices").open("a") as file:
            file.write("waiting for process 7\n")
        time.sleep(1.2)
        assert capsys.readouterr().err == "waiting for process 7\n"
        with (tmp_path / "notices").open("a") as file:
            file.write("and done\n")
    assert capsys.readouterr().err == "and done\n"
