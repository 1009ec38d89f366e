"""Executed copies: those of the inputs, and the same when nbval executes them again."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from configparser import RawConfigParser
from importlib.metadata import version
from pathlib import Path

import nbformat
import pytest
from conftest import ROOT

from trajtransfer.paper.storage import results
from trajtransfer.paper.storage.outcomes import RecordFile
from trajtransfer.paper.storage.reading import read_json
from trajtransfer.publish import pages
from trajtransfer.publish.differences import differences, elsewhere
from trajtransfer.publish.profiles import profile_of

REFERENCE = ROOT / "tests" / "reference"
INPUTS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PUBLISHED = sorted((ROOT / "book" / "published").glob("*.ipynb"))
COPIES = [*sorted(REFERENCE.glob("*.ipynb")), *PUBLISHED]


def read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def outputs_of(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


@pytest.mark.parametrize("path", COPIES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_executed_copies_are_those_of_the_inputs(path):
    """Stale copies have other code, parameters or versions; the book takes prose from notebooks."""
    listing, records = results.read(path.parent)
    runs = {run.name: run for run in profile_of(ROOT, listing.profile).runs}
    run = runs[path.stem]
    pages.chapter(ROOT, path, run, [], records)  # refuses code that is not the notebook's
    executed = read(path)
    assert executed.metadata.papermill.parameters == run.parameters | {"record": run.name}
    origin = records[run.name].provenance
    assert origin.versions["trajtransfer"] == version("trajtransfer")
    assert origin.profile == listing.profile and "modified" not in origin.commit
    assert path.stat().st_size < 1_000_000
    said = ("stream", "error")
    assert not [output for output in outputs_of(executed) if output.output_type in said]


def nbval(folder: Path, names: list[str]) -> subprocess.CompletedProcess[str]:
    """Re-execute copies in `folder` and compare their outputs; numbers are left to the records.

    On one thread, as the references were: two processes can so run side by side, and another
    machine does the same sums.
    """
    environment = os.environ | {
        "OMP_NUM_THREADS": "1",
        "TQDM_DISABLE": "1",
        "TRAJTRANSFER_HOME": str(folder),
        "TRAJTRANSFER_PROFILE": "reference",
        "TRAJTRANSFER_RECORDS": str(folder),
    }
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--nbval"]
    command += ["--nbval-current-env", "--nbval-cell-timeout=600"]
    command += [f"--nbval-sanitize-with={REFERENCE / 'sanitize.cfg'}", *names]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=1500
    )


@pytest.fixture(scope="module")
def copies(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("nbval")
    (folder / "pytest.ini").write_text("[pytest]\n")
    for path in REFERENCE.glob("*.ipynb"):
        shutil.copy(path, folder)
    return folder


@pytest.fixture(scope="module")
def validated(copies) -> list[subprocess.CompletedProcess[str]]:
    """Two processes at once: those with a ResNet, which are half of the work, and the others."""
    names = sorted(path.name for path in copies.glob("*.ipynb"))
    deep = [name for name in names if "resnet" in (copies / name).read_text()]
    others = [name for name in names if name not in deep]
    with ThreadPoolExecutor() as lanes:
        return list(lanes.map(lambda some: nbval(copies, some), (deep, others)))


def test_the_sanitising_rules_are_all_loaded():
    """nbval silently drops rules that it cannot read."""
    rules = RawConfigParser()
    rules.read(REFERENCE / "sanitize.cfg")
    assert len(rules.sections()) == 2
    for section in rules.sections():
        re.compile(rules.get(section, "regex"))
        assert rules.get(section, "replace")


def test_nbval_passes_on_the_reference_copies(validated):
    said = "\n".join(done.stdout[-4000:] for done in validated)
    assert all(done.returncode == 0 for done in validated), said
    passed = [re.search(r"(\d+) passed", done.stdout) for done in validated]
    assert sum(int(found.group(1)) for found in passed if found) >= 150


def record_of(path: Path) -> RecordFile:
    return read_json(path, RecordFile, "run `make reference`")


@pytest.mark.parametrize("name", sorted(p.stem for p in REFERENCE.glob("*.ipynb")))
def test_numbers_agree_within_named_tolerances(name, validated, copies):
    """That the tolerances find something is for tests of their own; any machine may run this."""
    reference = record_of(REFERENCE / f"{name}.json")
    found = record_of(copies / f"{name}.json")
    assert differences(reference, found, elsewhere(reference)) == []


def test_a_mutated_number_fails():
    reference = record_of(REFERENCE / "transfer.json")
    last = f"curves, row {len(reference.tables['curves'])}"
    for column, change in (("accuracy", 0.13), ("gradient_pairs", 1), ("t", 1)):
        mutated = reference.model_copy(deep=True)
        mutated.tables["curves"][-1][column] += change
        (found,) = differences(reference, mutated)
        assert found.place == f"{last}, {column}"
    for measure, values in reference.measures.items():
        mutated = reference.model_copy(deep=True)
        mutated.measures[measure][-1] = -5 * values[-1] - 5
        (found,) = differences(reference, mutated)
        assert found.place == f"{measure}, value {len(values)}"
    assert differences(reference, reference) == []


# Made before the work of that day was brought in as one commit, 6516ce9; to be run again, and then
# struck off here.
LOST = {
    "accelerated_training",
    "assumption_p_networks",
    "cost",
    "cost_networks",
    "transfer_conv8",
    "transfer_pretrained",
}


def git(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)


def commit_of(record: Path) -> str:
    """The commit of the code that made a record."""
    return json.loads(record.read_text())["provenance"]["commit"]


def test_records_name_commits_of_this_history():
    if git("rev-parse", "--is-shallow-repository").stdout.strip() != "false":
        pytest.skip("this is no checkout with its whole history")
    records = [path.with_suffix(".json") for path in COPIES]
    absent = {
        record
        for record in records
        if git("merge-base", "--is-ancestor", commit_of(record), "HEAD").returncode
    }
    assert absent == {ROOT / "book" / "published" / f"{name}.json" for name in LOST}


def test_there_is_something_to_compare():
    """Every notebook has an executed copy among the references and among the published results."""
    for folder in (REFERENCE, ROOT / "book" / "published"):
        listing, records = results.read(folder)
        runs = [run for run in profile_of(ROOT, listing.profile).runs if run.name in records]
        assert list(records) == [run.name for run in runs]
        assert {run.notebook for run in runs} == {path.stem for path in INPUTS}


def test_a_mutated_copy_fails(validated, copies):
    """nbval is shown to compare something: one changed word in one stored output."""
    mutated = read(copies / "permutation_symmetry.ipynb")
    texts = [output.get("data", {}) for output in outputs_of(mutated)]
    tables = [data for data in texts if "barrier" in str(data.get("text/markdown"))]
    tables[0]["text/markdown"] = tables[0]["text/markdown"].replace("barrier", "carrier")
    nbformat.write(mutated, copies / "mutated.ipynb")
    done = nbval(copies, ["mutated.ipynb"])
    assert done.returncode == 1 and "carrier" in done.stdout and "1 failed" in done.stdout
