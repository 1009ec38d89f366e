"""Running notebooks: parameters are checked first, results appear complete or not at all, exit codes are honest."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import nbformat
import pytest
from conftest import ROOT

from trajtransfer import cli, runner

NOTEBOOK = ROOT / "notebooks" / "transfer.ipynb"


def test_parameters_have_types_defaults_and_help():
    found = runner.parameters(NOTEBOOK)
    assert found["steps"].type == "int" and found["steps"].default == 0 and "length T" in found["steps"].help
    assert found["pairs"].type == "str" and found["width"].type == "float" and "record" not in found


def test_values_are_converted_by_type():
    given = {"steps": "3", "width": "1e-3", "pairs": "1-2", "batch_size": 64}
    assert runner.check(NOTEBOOK, given) == {"steps": 3, "width": 0.001, "pairs": "1-2", "batch_size": 64}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "trasnfer"], "unknown notebook 'trasnfer'; known: accelerated_training, assumption_p, basins"),
        (["run", "transfer", "-p", "step=3"], "transfer has no parameter 'step'; it has: setting, preset, pairs"),
        (["run", "transfer", "-p", "steps=three"], "transfer: steps='three' is not of type int (default: 0)"),
        (["run", "transfer", "-p", "steps=1e-3"], "transfer: steps='1e-3' is not of type int"),
        (["run", "transfer", "-p", "steps"], "-p steps: expected NAME=VALUE"),
        (["run", "transfer", "-p", "record=mine"], "transfer has no parameter 'record'"),
        (["reproduce", "--profile", "slow"], "unknown profile 'slow'; known: gpu, laptop, paper, quick"),
        (["book", "--results", "nowhere"], "nowhere holds no results"),
        (["compare", "tests/reference", "nowhere"], "nowhere holds no results"),
        (["compare", "tests/reference", "book/published"], "have no two runs of the same parameters and data"),
    ],
)
def test_bad_input_is_refused_before_anything_runs(arguments, message, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(runner, "_execute", None)
    assert cli.main(arguments) == 1
    assert message in capsys.readouterr().err


def test_usage_errors_exit_with_2():
    with pytest.raises(SystemExit) as stop:
        cli.main(["run"])
    assert stop.value.code == 2


def test_outside_a_checkout(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TRAJTRANSFER_HOME", str(tmp_path))
    assert cli.main(["list"]) == 1
    assert "run this inside a checkout of trajtransfer" in capsys.readouterr().err


def test_list_shows_every_parameter(monkeypatch, capsys):
    monkeypatch.chdir(ROOT / "book")  # any folder of the checkout will do
    assert cli.main(["list"]) == 0
    said = capsys.readouterr().out
    assert "transfer\n" in said and "  pairs: str = '1-2, 3-4, 5-6'  seeds of source and target" in said


def test_help_says_what_things_cost(capsys):
    with pytest.raises(SystemExit):
        cli.main(["reproduce", "--help"])
    assert "minutes" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    assert "weeks" in capsys.readouterr().out


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A project with this one's notebooks and an empty cache of networks."""
    (tmp_path / "notebooks").symlink_to(ROOT / "notebooks")
    monkeypatch.setenv("TRAJTRANSFER_HOME", str(tmp_path))
    return tmp_path


def test_other_parameters_give_another_figure_and_other_numbers(checkout):
    """A reader's re-run through the command line, with another seed pair and width."""
    found = []
    for parameters in (["pairs=1-2", "width=64"], ["pairs=7-8", "width=96"]):
        arguments = [x for p in (*parameters, "steps=2", "methods=naive,fgmt") for x in ("-p", p)]
        assert cli.main(["run", "transfer", *arguments, "--device", "cpu"]) == 0
        notebook = json.loads((checkout / "runs" / "own" / "transfer.ipynb").read_text())
        outputs = [o["data"] for cell in notebook["cells"] for o in cell.get("outputs", []) if "data" in o]
        (figure,) = [data["image/png"] for data in outputs if "image/png" in data]
        record = json.loads((checkout / "runs" / "own" / "transfer.json").read_text())
        found.append((figure, record["measures"]["fgmt-final"], record["provenance"]["parameters"]))
        assert not any(o["output_type"] == "stream" for cell in notebook["cells"] for o in cell.get("outputs", []))
    (figure_a, final_a, parameters_a), (figure_b, final_b, parameters_b) = found
    assert figure_a != figure_b and final_a != final_b
    assert (parameters_a["width"], parameters_b["width"], parameters_b["pairs"]) == (64, 96, "7-8")
    assert not [p for p in (checkout / "runs" / "own").iterdir() if p.name.startswith(".")]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (["width=nan", "pairs=1-2"], "steps, batch_size and width must be positive"),
        (["pairs=3-3"], "seed pair 3-3: source and target are the same run"),
        (["setting=mnits"], "unknown setting 'mnits'; known: mnist-mlp"),
        (["batch_size=100000", "pairs=1-2", "width=8"], "a batch of 100000 cannot be drawn from 3848 images"),
    ],
)
def test_errors_inside_a_notebook_are_reported_and_leave_earlier_results(parameters, message, checkout, capsys):
    earlier = checkout / "runs" / "own" / "transfer.json"
    earlier.parent.mkdir(parents=True)
    earlier.write_text("earlier")
    assert cli.main(["run", "transfer", *(x for p in parameters for x in ("-p", p))]) == 1
    assert message in capsys.readouterr().err
    assert [p.name for p in earlier.parent.iterdir()] == ["transfer.json"] and earlier.read_text() == "earlier"


