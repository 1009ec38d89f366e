"""The regression test of results: nbval executes the reference copies again, and numbers agree."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from configparser import RawConfigParser
from pathlib import Path

import nbformat
import pytest
from conftest import ROOT
from nbformat.v4 import new_code_cell, new_notebook, new_output

from trajtransfer.paper.claims import judged
from trajtransfer.paper.storage.outcomes import RecordFile
from trajtransfer.paper.storage.reading import read_claims, read_json
from trajtransfer.publish.differences import differences, elsewhere

REFERENCE = ROOT / "tests" / "reference"
SANITIZE = ROOT / "tests" / "sanitize.cfg"
NAMES = sorted(path.stem for path in REFERENCE.glob("*.ipynb"))
# Each on whichever worker is free; one that needs what another is making waits for it.
APART = [pytest.param(name, marks=pytest.mark.xdist_group(f"reference {name}")) for name in NAMES]
KERNEL = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shared(tmp_path_factory) -> Path:
    """The project of all notebooks and workers of one test run: what is trained serves them all."""
    root = tmp_path_factory.getbasetemp()
    return root.parent if "PYTEST_XDIST_WORKER" in os.environ else root


def nbval(folder: Path, name: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Execute a copy in `folder` and compare its outputs; numbers are left to the records.

    On one thread, as the references were: so another machine does the same sums. Networks and
    tables are kept in `home`.
    """
    (folder / "pytest.ini").write_text("[pytest]\n")
    environment = os.environ | {
        "OMP_NUM_THREADS": "1",
        "TQDM_DISABLE": "1",
        "TRAJTRANSFER_HOME": str(home),
        "TRAJTRANSFER_NOTICES": str(folder / "notices"),
        "TRAJTRANSFER_PROFILE": "reference",
        "TRAJTRANSFER_RECORDS": str(folder),
    }
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    command += ["--nbval", "--nbval-current-env", "--nbval-cell-timeout=600"]
    command += [f"--nbval-sanitize-with={SANITIZE}", f"{name}.ipynb"]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=900
    )


def record_of(folder: Path, name: str) -> RecordFile:
    return read_json(folder / f"{name}.json", RecordFile, "run `make reference`")


@pytest.mark.parametrize("name", APART)
def test_outputs_numbers_and_verdicts_are_those_of_the_reference(name, tmp_path, shared):
    """Numbers agree within named tolerances, so that any machine may run this.

    That the tolerances find something is for tests of their own.
    """
    shutil.copy(REFERENCE / f"{name}.ipynb", tmp_path)
    done = nbval(tmp_path, name, shared)
    assert done.returncode == 0, done.stdout[-4000:]
    assert int(re.search(r"(\d+) passed", done.stdout).group(1)) >= 6
    reference = record_of(REFERENCE, name)
    found = record_of(tmp_path, name)
    assert differences(reference, found, elsewhere(reference)) == []
    claims = read_claims(ROOT)
    before, after = (judged(claims, {name: record}) for record in (reference, found))
    assert [verdict.outcome for verdict in before] == [verdict.outcome for verdict in after]


def test_a_mutated_copy_fails(tmp_path, shared):
    """nbval is shown to compare something: one changed word in one stored output."""
    data = {"text/markdown": "the barrier", "text/plain": "<IPython.core.display.Markdown object>"}
    output = new_output("execute_result", data, execution_count=1)
    source = "from IPython.display import Markdown\nMarkdown('the barrier')"
    cell = new_code_cell(source, execution_count=1, outputs=[output])
    nbformat.write(new_notebook(cells=[cell], metadata=KERNEL), tmp_path / "copy.ipynb")
    assert nbval(tmp_path, "copy", shared).returncode == 0
    output.data["text/markdown"] = "the carrier"
    nbformat.write(new_notebook(cells=[cell], metadata=KERNEL), tmp_path / "mutated.ipynb")
    done = nbval(tmp_path, "mutated", shared)
    assert done.returncode == 1 and "carrier" in done.stdout and "1 failed" in done.stdout


def test_the_sanitising_rules_are_all_loaded():
    """nbval silently drops rules that it cannot read."""
    rules = RawConfigParser()
    rules.read(SANITIZE)
    assert len(rules.sections()) == 2
    for section in rules.sections():
        re.compile(rules.get(section, "regex"))
        assert rules.get(section, "replace")
