"""Runs side by side: the same numbers, and one that fails does not stop the others."""

from __future__ import annotations

import os
import re
import sys
import time

import psutil
import pytest
import yaml

from tests.folders import COUNTING, counting, project, squares
from trajtransfer.paper.storage import results
from trajtransfer.paper.storage.folders import WORK
from trajtransfer.paper.storage.project import RunError
from trajtransfer.publish import profiles

pytestmark = pytest.mark.slow


def checkout(folder, lanes, *runs):
    """A project whose quick profile has these runs in so many lanes."""
    root = project(folder, COUNTING)
    set_runs(root, lanes, *runs)
    return root


def set_runs(root, lanes, *runs):
    path = root / "notebooks" / "profiles" / "quick.yaml"
    content = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump(content | {"lanes": lanes, "runs": list(runs)}))


def test_two_lanes_give_the_numbers_and_the_order_of_the_profile(tmp_path):
    """And one that fails is named, the others are made and kept, and mended it takes its place."""
    output = tmp_path / "results"
    root = checkout(tmp_path, 2, counting(1, fails=True), counting(3), counting(5))
    with pytest.raises(RunError, match=r"counting_1: counting failed in cell .*asked to fail"):
        profiles.reproduce(root, "quick", output, "cpu")
    with pytest.raises(RunError, match="not complete") as unfinished:
        results.read(output)
    # The two were in different lanes, and either may have come first.
    assert {"counting_3", "counting_5"} == set(re.findall(r"counting_\d", str(unfinished.value)))
    set_runs(root, 2, counting(1), counting(3), counting(5))
    made = (output / "counting_3.json").stat().st_mtime_ns
    listing, records = results.read(profiles.reproduce(root, "quick", output, "cpu"))
    assert list(listing.runs) == ["counting_1", "counting_3", "counting_5"]
    assert (output / "counting_3.json").stat().st_mtime_ns == made
    assert not [path for path in output.iterdir() if path.name.startswith(WORK)]
    for first in (1, 3, 5):
        expected = [number**2 for number in range(first, first + 4)]
        assert squares(records[f"counting_{first}"]) == expected


def test_lanes_and_kernels_end_with_a_killed_command(tmp_path):
    """Or they would go on for hours unseen, and hold the locks of what they train."""
    root = checkout(tmp_path, 2, counting(1, seconds=30.0), counting(3, seconds=30.0))
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
