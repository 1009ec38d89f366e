"""Runs side by side: the same numbers, and one that fails does not stop the others."""

from __future__ import annotations

import os
import sys
import time

import psutil
import pytest
import yaml

from tests.folders import project
from trajtransfer.paper.lab import Lab
from trajtransfer.paper.seeds import Seeds
from trajtransfer.paper.settings import setting
from trajtransfer.paper.storage import results
from trajtransfer.paper.storage.folders import WORK
from trajtransfer.paper.storage.project import RunError
from trajtransfer.paper.transfers import transfers
from trajtransfer.publish import profiles

pytestmark = pytest.mark.slow


def short_run(number, **changes):
    """A run of a second or two."""
    given = {"width": 16, "steps": 2, "pairs": f"{number}-{number + 1}", "methods": ["fgmt"]}
    about = {"name": f"transfer_{number}", "notebook": "transfer", "part": "The experiments"}
    return about | {"threads": 1, "parameters": given | changes}


def checkout(folder, lanes, *runs):
    """A project whose quick profile has these runs in so many lanes."""
    root = project(folder, "transfer", [])
    set_runs(root, lanes, *runs)
    return root


def set_runs(root, lanes, *runs):
    path = root / "notebooks" / "profiles" / "quick.yaml"
    content = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump(content | {"lanes": lanes, "runs": list(runs)}))


def accuracies(rows):
    return [(row["method"], row["t"], row["accuracy"], row["loss"]) for row in rows]


def test_two_lanes_give_the_numbers_and_the_order_of_the_profile(tmp_path, monkeypatch):
    """And one that fails is named, the others are made and kept, and mended it takes its place."""
    monkeypatch.setenv("TRAJTRANSFER_HOME", str(tmp_path))
    output = tmp_path / "results"
    root = checkout(tmp_path, 2, short_run(1, setting="mnist-mlp"), short_run(3), short_run(5))
    with pytest.raises(RunError, match=r"transfer_1: transfer failed in cell .*MissingDataError"):
        profiles.reproduce(root, "quick", output, "cpu")
    with pytest.raises(RunError, match=r"not complete .so far: transfer_3, transfer_5"):
        results.read(output)
    set_runs(root, 2, short_run(1), short_run(3), short_run(5))
    made = (output / "transfer_3.json").stat().st_mtime_ns
    listing, records = results.read(profiles.reproduce(root, "quick", output, "cpu"))
    assert list(listing.runs) == ["transfer_1", "transfer_3", "transfer_5"]
    assert (output / "transfer_3.json").stat().st_mtime_ns == made
    assert not [path for path in output.iterdir() if path.name.startswith(WORK)]
    monkeypatch.setenv("TRAJTRANSFER_HOME", str(tmp_path / "elsewhere"))
    lab = Lab(setting("mnist5k-mlp", width=16, steps=2), "cpu")
    for number in (1, 3, 5):
        rows = transfers(lab, ["fgmt"], [Seeds(number, number + 1)]).to_dict("records")
        found = records[f"transfer_{number}"].tables["curves"]
        assert accuracies(found) == accuracies(rows)


def test_lanes_and_kernels_end_with_a_killed_command(tmp_path):
    """Or they would go on for hours unseen, and hold the locks of what they train."""
    runs = [short_run(number, width=2048, pairs="1-2, 3-4") for number in (1, 3)]
    root = checkout(tmp_path, 2, *runs)
    command = [sys.executable, "-m", "trajtransfer.publish.cli", "reproduce"]
    started = psutil.Popen(command, cwd=root, env=os.environ | {"TRAJTRANSFER_HOME": str(root)})
    try:
        family = waited(lambda: with_kernels(started, 2))
    finally:
        started.kill()
        started.wait()
    assert not psutil.wait_procs(family, timeout=30)[1]


def with_kernels(process, count):
    """The descendants of a process, once so many of them are kernels."""
    family = process.children(recursive=True)
    mine = {one.pid for one in family}
    commands = [
        " ".join(one.info["cmdline"] or [])  # none of a process that has just ended
        for one in psutil.process_iter(["cmdline"])
        if one.pid in mine
    ]
    kernels = [words for words in commands if "ipykernel" in words]
    return family if len(kernels) == count else None


def waited(found, seconds=90):
    """What a function returns, as soon as it is something."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if result := found():
            return result
        time.sleep(0.2)
    raise AssertionError(f"nothing after {seconds} seconds")