def test_an_interrupted_run_leaves_nothing_half_written(checkout, monkeypatch, capsys):
    def interrupted(root, path, executed, values, profile):
        executed.write_text("half")
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, "_execute", interrupted)
    assert cli.main(["run", "transfer"]) == 130
    assert not list((checkout / "runs" / "own").iterdir())


def test_a_real_interrupt_stops_the_kernel_and_leaves_nothing(checkout):
    command = [sys.executable, "-m", "trajtransfer.cli", "run", "transfer", "-p", "width=4096"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    deadline = time.monotonic() + 60
    while not list((checkout / "runs").rglob("checkpoint.safetensors")) and time.monotonic() < deadline:
        time.sleep(0.2)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130 and "nothing half-written was kept" in said
    assert not list((checkout / "runs" / "own").iterdir())


def test_a_profile_is_complete_or_not_there(checkout, monkeypatch, capsys):
    output = checkout / "runs" / "quick"
    output.mkdir(parents=True)
    for name in ("profile.json", "gone.json", "gone-curves.csv"):
        (output / name).write_text("{}")
    for name in ("gone.ipynb", "transfer.ipynb"):
        nbformat.write(nbformat.v4.new_notebook(), output / name)
    done = []

    def pretend(root, notebook, given, output, *, name, profile, head, origin):
        done.append(name)
        if name == "transfer" and stop:
            raise KeyboardInterrupt

    monkeypatch.setattr(runner, "run", pretend)
    stop = True
    assert cli.main(["reproduce"]) == 130
    assert not (output / "profile.json").exists() and (output / "gone.json").exists()
    stop = False
    assert cli.main(["reproduce"]) == 0
    assert json.loads((output / "profile.json").read_text())["runs"] == ["transfer"]  # what is there, whoever made it
    assert done.count("transfer") == 2 and sorted(p.name for p in output.iterdir()) == ["profile.json", "transfer.ipynb"]


@pytest.fixture
def short(checkout):
    """A project whose profile has three short runs of one notebook."""
    notebooks = checkout / "notebooks"
    notebooks.unlink()
    (notebooks / "profiles").mkdir(parents=True)
    (notebooks / "transfer.ipynb").symlink_to(NOTEBOOK)
    runs = [
        {"name": f"transfer_{n}", "notebook": "transfer",
         "parameters": {"width": 64, "steps": 2, "pairs": f"{n}-{n + 1}", "methods": "naive, fgmt"}} for n in (1, 3, 5)
    ]  # fmt: skip
    (notebooks / "profiles" / "quick.yaml").write_text(json.dumps({"description": "short", "runs": runs}))
    return checkout


def numbers(folder, name):
    rows = json.loads((folder / f"{name}.json").read_text())["tables"]["curves"]
    return [{k: v for k, v in row.items() if k != "seconds"} for row in rows]


def test_a_killed_profile_goes_on_where_it_was_and_ends_with_the_same_numbers(short):
    """SIGKILL to everything, in the second run; the first is kept as it is, and nothing of the killed one is left."""
    command, output = [sys.executable, "-m", "trajtransfer.cli", "reproduce", "--device", "cpu"], short / "runs" / "quick"
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 120
    while not list((short / "runs").rglob("*seed4*/checkpoint.safetensors")) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    first = output / "transfer_1.ipynb"
    written = first.stat().st_mtime_ns
    assert not (output / "profile.json").exists() and not (output / "transfer_3.ipynb").exists()
    subprocess.run(["pkill", "-KILL", "-f", str(output)], check=False)  # a kernel has a session of its own
    again = subprocess.run(command, capture_output=True, text=True)
    assert again.returncode == 0 and "[1/3] transfer_1 (kept)" in again.stdout and "[2/3] transfer_3\n" in again.stdout
    assert first.stat().st_mtime_ns == written and not list(output.glob(".*"))
    anew = short / "runs" / "anew"
    assert cli.main(["reproduce", "--device", "cpu", "--output", str(anew)]) == 0
    assert all(numbers(output, f"transfer_{n}") == numbers(anew, f"transfer_{n}") for n in (1, 3, 5))


def test_a_verdict_that_turned_fails_the_comparison(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    for name in ("transfer", "theorem"):
        record = json.loads((ROOT / "tests" / "reference" / f"{name}.json").read_text())
        record["provenance"]["seconds"] = {}
        (tmp_path / f"{name}.json").write_text(json.dumps(record))
    (tmp_path / "profile.json").write_text('{"runs": ["transfer", "theorem"]}')
    assert cli.main(["compare", "tests/reference", str(tmp_path)]) == 0
    assert "| C6 | GMT − Oracle, last step |" in capsys.readouterr().out
    record["measures"]["ratio"] = [2.0]
    (tmp_path / "theorem.json").write_text(json.dumps(record))
    assert cli.main(["compare", "tests/reference", str(tmp_path)]) == 1
    assert "other verdicts: C1" in capsys.readouterr().err


def test_a_run_that_fails_does_not_stop_the_others(short, monkeypatch, capsys):
    output, done = short / "runs" / "quick", []

    def pretend(root, notebook, given, output, *, name, profile, head, origin):
        done.append(name)
        if name == "transfer_3":
            raise runner.RunError("it diverged")

    monkeypatch.setattr(runner, "run", pretend)
    assert cli.main(["reproduce"]) == 1
    assert "the next call tries them again:\ntransfer_3: it diverged" in capsys.readouterr().err
    assert done == ["transfer_1", "transfer_3", "transfer_5"] and not (output / "profile.json").exists()
    output.mkdir(parents=True)
    (output / "profile.json").write_text("of earlier results")
    assert cli.main(["reproduce", "--only", "transfer_3"]) == 1
    assert (output / "profile.json").read_text() == "of earlier results"


def test_what_was_made_of_something_else_is_not_kept(short, monkeypatch, capsys):
    output, done = short / "runs" / "quick", []

    def pretend(root, notebook, given, output, *, name, profile, head, origin):
        done.append(name)
        content = nbformat.v4.new_notebook(metadata={"trajtransfer": {"origin": origin}})
        output.mkdir(parents=True, exist_ok=True)
        nbformat.write(content, output / f"{name}.ipynb")

    monkeypatch.setattr(runner, "run", pretend)
    runner.reproduce(short, "quick", output, None)
    runner.reproduce(short, "quick", output, None)  # complete: all anew
    assert len(done) == 6
    (output / "profile.json").unlink()
    runner.reproduce(short, "quick", output, None)  # interrupted, nothing changed: all kept
    assert len(done) == 6
    (output / "profile.json").unlink()
    runner.reproduce(short, "quick", output, "cpu")  # another device
    assert len(done) == 9
    runner.reproduce(short, "quick", output, "cpu", ["transfer_3"])
    assert done[9:] == ["transfer_3"] and len(json.loads((output / "profile.json").read_text())["runs"]) == 3
    with pytest.raises(runner.RunError, match=r"the profile quick has no run transfer_7; it has: transfer_1, transfer_3"):
        runner.reproduce(short, "quick", output, None, ["transfer_7"])


def test_a_run_has_its_own_title_and_note():
    text = "# A title\n\nSome words, # not a title."
    assert runner._opening(text, {}) == text
    assert runner._opening(text, {"title": r"Another \1"}) == text.replace("A title", r"Another \1")
    assert runner._opening(text, {"note": "As it turned out."}) == text + "\n\nAs it turned out."


def test_labels_follow_the_name_of_the_run():
    text = (
        "{numref}`transfer-curves` {glue:text}`transfer-gmt-first` {download}`transfer.json` (transfer-x) the transfer-notebook"
    )
    assert runner._relabel(text, "transfer", "two") == (
        "{numref}`two-curves` {glue:text}`two-gmt-first` {download}`two.json` (two-x) the transfer-notebook"
    )
