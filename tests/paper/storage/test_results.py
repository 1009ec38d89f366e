"""Folders of results: nothing of the user's is lost, and what does not fit is never taken for a result."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from contextlib import suppress

import pytest
from conftest import ROOT

from tests.folders import contents, put, rewrite
from trajtransfer.paper.record import Record
from trajtransfer.paper.storage import results
from trajtransfer.paper.storage.documents import DocumentError, Listing
from trajtransfer.paper.storage.locks import BusyError, locked
from trajtransfer.paper.storage.project import RunError


@pytest.mark.parametrize("foreign", ["transfer.ipynb", "profile.json", ".vscode-server/bin", ".a-b/c", "notes.txt"])
def test_a_folder_of_somebody_else_is_refused_by_name_and_left_as_it_was(foreign, tmp_path):
    path = tmp_path / foreign
    path.parent.mkdir(exist_ok=True)
    path.write_text("mine")
    before = contents(tmp_path)
    with pytest.raises(RunError, match=r"holds files that trajtransfer did not make.*choose another --output") as error:
        put(tmp_path, "transfer")
    assert str(tmp_path) in str(error.value) and contents(tmp_path) == before


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"made_by": "somebody"}', '{"runs": []}', "\x00", "{" * 5000])
def test_a_foreign_listing_is_no_marker(text, tmp_path):
    (tmp_path / "results.json").write_text(text)
    before = contents(tmp_path)
    with pytest.raises(DocumentError, match=r"results\.json: .*so nothing says which files trajtransfer made here"):
        put(tmp_path, "transfer")
    assert contents(tmp_path) == before


SOURCES = ["notebooks", "notebooks/profiles", "book", "book/_static/x", "tests", "trajtransfer", "benchmarks/new", ".git/x"]


@pytest.mark.parametrize("place", SOURCES)
def test_the_sources_are_refused(place, tmp_path):
    with pytest.raises(RunError, match=r"is among the sources of the project.*choose another --output"):
        put(ROOT / place, "transfer")
    link = tmp_path / "link"
    link.symlink_to(ROOT / place)
    with pytest.raises(RunError, match="is among the sources of the project"):
        put(link, "transfer")


def test_files_with_similar_names_are_not_ours(tmp_path):
    put(tmp_path, "transfer", tables=("curves", "cost"))
    put(tmp_path, "transfer_wide")
    mine = ["transfer-wide-curves.csv", "transfer.v2.ipynb", "transfer.json.bak", "transfer-curves.csv.old", ".a-b"]
    for name in mine:
        (tmp_path / name).write_text("mine")
    put(tmp_path, "transfer", 2)  # without its table of costs
    with results.opened(ROOT, tmp_path) as ours:
        ours.drop(["transfer"])
    left = contents(tmp_path)
    assert all(left[name] == b"mine" for name in mine)
    assert {name for name in left if name.startswith("transfer.")} == {"transfer.v2.ipynb", "transfer.json.bak"}
    assert {name for name in left if name.startswith("transfer-")} == {"transfer-wide-curves.csv", "transfer-curves.csv.old"}
    assert {name for name in left if name.startswith("transfer_wide")} == {
        f"transfer_wide{end}" for end in (".ipynb", ".json", "-curves.csv")
    }


def test_what_somebody_changed_is_kept_under_another_name(tmp_path, capsys):
    put(tmp_path, "transfer")
    for number in (1, 2):
        (tmp_path / "transfer.ipynb").write_text(f"my notes {number}")
        put(tmp_path, "transfer", number)
        assert f"kept as transfer.kept-{number}.ipynb" in capsys.readouterr().err
    found = contents(tmp_path)
    assert found["transfer.kept-1.ipynb"] == b"my notes 1" and found["transfer.kept-2.ipynb"] == b"my notes 2"
    assert found["transfer.ipynb"] == b"notebook 2"
    (tmp_path / "transfer-curves.csv").write_text("mine")
    with results.opened(ROOT, tmp_path) as ours:
        ours.drop(["transfer"])
    assert contents(tmp_path)["transfer-curves.csv"] == b"mine" and not (tmp_path / "transfer.json").exists()


@pytest.mark.parametrize("name", ["transfer.ipynb", "transfer.json"])
def test_what_is_in_the_way_and_not_ours_is_refused(name, tmp_path):
    put(tmp_path, "theorem")
    (tmp_path / name).write_text("mine")
    with results.opened(ROOT, tmp_path) as ours, pytest.raises(RunError, match=f"{name} is not a result that was made here"):
        ours.require_room("transfer")
    assert (tmp_path / name).read_text() == "mine"


def test_links_are_left_alone(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious.ipynb").write_text("mine")
    folder = tmp_path / "results"
    put(folder, "theorem")
    (folder / f"{results.WORK}1-x").symlink_to(elsewhere)
    (folder / "transfer.ipynb").symlink_to(elsewhere / "precious.ipynb")
    with results.opened(ROOT, folder) as ours, pytest.raises(RunError, match=r"transfer\.ipynb is not a result"):
        ours.require_room("transfer")
    (folder / "theorem.ipynb").unlink()
    (folder / "theorem.ipynb").symlink_to(elsewhere / "precious.ipynb")
    with results.opened(ROOT, folder) as ours:
        ours.drop(["theorem"])
    assert (folder / "theorem.ipynb").is_symlink() and contents(elsewhere) == {"precious.ipynb": b"mine"}


def test_only_our_own_leftovers_are_removed(tmp_path):
    put(tmp_path, "transfer")
    for name in (".git-hooks", ".transfer-abc", "work-1"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine").write_text("mine")
    (tmp_path / f"{results.WORK}99999-transfer-abc").mkdir()
    (tmp_path / f"{results.WORK}99999-transfer-abc" / "half").write_text("half")
    (tmp_path / ".results.json.99999.partial").write_text("half")
    put(tmp_path, "transfer", 2)
    left = contents(tmp_path)
    assert sum(content == b"mine" for content in left.values()) == 3 and b"half" not in left.values()


def test_a_second_writer_is_refused_and_told_who_is_first(tmp_path):
    with (
        results.opened(ROOT, tmp_path),
        pytest.raises(
            BusyError, match=rf"{tmp_path} is being written by process {os.getpid()} on .* since .*name another folder"
        ),
    ):
        put(tmp_path, "transfer")
    put(tmp_path, "transfer")


def test_the_lock_of_a_killed_process_is_taken_over(tmp_path):
    code = "import sys, time; from pathlib import Path; from trajtransfer.paper.storage.locks import locked\n"
    code += "with locked(Path(sys.argv[1]), 'it'): print('held', flush=True); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout.readline() == "held\n"
    with pytest.raises(BusyError, match=f"process {process.pid} "), locked(tmp_path, "it"):
        pass
    process.kill()
    process.communicate()
    with locked(tmp_path, "it"):
        pass


class Killed(BaseException):
    """Stands for SIGKILL at a step: nothing after it is done."""


def dying(monkeypatch, steps):
    """Let the process die at the given number of renamed files from now."""
    left = [steps]
    replace = os.replace

    def until_dead(*arguments):
        if left[0] == 0:
            raise Killed
        left[0] -= 1
        replace(*arguments)

    monkeypatch.setattr(results.os, "replace", until_dead)


@pytest.mark.parametrize("steps", range(7))
def test_a_run_killed_while_it_takes_its_place_is_old_or_new_or_refused(steps, tmp_path, monkeypatch):
    put(tmp_path, "transfer", 1)
    put(tmp_path, "theorem", 1)
    with monkeypatch.context() as patch:
        dying(patch, steps)
        with suppress(Killed):
            put(tmp_path, "transfer", 2)
    try:
        _, records = results.read(tmp_path)
        numbers = {records["transfer"].tables["curves"][0]["t"], int((tmp_path / "transfer.ipynb").read_text().split()[1])}
        assert len(numbers) == 1
    except DocumentError as error:
        assert "transfer" in str(error) and "is not as it was made" in str(error)
    put(tmp_path, "transfer", 3)  # no dead end
    _, records = results.read(tmp_path)
    assert records["transfer"].tables["curves"] == [{"t": 3}] and records["theorem"].tables["curves"] == [{"t": 1}]
    assert not [name for name in contents(tmp_path) if "kept" in name or "partial" in name]


@pytest.mark.parametrize("seed", range(20))
def test_whatever_happens_every_word_of_the_user_is_still_there(seed, tmp_path, monkeypatch):
    """Random runs, kills, removals and the user's own files and changes, in random order."""
    chance, words = random.Random(seed), set()
    put(tmp_path, "theorem")
    for step in range(30):
        action = chance.choice(["make", "make", "kill", "drop", "write", "change"])
        name = chance.choice(["transfer", "transfer_wide", "theorem"])
        if action in ("write", "change"):
            own = [".ipynb", ".json", "-curves.csv"] if action == "change" else [".md", "-notes.csv", ".v2.ipynb"]
            (tmp_path / f"{name}{chance.choice(own)}").write_text(f"words {step}")
            words = {word for word in words if word in contents(tmp_path).values()} | {f"words {step}".encode()}
            continue
        with monkeypatch.context() as patch:
            if action == "kill":
                dying(patch, chance.randrange(7))
            try:
                if action == "drop":
                    with results.opened(ROOT, tmp_path) as ours:
                        ours.drop([name])
                else:
                    put(tmp_path, name, step, chance.choice([("curves",), ("curves", "notes"), ()]))
            except Killed:
                pass
        assert words <= set(contents(tmp_path).values())


