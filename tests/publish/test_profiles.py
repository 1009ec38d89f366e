"""Profiles: complete or said not to be, kept after a kill, and checked before the first run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import yaml

from tests.folders import (
    COUNTING,
    TRANSFER,
    contents,
    counting,
    make,
    project,
    rewrite,
    squares,
)
from trajtransfer.paper.storage import results
from trajtransfer.paper.storage.documents import DocumentError
from trajtransfer.paper.storage.project import RunError
from trajtransfer.publish import cli, profiles, runner

pytestmark = pytest.mark.slow

NUMBERS = (1, 3, 5)
NAMES = [f"transfer_{number}" for number in NUMBERS]


def short_run(number):
    """A run of a second or two."""
    pairs = f"{number}-{number + 1}"
    given = {"width": 64, "steps": 2, "pairs": pairs, "methods": ["naive", "fgmt"]}
    about = {"name": f"transfer_{number}", "notebook": "transfer", "part": "The experiments"}
    return about | {"parameters": given}


@pytest.fixture
def short(tmp_path, monkeypatch):
    """A project whose profile has three short runs of one notebook."""
    monkeypatch.setenv("TRAJTRANSFER_HOME", str(tmp_path))
    return project(tmp_path, TRANSFER, runs=[short_run(number) for number in NUMBERS])


def profile(root):
    return root / "notebooks" / "profiles" / "quick.yaml"


def change(root, edit):
    """Change the profile of a project."""
    content = yaml.safe_load(profile(root).read_text())
    edit(content["runs"])
    profile(root).write_text(yaml.safe_dump(content))


def test_a_run_that_stands_in_no_part_of_the_book_is_refused(short):
    known = r"is none of those in _toc\.yml \(The symmetry, The assumption"
    change(short, lambda runs: runs[1].update(part="The experiment"))
    with pytest.raises(
        DocumentError, match=f"quick.yaml: the run transfer_3 .* 'The exp.* {known}"
    ):
        profiles.profile_of(short, "quick")
    change(short, lambda runs: runs[1].pop("part"))
    with pytest.raises(DocumentError, match=f"transfer_3 needs the part of the book .* {known}"):
        profiles.profile_of(short, "quick")
    change(short, lambda runs: runs[1].update(part="Beyond"))
    assert profiles.profile_of(short, "quick").runs[1].part == "Beyond"
    (short / "_toc.yml").write_text("parts: []")
    with pytest.raises(DocumentError, match=r"_toc\.yml: format: Field required"):
        profiles.profile_of(short, "quick")


def test_a_killed_profile_goes_on_where_it_was_and_ends_with_the_right_numbers(
    tmp_path, monkeypatch
):
    """SIGKILL to everything in the second run: the first is kept, nothing is left of the second."""
    monkeypatch.setenv("TRAJTRANSFER_HOME", str(tmp_path))
    root = project(tmp_path, COUNTING, runs=[counting(1), counting(3, seconds=1.0)])
    command = [sys.executable, "-m", "trajtransfer.publish.cli", "reproduce", "--device", "cpu"]
    output = root / "runs" / "quick"
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, stdout=quiet, stderr=quiet, start_new_session=True)
    deadline = time.monotonic() + 120
    first = output / "counting_1.ipynb"
    while not (first.exists() and list(output.glob(".*counting_3*"))) and (
        time.monotonic() < deadline
    ):
        time.sleep(0.05)
    kernels = psutil.Process(process.pid).children(recursive=True)  # in sessions of their own
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for kernel in kernels:
        with suppress(psutil.NoSuchProcess):
            kernel.kill()
    written = first.stat().st_mtime_ns
    assert '"complete": false' in (output / "results.json").read_text()
    assert not (output / "counting_3.ipynb").exists()
    again = subprocess.run(command, capture_output=True, text=True)
    assert again.returncode == 0 and "[1/2] counting_1 (kept)" in again.stdout
    assert "[2/2] counting_3\n" in again.stdout
    assert first.stat().st_mtime_ns == written and not list(output.glob(".*/"))
    _, records = results.read(output)
    assert [squares(record) for record in records.values()] == [[1, 4, 9, 16], [9, 16, 25, 36]]


def extending(root, **changes):
    """A profile `long` that extends `quick` by a run of its own."""
    folder = root / "notebooks" / "profiles"
    content = yaml.safe_load((folder / "quick.yaml").read_text())
    own = content["runs"][0] | {"name": "transfer_7"}
    content |= {"extends": "quick", "runs": [own]} | changes
    (folder / "long.yaml").write_text(yaml.safe_dump(content))


def test_a_profile_has_the_runs_of_the_one_that_it_extends_before_its_own(short):
    extending(short)
    assert profiles.profile_of(short, "long").names == [*NAMES, "transfer_7"]
    assert profiles.profile_of(short, "quick").names == NAMES


def test_a_profile_that_extends_what_it_cannot_is_refused(short):
    runs = profiles.profile_of(short, "quick").model_dump()["runs"]
    wrong = [
        ({"extends": "none"}, "it extends 'none', which has to be a profile here"),
        ({"extends": "long"}, "it extends 'long', which has to be a profile here"),
        ({"runs": runs}, "it has runs of the profile quick again: transfer_1, transfer_3"),
    ]
    for changes, message in wrong:
        extending(short, **changes)
        with pytest.raises(DocumentError, match=message):
            profiles.profile_of(short, "long")


def pretended(monkeypatch, fails=()):
    """Let runs be made of nothing at once, or fail; the names of those that were asked for."""
    done = []

    def pretend(path, executed, values, variables):
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
    pretended(monkeypatch, {"transfer_3": KeyboardInterrupt()})
    assert cli.main(["reproduce"]) == 130
    words = r"\(so far: transfer_1\); go on with `trajtransfer reproduce --profile quick"
    with pytest.raises(RunError, match=f"is not complete {words}"):
        results.read(output)
    done = pretended(monkeypatch)
    assert cli.main(["reproduce"]) == 0
    assert done == ["transfer_3", "transfer_5"] and list(results.read(output)[1]) == NAMES


def test_a_run_that_left_the_profile_goes_and_what_is_not_ours_stays(short, monkeypatch):
    output = short / "runs" / "quick"
    pretended(monkeypatch)
    assert cli.main(["reproduce"]) == 0
    (output / "transfer_3-notes.csv").write_text("mine")
    change(short, lambda runs: runs.__delitem__(slice(1, None)))
    assert cli.main(["reproduce"]) == 0
    left = {name for name in contents(output) if name.startswith("transfer_")}
    kept = {f"transfer_1{end}" for end in (".ipynb", ".json", "-curves.csv")}
    assert left == kept | {"transfer_3-notes.csv"}


def test_a_run_that_fails_does_not_stop_the_others(short, monkeypatch, capsys):
    output = short / "runs" / "quick"
    done = pretended(monkeypatch, {"transfer_3": OSError(28, "No space left on device")})
    assert cli.main(["reproduce"]) == 1
    said = capsys.readouterr().err
    failure = f"transfer_3: {output} cannot be written ([Errno 28] No space left"
    assert f"the next call tries them again:\n{failure}" in said
    assert done == NAMES
    with pytest.raises(RunError, match="is not complete"):
        results.read(output)
    pretended(monkeypatch)
    assert cli.main(["reproduce"]) == 0
    pretended(monkeypatch, {"transfer_3": RunError("it diverged")})
    assert cli.main(["reproduce", "--only", "transfer_3"]) == 1
    assert len(results.read(output)[1]) == 3  # complete, with the earlier run


def test_what_was_made_of_something_else_is_not_kept(short, monkeypatch):
    output = short / "runs" / "quick"
    done = pretended(monkeypatch)

    def again(device=None, only=()):
        """What is made when a profile that was interrupted goes on."""
        count = len(done)
        if not only:
            rewrite(output, complete=False)
        profiles.reproduce(short, "quick", output, device, only)
        return done[count:]

    profiles.reproduce(short, "quick", output, None)
    profiles.reproduce(short, "quick", output, None)
    assert done == [*NAMES, *NAMES]  # what is complete is made anew
    assert again() == []
    (output / "transfer_1.json").write_text("damaged")
    assert again() == ["transfer_1"]
    assert (output / "transfer_1.kept-1.json").read_text() == "damaged"
    assert again(device="cpu") == NAMES
    change(short, lambda runs: [run["parameters"].update(width=65) for run in runs])
    assert again(device="cpu") == NAMES
    change(short, lambda runs: [run["parameters"].update(methods=["naive"]) for run in runs])
    assert again(device="cpu") == NAMES
    change(short, lambda runs: runs[0].update(threads=1))
    assert again(device="cpu") == ["transfer_1"]
    change(short, lambda runs: runs[0].update(part="Beyond"))
    assert again(device="cpu") == []  # a page may stand elsewhere
    assert again(only=["transfer_3"], device="cpu") == ["transfer_3"]
    assert len(results.read(output)[1]) == 3
    with pytest.raises(RunError, match=r"quick has no run transfer_7; it has: transfer_1, tra"):
        profiles.reproduce(short, "quick", output, None, ["transfer_7"])


def test_some_runs_of_a_profile_are_not_the_whole(short, monkeypatch):
    output = short / "runs" / "quick"
    done = pretended(monkeypatch)
    assert cli.main(["reproduce", "--only", "transfer_3"]) == 0
    with pytest.raises(RunError, match=r"is not complete \(so far: transfer_3\)"):
        results.read(output)
    assert cli.main(["reproduce"]) == 0
    assert done == ["transfer_3", "transfer_1", "transfer_5"]
    assert len(results.read(output)[1]) == 3


def test_a_profile_that_nobody_listens_to_stops_with_an_error(short, monkeypatch):
    pretended(monkeypatch)

    def unheard(*arguments, **options):
        if "file" not in options:
            raise BrokenPipeError

    monkeypatch.setattr("builtins.print", unheard)
    with Path(os.devnull).open("w") as nothing:
        monkeypatch.setattr(sys, "stdout", nothing)
        assert cli.main(["reproduce"]) == 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"batch_size": 10**6}, "a batch of 1000000 cannot be drawn from 3848 images"),
        ({"methods": "naive, fgmt"}, "methods='naive, fgmt' is not a list, such as"),
        ({"width": [64]}, "width=[64] is not of type float"),
    ],
)
def test_all_parameters_are_checked_before_the_first_run(
    given, message, short, monkeypatch, capsys
):
    change(short, lambda runs: runs[-1]["parameters"].update(given))
    done = pretended(monkeypatch)
    assert cli.main(["reproduce"]) == 1
    assert f"transfer: {message}" in capsys.readouterr().err
    assert not done and not (short / "runs" / "quick").exists()


def test_two_profiles_do_not_write_into_one_folder(short, monkeypatch, capsys):
    output = short / "runs" / "quick"
    done = pretended(monkeypatch)
    with results.opened(short, output, "quick"):
        assert cli.main(["reproduce"]) == 1
    said = capsys.readouterr().err
    assert f"is being written by process {os.getpid()}" in said and not done
