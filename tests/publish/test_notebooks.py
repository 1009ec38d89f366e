"""Notebooks: how they read."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import nbformat
import pytest
from conftest import ROOT

from trajtransfer.publish.meaning import check_meaning
from trajtransfer.publish.parameters import convert
from trajtransfer.publish.profiles import profile_of

INPUTS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PROFILES = sorted(path.stem for path in (ROOT / "notebooks" / "profiles").glob("*.yaml"))


def code_of(path: Path) -> list[nbformat.NotebookNode]:
    """The cells of a notebook that hold code."""
    cells = nbformat.read(path, as_version=4).cells
    return [cell for cell in cells if cell.cell_type == "code"]


def found_in(tree: ast.AST, *kinds: type[ast.AST]) -> list[ast.AST]:
    return [node for node in ast.walk(tree) if isinstance(node, kinds)]


@pytest.mark.parametrize("path", INPUTS, ids=lambda p: p.stem)
def test_inputs_are_short_and_hold_no_outputs(path):
    cells = code_of(path)
    most = 15 if path.stem == "from_scratch" else 12  # that page is about its code
    assert 6 <= len(cells) <= most and cells[1].metadata.tags[0] == "parameters"
    assert "install" in cells[0].metadata.tags
    assert "trajtransfer[paper]" in cells[0].source
    for cell in cells:
        lines = cell.source.splitlines()
        assert not cell.outputs and cell.execution_count is None
        folded = {"hide-input", "hide-cell"} & set(cell.metadata.get("tags", []))
        assert len(lines) <= (18 if folded else 15)
        assert max(map(len, lines)) <= 78, "a page cuts longer lines off"


@pytest.mark.parametrize("path", INPUTS, ids=lambda p: p.stem)
def test_what_is_not_the_method_is_folded(path):
    """Parameters, set-up and provenance open at a click; all that computes is seen at once."""
    cells = code_of(path)
    plumbing = [cells[1], cells[2], cells[-1]]
    for cell in plumbing:
        assert "hide-input" in cell.metadata.tags and "code_prompt_show" in cell.metadata.mystnb
    for cell in cells[3:-1]:
        assert "hide-input" not in cell.metadata.get("tags", [])


@pytest.mark.parametrize("path", INPUTS, ids=lambda p: p.stem)
def test_inputs_define_nothing_and_nest_no_loops(path):
    if path.stem in ("from_scratch", "own_network"):
        pytest.skip("the method, or the reader's own model, as anyone would write it")
    for cell in code_of(path):
        tree = ast.parse(cell.source)
        assert not found_in(tree, ast.FunctionDef, ast.ClassDef, ast.Lambda)
        for loop in found_in(tree, ast.For):
            assert found_in(loop, ast.For) == [loop]


@pytest.mark.parametrize("path", INPUTS, ids=lambda p: p.stem)
def test_every_parameter_has_a_type_and_a_comment(path):
    (cell,) = [cell for cell in code_of(path) if "parameters" in cell.metadata.get("tags", [])]
    for line in cell.source.splitlines():
        assert re.fullmatch(r"\w+: (int|float|str|bool|list) = \S.*  # .+", line), line


@pytest.mark.parametrize("path", INPUTS, ids=lambda p: p.stem)
def test_every_figure_has_a_label_a_caption_and_an_alternative_text(path):
    figures = [cell for cell in code_of(path) if "plt.show()" in cell.source]
    assert figures
    for cell in figures:
        figure = cell.metadata.mystnb["figure"]
        image = cell.metadata.mystnb["image"]
        assert figure["name"].startswith(f"{path.stem}-")
        assert len(figure["caption"]) > 150 and len(image["alt"]) > 80
        assert re.search(r"pair|weights", figure["caption"])
        assert re.search(r"paper", figure["caption"])


@pytest.mark.parametrize("profile", sorted({*PROFILES} - {"repeat"}))
def test_profiles_have_every_notebook(profile):
    runs = profile_of(ROOT, profile).runs
    assert {run.notebook for run in runs} == {path.stem for path in INPUTS}


@pytest.mark.slow  # it reads all data
def test_the_parameters_of_every_run_can_be_meant():
    """Those of each run once, in however many profiles it is."""
    runs = {}
    for run in (run for profile in PROFILES for run in profile_of(ROOT, profile).runs):
        runs[json.dumps([run.notebook, run.parameters], sort_keys=True)] = run
    for run in runs.values():
        path = ROOT / "notebooks" / f"{run.notebook}.ipynb"
        check_meaning(path, convert(path, run.parameters))
