"""The command line: refusals in words before anything runs, honest exit codes, quick answers."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

from trajtransfer.publish import cli, runner

COMMAND = [sys.executable, "-m", "trajtransfer.publish.cli"]
# As if a package were not installed, whatever is.
WITHOUT = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == sys.argv[1]:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
from trajtransfer.publish import cli
sys.exit(cli.main(sys.argv[2:]))
"""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["run", "trasnfer"],
            "unknown notebook 'trasnfer'; known: accelerated_training, assumption_p",
        ),
        (
            ["run", "transfer", "-p", "step=3"],
            "transfer has no parameter 'step'; it has: setting, ",
        ),
        (
            ["run", "transfer", "-p", "steps=three"],
            "transfer: steps='three' is not of type int (default: 0)",
        ),
        (["run", "transfer", "-p", "steps=1e-3"], "transfer: steps='1e-3' is not of type int"),
        (
            ["run", "transfer", "-p", "methods=naive"],
            'transfer: methods=\'naive\' is not a list, such as ["naive", "oracle"]',
        ),
        (["run", "cost", "-p", "widths=8"], "cost: widths='8' is not a list, such as [256, 512]"),
        (
            ["run", "cost", "-p", "widths=[8, a]"],
            'cost: widths=[8, "a"] is not a list of whole numbers, such as [256, 512]',
        ),
        (["run", "cost", "-p", "widths=[8, 8]"], "cost: widths=[8, 8] names a number twice"),
        (["run", "transfer", "-p", "steps"], "-p steps: expected NAME=VALUE"),
        (["run", "transfer", "-p", "record=mine"], "transfer has no parameter 'record'"),
        (
            ["reproduce", "--profile", "slow"],
            "unknown profile 'slow'; known: gpu, laptop, overnight, paper, quick, reference",
        ),
        (["run", "transfer", "-p", "steps=3", "-p", "steps=4"], "a parameter is given twice by -p"),
        (
            ["run", "transfer", "-p", "device=cpu", "--device", "cpu"],
            "the device is given twice, by -p and by --device",
        ),
        (["book", "--results", "nowhere"], "nowhere holds no results"),
        (["compare", "tests/reference", "nowhere"], "nowhere holds no results"),
        (
            ["compare", "tests/reference", "tests/reference"],
            "have no two runs of the same parameters and data",
        ),
        (
            ["run", "transfer", "--output", "notebooks"],
            "notebooks is among the sources of the proj",
        ),
        (["run", "transfer", "--output", "."], ". holds files that trajtransfer did not make"),
        (
            ["run", "transfer", "--output", "README.md"],
            "README.md is not a folder; choose another -",
        ),
        (
            ["run", "transfer", "--output", "tests/reference"],
            "tests/reference holds the profile ",
        ),
        (["reproduce", "--output", "book"], "book is among the sources of the project"),
        (
            ["reproduce", "--profile", "quick", "--output", "book/published"],
            "holds the profile overnight, not quick",
        ),
        (["reproduce", "--jobs", "4"], "--jobs is for an engine; add --engine snakemake"),
        (["reproduce", "--engine", "snakemake", "--jobs", "-1"], "--jobs -1 cannot be meant"),
        (
            ["reproduce", "--engine", "snakemake", "--site", "nowhere"],
            "--site nowhere is no f",
        ),
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


@pytest.mark.parametrize("command", ["list", "run transfer", "reproduce", "book", "compare a b"])
def test_outside_a_checkout_commands_say_in_one_line_what_they_need(
    command, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TRAJTRANSFER_HOME", raising=False)
    page = tmp_path / "_build" / "html" / "mine.html"
    page.parent.mkdir(parents=True)
    page.write_text("mine")
    assert cli.main(command.split()) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    words = "run this inside a checkout of trajtransfer, or name one by TRAJTRANSFER_HOME"
    assert words in said and page.exists()


def test_list_shows_every_parameter(monkeypatch, capsys):
    monkeypatch.chdir(ROOT / "book")  # any folder of the checkout will do
    assert cli.main(["list"]) == 0
    said = capsys.readouterr().out
    assert "transfer\n" in said
    assert "  pairs: str = '1-2, 3-4, 5-6'  seeds of source and target" in said
    assert "  lengths: list = [2, 5, 10]  lengths T of the trajectory" in said
    assert '  groups: list = ["1-2, 1-3, 1-4"]  ' in said
    assert "\nsettings\n" in said and "  mnist5k-mlp: " in said


def test_list_loads_neither_torch_nor_papermill_and_takes_little_time():
    """Processor time, so that a busy machine makes no difference; it was 5 s."""
    code = "import sys; from trajtransfer.publish import cli; cli.main(['list'])\n"
    code += "sys.exit(str(sorted({'torch', 'numpy', 'pandas', 'papermill'} & set(sys.modules))))"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.stderr == "[]\n" and "mnist5k-mlp" in done.stdout
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1.5


def test_help_says_what_things_cost(capsys):
    with pytest.raises(SystemExit):
        cli.main(["reproduce", "--help"])
    assert "minutes" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    assert "weeks" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("package", "command"),
    [
        ("nbformat", "list"),
        ("yaml", "list"),
        ("papermill", "run transfer"),
        ("torchvision", "run transfer -p setting=mnist5k-resnet18-tiny"),
        ("filelock", "reproduce"),
        ("pydantic", "compare a b"),
        ("nbformat", "book"),
    ],
)
def test_a_package_that_is_not_installed_is_named_with_what_to_do(package, command, tmp_path):
    """``pip install trajtransfer`` brings the library alone."""
    arguments = [sys.executable, "-c", WITHOUT, package, *command.split()]
    home = os.environ | {"TRAJTRANSFER_HOME": str(ROOT)}
    done = subprocess.run(arguments, capture_output=True, text=True, env=home, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert f"this command needs the package {package}, which is not installed" in done.stderr
    assert 'pip install "trajtransfer[paper]"' in done.stderr


def test_help_needs_no_package(tmp_path):
    arguments = [sys.executable, "-c", WITHOUT, "pydantic", "run", "--help"]
    done = subprocess.run(arguments, capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")


def test_outside_a_checkout_nothing_is_said_of_packages(tmp_path):
    arguments = [sys.executable, "-c", WITHOUT, "nbformat", "list"]
    home = os.environ | {"TRAJTRANSFER_HOME": str(tmp_path)}
    done = subprocess.run(arguments, capture_output=True, text=True, env=home, cwd=ROOT)
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert "run this inside a checkout" in done.stderr


def test_a_module_of_our_own_that_is_missing_is_a_fault_of_ours(monkeypatch):
    """It is not hidden behind the advice to install something."""

    def broken(options):
        raise ModuleNotFoundError("No module named 'trajtransfer.lost'", name="trajtransfer.lost")

    monkeypatch.setattr(cli, "_list", broken)
    with pytest.raises(ModuleNotFoundError, match="lost"):
        cli.main(["list"])


def test_a_reader_that_had_enough_is_no_error():
    command = f"set -o pipefail; {' '.join(COMMAND)} list | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stdout, done.stderr) == (0, "accelerated_training\n", "")


def test_a_command_that_nobody_listens_to_stops_with_an_error(monkeypatch):
    def unheard(options):
        raise BrokenPipeError

    monkeypatch.setattr(cli, "_reproduce", unheard)
    with Path(os.devnull).open("w") as nothing:
        monkeypatch.setattr(sys, "stdout", nothing)
        assert cli.main(["reproduce"]) == 1
