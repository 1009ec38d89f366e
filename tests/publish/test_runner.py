"""Running notebooks: parameters are checked first, results appear complete or not at all, exit codes are honest."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import ROOT

from tests.folders import contents, make, rewrite
from trajtransfer.paper.storage import results
from trajtransfer.paper.storage.documents import Run
from trajtransfer.paper.storage.project import RunError
from trajtransfer.publish import cli, profiles, run_parameters, runner

NOTEBOOK = ROOT / "notebooks" / "transfer.ipynb"


def test_parameters_have_types_defaults_and_help():
    found = run_parameters.parameters(NOTEBOOK)
    assert found["steps"].type == "int" and found["steps"].default == 0 and "length T" in found["steps"].help
    assert found["pairs"].type == "str" and found["width"].type == "float" and "record" not in found


def test_values_are_converted_by_type():
    given = {"steps": "3", "width": "1e-3", "pairs": "1-2", "batch_size": 64}
    assert run_parameters.check(NOTEBOOK, given) == {"steps": 3, "width": 0.001, "pairs": "1-2", "batch_size": 64}


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
        (["run", "transfer", "-p", "steps=3", "-p", "steps=4"], "a parameter is given twice by -p"),
        (["book", "--results", "nowhere"], "nowhere holds no results"),
        (["compare", "tests/reference", "nowhere"], "nowhere holds no results"),
        (["compare", "tests/reference", "tests/reference"], "have no two runs of the same parameters and data"),
        (["run", "transfer", "--output", "notebooks"], "notebooks is among the sources of the project"),
        (["run", "transfer", "--output", "."], ". holds files that trajtransfer did not make"),
        (["run", "transfer", "--output", "README.md"], "README.md is not a folder; choose another --output"),
        (["run", "transfer", "--output", "tests/reference"], "tests/reference holds the profile quick"),
        (["reproduce", "--output", "book"], "book is among the sources of the project"),
        (["reproduce", "--only", "theorem", "--output", "book/published"], "holds the profile laptop, not quick"),
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
    hidden = [name for name in contents(checkout / "runs" / "own") if name.startswith(".")]
    assert hidden == [".trajtransfer-lock"]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (["pairs=1-2", "width=8", "setting=mnist-mlp"], "MissingDataError: MNIST is not in"),
    ],
)
def test_errors_inside_a_notebook_are_reported_and_leave_earlier_results(parameters, message, checkout, capsys):
    folder = checkout / "runs" / "own"
    with results.opened(checkout, folder) as ours, ours.work("transfer") as work:
        make(work, "transfer")
        ours.take("transfer", work)
    before = contents(folder)
    assert cli.main(["run", "transfer", *(x for p in parameters for x in ("-p", p))]) == 1
    assert message in capsys.readouterr().err
    assert contents(folder).keys() == before.keys() and (folder / "transfer.ipynb").read_text() == "notebook 1"


def test_an_interrupted_run_leaves_nothing_half_written(checkout, monkeypatch, capsys):
    def interrupted(path, executed, values):
        executed.write_text("half")
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, "_execute", interrupted)
    assert cli.main(["run", "transfer"]) == 130
    assert contents(checkout / "runs" / "own").keys() == {".trajtransfer-lock"}


def test_a_real_interrupt_stops_the_kernel_and_leaves_nothing(checkout):
    command = [sys.executable, "-m", "trajtransfer.publish.cli", "run", "transfer", "-p", "width=4096"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    deadline = time.monotonic() + 60
    while not list((checkout / "runs").rglob("checkpoint.safetensors")) and time.monotonic() < deadline:
        time.sleep(0.2)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130 and said.splitlines()[-1:] == ["interrupted; nothing half-written was kept"]
    assert said.count("\n") == 1
    assert contents(checkout / "runs" / "own").keys() == {".trajtransfer-lock"}


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
    command, output = [sys.executable, "-m", "trajtransfer.publish.cli", "reproduce", "--device", "cpu"], short / "runs" / "quick"
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 120
    while not list((short / "runs").rglob("*seed4*/checkpoint.safetensors")) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    first = output / "transfer_1.ipynb"
    written = first.stat().st_mtime_ns
    assert '"complete": false' in (output / "results.json").read_text() and not (output / "transfer_3.ipynb").exists()
    subprocess.run(["pkill", "-KILL", "-f", str(output)], check=False)  # a kernel has a session of its own
    again = subprocess.run(command, capture_output=True, text=True)
    assert again.returncode == 0 and "[1/3] transfer_1 (kept)" in again.stdout and "[2/3] transfer_3\n" in again.stdout
    assert first.stat().st_mtime_ns == written and not list(output.glob(".*/"))
    anew = short / "runs" / "anew"
    assert cli.main(["reproduce", "--device", "cpu", "--output", str(anew)]) == 0
    assert all(numbers(output, f"transfer_{n}") == numbers(anew, f"transfer_{n}") for n in (1, 3, 5))


def pretended(monkeypatch, fails=()):
    """Let runs be made of nothing at once, or fail; the names of those that were asked for."""
    done = []

    def pretend(path, executed, values):
        name = values["record"]
        done.append(name)
        if name in fails:
            raise fails[name]
        make(executed.parent, name)

    monkeypatch.setattr(runner, "_execute", pretend)
    monkeypatch.setattr(runner, "_tidy", lambda executed, chosen: None)
    return done


def test_a_profile_is_complete_or_said_not_to_be(short, monkeypatch):
    output = short / "runs" / "quick"
    done = pretended(monkeypatch, {"transfer_3": KeyboardInterrupt()})
    assert cli.main(["reproduce"]) == 130
    with pytest.raises(
        RunError, match=r"is not complete \(so far: transfer_1\); go on with `trajtransfer reproduce --profile quick"
    ):
        results.read(output)
    done = pretended(monkeypatch)
    assert cli.main(["reproduce"]) == 0
    assert done == ["transfer_3", "transfer_5"] and list(results.read(output)[1]) == ["transfer_1", "transfer_3", "transfer_5"]


def test_a_run_that_left_the_profile_goes_and_what_is_not_ours_stays(short, monkeypatch):
    output = short / "runs" / "quick"
    pretended(monkeypatch)
    assert cli.main(["reproduce"]) == 0
    (output / "transfer_3-notes.csv").write_text("mine")
    path = short / "notebooks" / "profiles" / "quick.yaml"
    listing = json.loads(path.read_text())
    path.write_text(json.dumps(listing | {"runs": listing["runs"][:1]}))
    assert cli.main(["reproduce"]) == 0
    left = {name for name in contents(output) if name.startswith("transfer_")}
    assert left == {"transfer_1.ipynb", "transfer_1.json", "transfer_1-curves.csv", "transfer_3-notes.csv"}


def test_a_run_that_fails_does_not_stop_the_others(short, monkeypatch, capsys):
    output = short / "runs" / "quick"
    done = pretended(monkeypatch, {"transfer_3": OSError(28, "No space left on device")})
    assert cli.main(["reproduce"]) == 1
    said = capsys.readouterr().err
    assert f"the next call tries them again:\ntransfer_3: {output} cannot be written ([Errno 28] No space left" in said
    assert done == ["transfer_1", "transfer_3", "transfer_5"]
    with pytest.raises(RunError, match="is not complete"):
        results.read(output)
    pretended(monkeypatch)
    assert cli.main(["reproduce"]) == 0
    pretended(monkeypatch, {"transfer_3": RunError("it diverged")})
    assert cli.main(["reproduce", "--only", "transfer_3"]) == 1
    assert len(results.read(output)[1]) == 3  # complete, with the earlier run


def test_what_was_made_of_something_else_is_not_kept(short, monkeypatch):
    output, path = short / "runs" / "quick", short / "notebooks" / "profiles" / "quick.yaml"
    done = pretended(monkeypatch)

    def interrupt():
        rewrite(output, complete=False)

    profiles.reproduce(short, "quick", output, None)
    profiles.reproduce(short, "quick", output, None)  # complete: all anew
    assert len(done) == 6
    interrupt()
    profiles.reproduce(short, "quick", output, None)  # interrupted, nothing changed: all kept
    assert len(done) == 6
    interrupt()
    (output / "transfer_1.json").write_text("damaged")
    profiles.reproduce(short, "quick", output, None)  # a damaged result is made again
    assert done[6:] == ["transfer_1"] and (output / "transfer_1.kept-1.json").read_text() == "damaged"
    interrupt()
    profiles.reproduce(short, "quick", output, "cpu")  # another device
    assert len(done) == 10
    interrupt()
    path.write_text(path.read_text().replace('"width": 64', '"width": 65'))
    profiles.reproduce(short, "quick", output, "cpu")  # another profile
    assert len(done) == 13
    profiles.reproduce(short, "quick", output, "cpu", ["transfer_3"])
    assert done[13:] == ["transfer_3"] and len(results.read(output)[1]) == 3
    with pytest.raises(RunError, match=r"the profile quick has no run transfer_7; it has: transfer_1, transfer_3"):
        profiles.reproduce(short, "quick", output, None, ["transfer_7"])


def test_some_runs_of_a_profile_are_not_the_whole(short, monkeypatch):
    output = short / "runs" / "quick"
    done = pretended(monkeypatch)
    assert cli.main(["reproduce", "--only", "transfer_3"]) == 0
    with pytest.raises(RunError, match=r"is not complete \(so far: transfer_3\)"):
        results.read(output)
    assert cli.main(["reproduce"]) == 0
    assert done == ["transfer_3", "transfer_1", "transfer_5"] and len(results.read(output)[1]) == 3


def test_what_a_kernel_has_to_tell_is_shown_meanwhile(tmp_path, capsys):
    with runner._shown(tmp_path / "notices"):
        with (tmp_path / "notices").open("a") as file:
            file.write("waiting for process 7\n")
        time.sleep(1.2)
        assert capsys.readouterr().err == "waiting for process 7\n"
        with (tmp_path / "notices").open("a") as file:
            file.write("and done\n")
    assert capsys.readouterr().err == "and done\n"


def test_a_profile_that_nobody_listens_to_stops_with_an_error(short, monkeypatch):
    pretended(monkeypatch)

    def unheard(*arguments, **options):
        raise BrokenPipeError

    monkeypatch.setattr("builtins.print", lambda *a, **k: unheard() if "file" not in k else None)
    with Path(os.devnull).open("w") as nothing:
        monkeypatch.setattr(sys, "stdout", nothing)
        assert cli.main(["reproduce"]) == 1


def test_all_parameters_are_checked_before_the_first_run(short, monkeypatch, capsys):
    path = short / "notebooks" / "profiles" / "quick.yaml"
    listing = json.loads(path.read_text())
    listing["runs"][-1]["parameters"]["batch_size"] = 10**6
    path.write_text(json.dumps(listing))
    done = pretended(monkeypatch)
    assert cli.main(["reproduce"]) == 1
    assert "transfer: a batch of 1000000 cannot be drawn from 3848 images" in capsys.readouterr().err
    assert not done and not (short / "runs" / "quick").exists()


def test_two_profiles_do_not_write_into_one_folder(short, monkeypatch, capsys):
    output = short / "runs" / "quick"
    done = pretended(monkeypatch)
    with results.opened(short, output, "quick"):
        assert cli.main(["reproduce"]) == 1
    assert f"is being written by process {os.getpid()}" in capsys.readouterr().err and not done


def test_a_record_of_a_notebook_in_jupyter_goes_under_runs(checkout, monkeypatch, tmp_path):
    """As plain papermill and Jupyter do: the notebook's own folder is the current one, and keeps what it has."""
    import papermill

    here = tmp_path / "elsewhere"
    here.mkdir()
    (here / "transfer.json").write_text("mine")
    given = {"width": 16, "pairs": "1-2", "steps": 2, "methods": "naive"}
    papermill.execute_notebook(str(NOTEBOOK), str(here / "mine.ipynb"), given, cwd=str(here), progress_bar=False)
    assert contents(here).keys() == {"transfer.json", "mine.ipynb"} and (here / "transfer.json").read_text() == "mine"
    assert list(results.read(checkout / "runs" / "notebooks")[1]) == ["transfer"]


