"""One writer at a time, who is named; a lock dies with its process."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from conftest import ROOT

from tests.folders import put
from trajtransfer.paper.storage import results
from trajtransfer.paper.storage.locks import BusyError, locked


def test_a_second_writer_is_refused_and_told_who_is_first(tmp_path):
    holder = rf"process {os.getpid()} on .* since .*name another folder"
    words = f"{tmp_path} is being written by {holder}"
    with results.opened(ROOT, tmp_path), pytest.raises(BusyError, match=words):
        put(tmp_path, "transfer")
    put(tmp_path, "transfer")


def test_the_lock_of_a_killed_process_is_taken_over(tmp_path):
    code = "import sys, time; from pathlib import Path\n"
    code += "from trajtransfer.paper.storage.locks import locked\n"
    code += "with locked(Path(sys.argv[1]), 'it'): print('held', flush=True); time.sleep(60)"
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert process.stdout.readline() == "held\n"
    with pytest.raises(BusyError, match=f"process {process.pid} "), locked(tmp_path, "it"):
        pass
    process.kill()
    process.communicate()
    with locked(tmp_path, "it"):
        pass
