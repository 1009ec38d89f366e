"""Folders of results: nothing of the user's is lost, nothing that does not fit is a result."""

from __future__ import annotations

import os
import random
from contextlib import suppress

import pytest
from conftest import ROOT

from tests.folders import contents, put, rewrite
from trajtransfer.paper.record import Record
from trajtransfer.paper.storage import results
from trajtransfer.paper.storage.documents import DocumentError
from trajtransfer.paper.storage.folders import READY
from trajtransfer.paper.storage.outcomes import Listing
from trajtransfer.paper.storage.project import RunError


def test_what_somebody_changed_is_kept_under_another_name(tmp_path, capsys):
    put(tmp_path, "transfer")
    for number in (1, 2):
        (tmp_path / "transfer.ipynb").write_text(f"my notes {number}")
        put(tmp_path, "transfer", number)
        assert f"kept as transfer.kept-{number}.ipynb" in capsys.readouterr().err
    found = contents(tmp_path)
    assert found["transfer.kept-1.ipynb"] == b"my notes 1"
    assert found["transfer.kept-2.ipynb"] == b"my notes 2"
    assert found["transfer.ipynb"] == b"notebook 2"
    (tmp_path / "transfer-curves.csv").write_text("mine")
    with results.opened(ROOT, tmp_path) as ours:
        ours.drop(["transfer"])
    assert (tmp_path / "transfer-curves.csv").read_text() == "mine"
    assert not (tmp_path / "transfer.json").exists()


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
def test_a_run_killed_while_it_takes_its_place_is_old_or_new_or_refused(
    steps, tmp_path, monkeypatch
):
    put(tmp_path, "transfer", 1)
    put(tmp_path, "theorem", 1)
    with monkeypatch.context() as patch:
        dying(patch, steps)
        with suppress(Killed):
            put(tmp_path, "transfer", 2)
    try:
        _, records = results.read(tmp_path)
        (row,) = records["transfer"].tables["curves"]
        assert (tmp_path / "transfer.ipynb").read_text() == f"notebook {row['t']}"
    except DocumentError as error:
        assert "transfer" in str(error) and "is not as it was made" in str(error)
    put(tmp_path, "transfer", 3)  # no dead end
    _, records = results.read(tmp_path)
    assert records["transfer"].tables["curves"] == [{"t": 3}]
    assert records["theorem"].tables["curves"] == [{"t": 1}]
    assert not [name for name in contents(tmp_path) if "kept" in name or "partial" in name]


OURS = (".ipynb", ".json", "-curves.csv")  # ends of names that we give
NOT_OURS = (".md", "-notes.csv", ".v2.ipynb")


def put_or_drop(folder, action, name, step, chance):
    """One step of a writer, which may die on the way."""
    if action == "drop":
        with results.opened(ROOT, folder) as ours:
            ours.drop([name])
    else:
        put(folder, name, step, chance.choice([("curves",), ("curves", "notes"), ()]))


@pytest.mark.parametrize("seed", range(20))
def test_whatever_happens_every_word_of_the_user_is_still_there(seed, tmp_path, monkeypatch):
    """Random runs, kills, removals and the user's own files and changes, in random order."""
    chance = random.Random(seed)
    words: set[bytes] = set()
    put(tmp_path, "theorem")
    for step in range(30):
        action = chance.choice(["make", "make", "kill", "drop", "write", "change"])
        name = chance.choice(["transfer", "transfer_wide", "theorem"])
        if action in ("write", "change"):
            end = chance.choice(OURS if action == "change" else NOT_OURS)
            (tmp_path / f"{name}{end}").write_text(f"words {step}")
            words &= set(contents(tmp_path).values())  # the user may write over words of his own
            words.add(f"words {step}".encode())
            continue
        with monkeypatch.context() as patch:
            if action == "kill":
                dying(patch, chance.randrange(7))
            with suppress(Killed):
                put_or_drop(tmp_path, action, name, step, chance)
        assert words <= set(contents(tmp_path).values())


def test_a_reader_refuses_what_is_not_whole(tmp_path):
    with pytest.raises(RunError, match="holds no results"):
        results.read(tmp_path)
    put(tmp_path, "transfer")
    assert list(results.read(tmp_path)[1]) == ["transfer"]
    rewrite(tmp_path, complete=False)
    with pytest.raises(
        RunError, match=r"is not complete \(so far: transfer\); go on with `trajtransfer reproduce"
    ):
        results.read(tmp_path)
    rewrite(tmp_path, complete=True)
    for name in ("transfer.ipynb", "transfer.json", "transfer-curves.csv"):
        path = tmp_path / name
        whole = path.read_bytes()
        path.write_bytes(whole + b" ")
        with pytest.raises(DocumentError, match=f"{name}: it is not as it was made; make it again"):
            results.read(tmp_path)
        path.unlink()
        with pytest.raises(DocumentError, match=f"{name}: it is not as it was made; make it again"):
            results.read(tmp_path)
        path.write_bytes(whole)


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
    """The run is the new one from the moment in which the listing says that it is on its way."""
    put(tmp_path, "transfer", 1, ("curves", "cost"))
    with monkeypatch.context() as patch:
        dying(patch, steps)
        with suppress(Killed):
            put(tmp_path, "transfer", 2)
    _, records = results.read(tmp_path)
    (number,) = {row["t"] for rows in records["transfer"].tables.values() for row in rows}
    assert number == (1 if steps == 0 else 2)
    assert (tmp_path / "transfer.ipynb").read_text() == f"notebook {number}"
    assert (tmp_path / "transfer-cost.csv").exists() == (number == 1)
    assert not list(tmp_path.glob(f"{READY}*")) or steps == 0


def test_a_disk_that_is_full_in_the_middle_loses_neither_the_old_nor_the_new_run(
    tmp_path, monkeypatch
):
    put(tmp_path, "transfer", 1)
    original = results.write_text
    calls = []

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


def test_names_that_no_listing_can_hold_are_refused_before_anything_moves(tmp_path):
    put(tmp_path, "theorem")
    with pytest.raises(ValueError, match="String should match pattern"):
        put(tmp_path, "transfer", 1, ("my table",))
    assert list(results.read(tmp_path)[1]) == ["theorem"]
    with pytest.raises(
        ValueError, match="'a b' is to name files; use letters, digits and underscores"
    ):
        Record("a b", "cpu", {}, {}, {})
    with pytest.raises(ValueError, match="'my table' is to name files"):
        Record("mine", "cpu", {}, {}, {}).table("my table", [])
