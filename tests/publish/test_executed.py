"""Executed copies: those of the inputs, made by the code of this history."""

from __future__ import annotations

import json
import subprocess
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

import nbformat
import pytest
from conftest import ROOT

from trajtransfer.paper.storage import results
from trajtransfer.paper.storage.outcomes import RecordFile
from trajtransfer.paper.storage.reading import read_claims, read_json
from trajtransfer.publish import pages
from trajtransfer.publish.differences import differences
from trajtransfer.publish.profiles import profile_of

REFERENCE = ROOT / "tests" / "reference"
INPUTS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PUBLISHED = ROOT / "book" / "published"
FOLDERS = (REFERENCE, PUBLISHED, ROOT / "book" / "repeated")
CLAIMS = read_claims(ROOT)
COPIES = [path for folder in FOLDERS for path in sorted(folder.glob("*.ipynb"))]


read_results = lru_cache(results.read)


def read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def outputs_of(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


@pytest.mark.parametrize("path", COPIES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_executed_copies_are_those_of_the_inputs(path):
    """Stale copies have other code, parameters or versions; the book takes prose from notebooks."""
    listing, records = read_results(path.parent)
    runs = {run.name: run for run in profile_of(ROOT, listing.profile).runs}
    run = runs[path.stem]
    pages.chapter(ROOT, path, run, CLAIMS, records)  # refuses code that is not the notebook's
    executed = read(path)
    assert executed.metadata.papermill.parameters == run.parameters | {"record": run.name}
    origin = records[run.name].provenance
    assert origin.versions["trajtransfer"] == version("trajtransfer")
    assert origin.profile == listing.profile and "modified" not in origin.commit
    assert path.stat().st_size < 1_000_000
    said = ("stream", "error")
    assert not [output for output in outputs_of(executed) if output.output_type in said]


def record_of(path: Path) -> RecordFile:
    return read_json(path, RecordFile, "run `make reference`")


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
    assert not absent


def test_there_is_something_to_compare():
    """Every notebook has an executed copy among the references and among the published results."""
    for folder in (REFERENCE, PUBLISHED):
        listing, records = results.read(folder)
        runs = [run for run in profile_of(ROOT, listing.profile).runs if run.name in records]
        assert list(records) == [run.name for run in runs]
        assert {run.notebook for run in runs} == {path.stem for path in INPUTS}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_nothing_lies_beside_the_results(folder):
    """What a run set aside is for its user to look at, and not for others to download."""
    listing, _ = read_results(folder)
    listed = {name for run in listing.runs.values() for name in run.files}
    there = {path.name for path in folder.iterdir() if not path.name.startswith(".")}
    picture = {"permutation_symmetry-transferred.png"}  # of the README
    assert there - picture == listed | {"results.json"}
