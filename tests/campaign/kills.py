"""Processes that are killed at random moments."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.campaign.small import forget, small, trained
from tests.campaign.tally import Tally, home
from tests.folders import COUNTING, ROOT, contents, counting, project, put, squares
from trajtransfer.paper.storage import results
from trajtransfer.paper.storage.documents import DocumentError
from trajtransfer.paper.storage.outcomes import RecordFile
from trajtransfer.paper.storage.project import RunError

# What the user has among the results.
WORDS = {
    "transfer-notes.csv": "mine",
    "transfer.v2.ipynb": "mine too",
    ".vscode-server/settings": "and this",
}
WRITER = """
import itertools, sys
from pathlib import Path
from tests.folders import put
print("ready", flush=True)
for n in itertools.count():
    put(Path(sys.argv[1]), ("transfer", "basins")[n % 2], n, ("curves", "notes")[: n % 3])
"""
TRAINING = """
import sys
from pathlib import Path
from tests.campaign.small import forget, small, trained
print("ready", flush=True)
while True:
    trained(small())
    forget(Path(sys.argv[1]))
"""


def killed_writers(folder: Path, chance: random.Random, kills: int) -> Tally:
    """A process that puts results into a folder again and again: each is whole or refused."""
    tally = Tally("kills: results taking their place")
    put(folder, "theorem")
    _write_words(folder)
    for number in range(kills):
        _kill_after([sys.executable, "-c", WRITER, str(folder)], chance.uniform(0, 0.3))
        fine = _words_are_there(folder) and _whole_or_refused(folder)
        tally.add(fine, f"kill {number} of a writer")
    put(folder, "transfer", 7)
    put(folder, "basins", 7)
    whole = set(results.read(folder)[1]) == {"theorem", "transfer", "basins"}
    tally.add(whole, "the results after the last kill")
    return tally


def killed_trainings(folder: Path, chance: random.Random, kills: int) -> Tally:
    """A training that is killed again and again ends with the numbers of one that was not."""
    tally = Tally("kills: training")
    environment = os.environ | {"TRAJTRANSFER_HOME": str(folder)}
    with home(folder / "whole"):
        whole = trained(small())
    for number in range(kills):
        command = [sys.executable, "-c", TRAINING, str(folder)]
        _kill_after(command, chance.uniform(0, 1.5), environment)
        with home(folder):
            tally.add(trained(small()) == whole, f"the networks after kill {number}")
        forget(folder)
    left = [path.name for path in folder.rglob("*.partial")]
    tally.add(not left, f"leftovers {left}")
    return tally


def killed_profiles(folder: Path, chance: random.Random, kills: int) -> Tally:
    """A profile is killed at random moments and reproduced to its end."""
    tally = Tally("kills: a profile with its kernels")
    folder.mkdir()
    project(folder, COUNTING, runs=[counting(first, seconds=1.0) for first in (1, 3)])
    command = [sys.executable, "-m", "trajtransfer.publish.cli", "reproduce", "--device", "cpu"]
    environment = os.environ | {"TRAJTRANSFER_HOME": str(folder), "OMP_NUM_THREADS": "1"}
    output = folder / "runs" / "quick"
    for number in range(kills):
        _kill_after(command, chance.uniform(3, 15), environment, ready=False)
        tally.add(_whole_or_refused(output), f"the results after kill {number}")
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
    fine = done.returncode == 0
    found = [squares(record) for record in results.read(output)[1].values()] if fine else []
    whole = found == [[1, 4, 9, 16], [9, 16, 25, 36]]
    tally.add(whole, f"the profile at last: {done.stderr}")
    return tally


def _kill_after(
    command: list[str],
    seconds: float,
    environment: dict[str, str] | None = None,
    ready: bool = True,
) -> None:
    """Start a process, and kill it some time after it says that it is ready."""
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
        cwd=ROOT,
        start_new_session=True,
    )
    assert process.stdout is not None
    if ready:
        process.stdout.readline()
    time.sleep(seconds)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def _whole_or_refused(folder: Path) -> bool:
    """Whether the results of a folder are those of one run each, or are refused."""
    if not folder.exists():
        return True
    try:
        _, records = results.read(folder)
    except (DocumentError, RunError):
        return True
    return all(_is_of_one_run(folder / f"{name}.ipynb", one) for name, one in records.items())


def _is_of_one_run(notebook: Path, record: RecordFile) -> bool:
    """Whether a notebook and a record that `put` has made are of one number."""
    word, _, number = notebook.read_text().partition(" ")
    if word != "notebook":
        return True
    found = {row["t"] for rows in record.tables.values() for row in rows}
    return found <= {int(number)}


def _write_words(folder: Path) -> None:
    for name, words in WORDS.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(words)


def _words_are_there(folder: Path) -> bool:
    """Under their names, or under the one that they were kept under."""
    return {words.encode() for words in WORDS.values()} <= set(contents(folder).values())
