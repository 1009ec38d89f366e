"""Notebooks: how they read, and that nbval re-executes the reference copies and compares them."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import pytest
import yaml
from conftest import ROOT

from trajtransfer.paper.storage import results
from trajtransfer.paper.storage.documents import RecordFile, read_json
from trajtransfer.publish import pages, profiles, run_parameters
from trajtransfer.publish.comparison import differences, elsewhere

REFERENCE = ROOT / "tests" / "reference"
INPUTS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PUBLISHED = sorted((ROOT / "book" / "published").glob("*.ipynb"))


def read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


@pytest.mark.parametrize("path", INPUTS, ids=lambda p: p.stem)
def test_inputs_are_short_and_hold_no_outputs(path):
    cells = [c for c in read(path).cells if c.cell_type == "code"]
    assert 6 <= len(cells) <= 12 and cells[1].metadata.tags == ["parameters"]
    address = yaml.safe_load((ROOT / "_config.yml").read_text())["repository"]["url"]
    assert "install" in cells[0].metadata.tags and f"git+{address}" in cells[0].source
    for cell in cells:
        assert not cell.outputs and cell.execution_count is None
        assert len(cell.source.splitlines()) <= 14 and max(map(len, cell.source.splitlines())) <= 105
        tree = ast.parse(cell.source)
        if path.stem == "own_network":  # the reader's own model and training loop
            continue
        assert not [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.ClassDef | ast.Lambda)]
        loops = [n for n in ast.walk(tree) if isinstance(n, ast.For)]
        assert not [inner for loop in loops for inner in ast.walk(loop) if isinstance(inner, ast.For) and inner is not loop]


@pytest.mark.parametrize("path", INPUTS, ids=lambda p: p.stem)
def test_every_parameter_has_a_type_and_a_comment(path):
    (source,) = [c.source for c in read(path).cells if "parameters" in c.metadata.get("tags", [])]
    for line in source.splitlines():
        assert re.fullmatch(r"\w+: (int|float|str|bool) = \S.*  # .+", line), line


@pytest.mark.parametrize("path", INPUTS, ids=lambda p: p.stem)
def test_every_figure_has_a_label_a_caption_and_an_alternative_text(path):
    figures = [c for c in read(path).cells if "plt.show()" in c.source]
    assert figures
    for cell in figures:
        figure, image = cell.metadata.mystnb["figure"], cell.metadata.mystnb["image"]
        assert figure["name"].startswith(f"{path.stem}-") and len(figure["caption"]) > 150 and len(image["alt"]) > 80
        assert re.search(r"pair|weights", figure["caption"]) and re.search(r"paper", figure["caption"])


@pytest.mark.parametrize("profile", sorted((ROOT / "notebooks" / "profiles").glob("*.yaml")), ids=lambda p: p.stem)
def test_profiles_are_valid(profile):
    listing = profiles.profile_of(ROOT, profile.stem)
    assert {run.notebook for run in listing.runs} == {path.stem for path in INPUTS}
    for run in listing.runs:
        path = ROOT / "notebooks" / f"{run.notebook}.ipynb"
        run_parameters.check_meaning(path, run_parameters.check(path, run.parameters))


@pytest.mark.parametrize("path", [*REFERENCE.glob("*.ipynb"), *PUBLISHED], ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_executed_copies_are_those_of_the_inputs(path):
    """Stale copies: other code, other parameters than the profile's, another version, or too large. The book takes prose from
    the notebooks."""
    listing, records = results.read(path.parent)
    (run,) = [run for run in profiles.profile_of(ROOT, listing.profile).runs if run.name == path.stem]
    executed, origin = read(path), records[run.name].provenance
    pages.chapter(ROOT, path, run, [], records)  # refuses code that is not the notebook's
    assert executed.metadata.papermill.parameters == run.parameters | {"record": run.name}
    assert origin.versions["trajtransfer"] == runner_version()
    assert origin.profile == listing.profile and "modified" not in origin.commit
    assert path.stat().st_size < 1_000_000
    outputs = [o for c in executed.cells for o in c.get("outputs", [])]
    assert not [o for o in outputs if o.output_type in ("stream", "error")]


def runner_version() -> str:
    from importlib.metadata import version

    return version("trajtransfer")


def nbval(folder: Path, names: list[str]) -> subprocess.CompletedProcess[str]:
    """Re-execute copies in `folder` and compare their outputs; numbers are left to the records.

    On one thread, as the references were: two processes can so run side by side, and another machine does the same sums.
    """
    environment = os.environ | {"TRAJTRANSFER_HOME": str(folder), "TRAJTRANSFER_PROFILE": "quick", "TQDM_DISABLE": "1"}
    environment |= {"OMP_NUM_THREADS": "1", "TRAJTRANSFER_RECORDS": str(folder)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--nbval", "--nbval-current-env"]
    command += [f"--nbval-sanitize-with={REFERENCE / 'sanitize.cfg'}", "--nbval-cell-timeout=600", *names]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=1500)


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
    names = sorted(p.name for p in copies.glob("*.ipynb"))
    deep = [name for name in names if "resnet" in (copies / name).read_text()]
    with ThreadPoolExecutor() as lanes:
        return list(lanes.map(lambda some: nbval(copies, some), (deep, [n for n in names if n not in deep])))


def test_the_sanitising_rules_are_all_loaded():
    """nbval silently drops rules that it cannot read."""
    from configparser import RawConfigParser

    rules = RawConfigParser()
    rules.read(REFERENCE / "sanitize.cfg")
    assert len(rules.sections()) == 2
    for section in rules.sections():
        re.compile(rules.get(section, "regex"))
        assert rules.get(section, "replace")


def test_nbval_passes_on_the_reference_copies(validated):
    assert all(done.returncode == 0 for done in validated), "\n".join(done.stdout[-4000:] for done in validated)
    assert sum(int(re.search(r"(\d+) passed", done.stdout).group(1)) for done in validated) >= 150


def record_of(path: Path) -> RecordFile:
    return read_json(path, RecordFile, "run `make reference`")


@pytest.mark.parametrize("name", sorted(p.stem for p in REFERENCE.glob("*.ipynb")))
def test_numbers_agree_within_named_tolerances(name, validated, copies):
    """The tolerances, and that they find something, are those of `comparison` and its tests; any machine may run this."""
    reference, found = (record_of(folder / f"{name}.json") for folder in (REFERENCE, copies))
    assert differences(reference, found, elsewhere(reference)) == []


def test_a_mutated_number_fails():
    reference = record_of(REFERENCE / "transfer.json")
    for column, change in (("accuracy", 0.13), ("gradient_pairs", 1), ("t", 1)):
        mutated = reference.model_copy(deep=True)
        mutated.tables["curves"][-1][column] += change
        (found,) = differences(reference, mutated)
        assert found.place == f"curves, row {len(reference.tables['curves'])}, {column}"
    for measure, values in reference.measures.items():
        mutated = reference.model_copy(deep=True)
        mutated.measures[measure][-1] = -5 * values[-1] - 5
        (found,) = differences(reference, mutated)
        assert found.place == f"{measure}, value {len(values)}"
    assert differences(reference, reference) == []


# Made before the work of that day was brought in as one commit, 6516ce9; to be run again, and then struck off here.
LOST = set("accelerated_training assumption_p_networks cost cost_networks transfer_conv8 transfer_pretrained".split())


def test_records_name_commits_of_this_history():
    def git(*arguments):
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)

    if git("rev-parse", "--is-shallow-repository").stdout.strip() != "false":
        pytest.skip("this is no checkout with its whole history")
    records = [path.with_suffix(".json") for path in (*REFERENCE.glob("*.ipynb"), *PUBLISHED)]
    commits = {record: json.loads(record.read_text())["provenance"]["commit"] for record in records}
    absent = {record for record, commit in commits.items() if git("merge-base", "--is-ancestor", commit, "HEAD").returncode}
    assert absent == {ROOT / "book" / "published" / f"{name}.json" for name in LOST}


def test_there_is_something_to_compare():
    """Every notebook has an executed copy among the references and among the published results."""
    for folder in (REFERENCE, ROOT / "book" / "published"):
        listing, records = results.read(folder)
        made = [run for run in profiles.profile_of(ROOT, listing.profile).runs if run.name in records]
        assert list(records) == [run.name for run in made]
        assert {run.notebook for run in made} == {path.stem for path in INPUTS}


def test_a_mutated_copy_fails(validated, copies):
    """nbval is shown to compare something: one changed word in one stored output."""
    mutated = read(copies / "permutation_symmetry.ipynb")
    outputs = [o for c in mutated.cells for o in c.get("outputs", []) if "barrier" in str(o.get("data", {}).get("text/markdown"))]
    assert outputs
    outputs[0].data["text/markdown"] = outputs[0].data["text/markdown"].replace("barrier", "carrier")
    nbformat.write(mutated, copies / "mutated.ipynb")
    done = nbval(copies, ["mutated.ipynb"])
    assert done.returncode == 1 and "carrier" in done.stdout and "1 failed" in done.stdout
