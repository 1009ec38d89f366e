"""Runs side by side: the same numbers, and one that fails does not stop the others."""

from __future__ import annotations

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
    root = project(folder, "transfer", list(runs))
    path = root / "notebooks" / "profiles" / "quick.yaml"
    content = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump(content | {"lanes": lanes}))
    return root


def accuracies(rows):
    return [(row["method"], row["t"], row["accuracy"], row["loss"]) for row in rows]


def test_two_lanes_give_the_numbers_and_the_order_of_the_profile(tmp_path, monkeypatch):
    """Three runs in two lanes, beside the rows that a laboratory of its own makes."""
    monkeypatch.setenv("TRAJTRANSFER_HOME", str(tmp_path))
    root = checkout(tmp_path, 2, short_run(1), short_run(3), short_run(5))
    output = profiles.reproduce(root, "quick", tmp_path / "results", "cpu")
    listing, records = results.read(output)
    assert list(listing.runs) == ["transfer_1", "transfer_3", "transfer_5"]
    assert not [path for path in output.iterdir() if path.name.startswith(WORK)]
    monkeypatch.setenv("TRAJTRANSFER_HOME", str(tmp_path / "elsewhere"))
    lab = Lab(setting("mnist5k-mlp", width=16, steps=2), "cpu")
    for number in (1, 3, 5):
        rows = transfers(lab, ["fgmt"], [Seeds(number, number + 1)]).to_dict("records")
        found = records[f"transfer_{number}"].tables["curves"]
        assert accuracies(found) == accuracies(rows)


def test_a_run_that_fails_in_a_lane_is_named_and_the_others_are_made(tmp_path, monkeypatch):
    monkeypatch.setenv("TRAJTRANSFER_HOME", str(tmp_path))
    root = checkout(tmp_path, 2, short_run(1, setting="mnist-mlp"), short_run(3))
    with pytest.raises(RunError, match=r"transfer_1: transfer failed in cell .*MissingDataError"):
        profiles.reproduce(root, "quick", tmp_path / "results", "cpu")
    with pytest.raises(RunError, match=r"not complete .so far: transfer_3"):
        results.read(tmp_path / "results")