def test_a_reader_refuses_what_is_not_whole(tmp_path):
    with pytest.raises(RunError, match="holds no results"):
        results.read(tmp_path)
    put(tmp_path, "transfer")
    assert list(results.read(tmp_path)[1]) == ["transfer"]
    rewrite(tmp_path, complete=False)
    with pytest.raises(RunError, match=r"is not complete \(so far: transfer\); go on with `trajtransfer reproduce"):
        results.read(tmp_path)
    rewrite(tmp_path, complete=True)
    for name in ("transfer.ipynb", "transfer.json", "transfer-curves.csv"):
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(whole + b" ")
        with pytest.raises(DocumentError, match=f"{name}: it is not as it was made; make it again"):
            results.read(tmp_path)
        (tmp_path / name).unlink()
        with pytest.raises(DocumentError, match=f"{name}: it is not as it was made; make it again"):
            results.read(tmp_path)
        (tmp_path / name).write_bytes(whole)


def test_a_listing_that_was_changed_is_refused(tmp_path):
    put(tmp_path, "transfer")
    path = tmp_path / "results.json"
    path.write_text(path.read_text().replace('"profile": "own"', '"profile": "owl"'))
    with pytest.raises(DocumentError, match=r"results.json: it is not as it was written"):
        results.read(tmp_path)