def test_nothing_is_said_on_the_terminal_after_success(checkout):
    command = [sys.executable, "-m", "trajtransfer.publish.cli", "run", "transfer", "--device", "cpu"]
    given = ["width=16", "pairs=1-2", "steps=2", "methods=naive"]
    done = subprocess.run([*command, *(x for p in given for x in ("-p", p))], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "") and done.stdout == f"{checkout / 'runs' / 'own' / 'transfer.ipynb'}\n"


def test_a_reader_that_had_enough_is_no_error():
    command = f"set -o pipefail; {sys.executable} -m trajtransfer.publish.cli list | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stdout, done.stderr) == (0, "accelerated_training\n", "")


@pytest.mark.parametrize("command", ["list", "run transfer", "reproduce", "book", "compare a b"])
def test_outside_a_checkout_commands_say_in_one_line_what_they_need(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TRAJTRANSFER_HOME", raising=False)
    (tmp_path / "_build" / "html").mkdir(parents=True)
    (tmp_path / "_build" / "html" / "mine.html").write_text("mine")
    assert cli.main(command.split()) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "run this inside a checkout of trajtransfer, or name one by TRAJTRANSFER_HOME" in said
    assert (tmp_path / "_build" / "html" / "mine.html").exists()


def test_a_run_has_its_own_title_and_note():
    text = "# A title\n\nSome words, # not a title."
    plain = {"name": "mine", "notebook": "transfer"}
    assert runner._opening(text, Run(**plain)) == text
    assert runner._opening(text, Run(**plain, title=r"Another \1")) == text.replace("A title", r"Another \1")
    assert runner._opening(text, Run(**plain, note="As it turned out.")) == text + "\n\nAs it turned out."


def test_labels_follow_the_name_of_the_run():
    text = (
        "{numref}`transfer-curves` {glue:text}`transfer-gmt-first` {download}`transfer.json` (transfer-x) the transfer-notebook"
    )
    assert runner._relabel(text, "transfer", "two") == (
        "{numref}`two-curves` {glue:text}`two-gmt-first` {download}`two.json` (two-x) the transfer-notebook"
    )
