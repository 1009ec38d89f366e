"""Runs side by side: the same numbers, and one that fails does not stop the others."""

from __future__ import annotations

import json

import pytest
import yaml

from tests.folders import project
from trajtransfer.paper.storage import results
from trajtransfer.paper.storage.project import RunError
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


def numbers(folder):
    found = {}
    for name in ("transfer_1", "transfer_3", "transfer_5"):
        record = json.loads((folder / f"{name}.json").read_text())
        rows = record["tables"]["curves"]
        found[name] = [{k: v for k, v in row.items() if k != "seconds"} for row in rows]
    return found


def test_two_lanes_give_the_numbers_and_the_order_of_one(tmp_path, monkeypatch):
    runs = [short_run(1), short_run(3), short_run(5)]
    found = {}
    for lanes in (1, 2):
        folder = tmp_path / str(lanes)
        folder.mkdir()
        monkeypatch.setenv("TRAJTRANSFER_HOME", str(folder))
        root = checkout(folder, lanes, *runs)
        output = profiles.reproduce(root, "quick", folder / "results", "cpu")
        listing, _ = results.read(output)
        assert list(listing.runs) == ["transfer_1", "transfer_3", "transfer_5"]
        found[lanes] = numbers(output)
        assert not [path for path in output.iterdir() if "work" in path.name]
    assert found[1] == found[2]


def test_a_run_that_fails_in_a_lane_is_named_and_the_others_are_made(tmp_path, monkeypatch):
    monkeypatch.setenv("TRAJTRANSFER_HOME", str(tmp_path))
    root = checkout(tmp_path, 2, short_run(1), short_run(3, setting="mnist-mlp"), short_run(5))
    with pytest.raises(RunError, match=r"transfer_3: transfer failed in cell .*MissingDataError"):
        profiles.reproduce(root, "quick", tmp_path / "results", "cpu")
    with pytest.raises(RunError, match=r"not complete .so far: transfer_1, transfer_5"):
        results.read(tmp_path / "results")