def test_the_listing_can_be_read_back():
    listing = Listing(made_by="trajtransfer", profile="quick", complete=False, runs={}).signed()
    again = Listing.model_validate_json(listing.model_dump_json())
    assert again == listing == again.signed()


@pytest.mark.parametrize("steps", range(8))
def test_a_reader_finishes_the_move_of_a_complete_run(steps, tmp_path, monkeypatch):
    """From the moment in which the listing says that it is on its way, the run is the new one; before, the old one."""
    put(tmp_path, "transfer", 1, ("curves", "cost"))
    with monkeypatch.context() as patch:
        dying(patch, steps)
        with suppress(Killed):
            put(tmp_path, "transfer", 2)
    _, records = results.read(tmp_path)
    (number,) = {row["t"] for rows in records["transfer"].tables.values() for row in rows}
    assert number == (1 if steps == 0 else 2) and (tmp_path / "transfer.ipynb").read_text() == f"notebook {number}"
    assert (tmp_path / "transfer-cost.csv").exists() == (number == 1)
    assert not list(tmp_path.glob(f"{results.READY}*")) or steps == 0


def test_a_disk_that_is_full_in_the_middle_loses_neither_the_old_nor_the_new_run(tmp_path, monkeypatch):
    put(tmp_path, "transfer", 1)
    original, calls = results.write_text, []

    def full(path, text):
        calls.append(path)
        if len(calls) == 2:  # the listing after the move
            raise OSError(28, "No space left on device")
        original(path, text)

    with monkeypatch.context() as patch:
        patch.setattr(results, "write_text", full)
        with pytest.raises(OSError, match="No space left"):
            put(tmp_path, "transfer", 2)
    assert results.read(tmp_path)[1]["transfer"].tables["curves"] == [{"t": 2}]


def test_results_of_another_profile_are_not_written_over(tmp_path):
    put(tmp_path, "transfer")
    before = contents(tmp_path)
    with pytest.raises(RunError, match=r"holds the profile own, not quick"), results.opened(ROOT, tmp_path, "quick"):
        pass
    assert contents(tmp_path) == before


def test_names_that_no_listing_can_hold_are_refused_before_anything_moves(tmp_path):
    put(tmp_path, "theorem")
    with pytest.raises(ValueError, match="String should match pattern"):
        put(tmp_path, "transfer", 1, ("my table",))
    assert list(results.read(tmp_path)[1]) == ["theorem"]
    with pytest.raises(ValueError, match="'a b' is to name files; use letters, digits and underscores"):
        Record("a b", "cpu")
    with pytest.raises(ValueError, match="'my table' is to name files"):
        Record("mine", "cpu").table("my table", [])


def test_a_file_in_place_of_a_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(RunError, match=r"cannot be written \(.*Not a directory.*\); choose another --output"):
        put(tmp_path / "file" / "below", "transfer")
