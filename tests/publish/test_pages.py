"""A page is the words of its notebook, the outputs of an executed copy, and what the claims make of its record."""

from __future__ import annotations

import re

import nbformat
import pytest
from conftest import ROOT

from trajtransfer.paper.storage import results
from trajtransfer.paper.storage.documents import DocumentError, read_claims
from trajtransfer.paper.storage.project import RunError
from trajtransfer.publish import pages, readme
from trajtransfer.publish.profiles import profile_of
from trajtransfer.publish.run_parameters import check

PUBLISHED = ROOT / "book" / "published"
CLAIMS = read_claims(ROOT)
LISTING, RECORDS = results.read(PUBLISHED)
RUNS = {run.name: run for run in profile_of(ROOT, LISTING.profile).runs}


def page(name: str, root=ROOT, executed=None):
    executed = executed or PUBLISHED / f"{name}.ipynb"
    return pages.chapter(root, executed, RUNS[name], CLAIMS, RECORDS)


def text(content) -> str:
    return "\n".join(cell.source for cell in content.cells if cell.cell_type == "markdown")


@pytest.mark.parametrize("name", RECORDS)
def test_a_page_has_the_outputs_of_its_run_and_the_command_that_makes_it_again(name):
    executed = nbformat.read(PUBLISHED / f"{name}.ipynb", as_version=4)
    outputs = [cell.outputs for cell in executed.cells if cell.get("outputs")]
    assert [cell.outputs for cell in page(name).cells if cell.get("outputs")] == outputs
    command = text(page(name)).split("```bash\n")[-1].split("```")[0].replace("\\\n", "").split("-p ")
    assert command[0].split() == ["trajtransfer", "run", RUNS[name].notebook]
    given = dict(part.strip().strip("'").split("=", 1) for part in command[1:])
    assert check(ROOT / "notebooks" / f"{RUNS[name].notebook}.ipynb", given) == RUNS[name].parameters


def test_a_page_opens_with_the_claims_and_closes_with_what_was_found():
    found = page("transfer")
    assert "What the paper claims" in found.cells[1].source and "[C6](../claims.md)" in found.cells[1].source
    closing = text(found).split("## What we found")[1]
    assert "[C7](../claims.md) holds" in closing and "| C6 |" in closing and "Conv8" not in closing.split("| C13")[0]
    assert "What we found" not in text(page("transfer_1024"))


def changed(tmp_path, old: str, new: str):
    """A project whose transfer notebook reads differently."""
    (tmp_path / "notebooks").mkdir()
    source = (ROOT / "notebooks" / "transfer.ipynb").read_text()
    assert old in source
    (tmp_path / "notebooks" / "transfer.ipynb").write_text(source.replace(old, new))
    return tmp_path


def test_prose_is_taken_from_the_notebook_and_code_is_not(tmp_path):
    assert "Quicksilver and" in text(
        page("transfer", changed(tmp_path, "Per target: standard", "Quicksilver and, per target: standard"))
    )


def test_code_that_was_not_run_is_refused(tmp_path):
    root = changed(tmp_path, "figsize=(10, 4)", "figsize=(10, 5)")
    with pytest.raises(RunError, match=r"code of transfer has changed .*--profile laptop --only transfer"):
        page("transfer", root)


def test_a_copy_that_is_no_notebook_is_refused_by_name(tmp_path):
    (tmp_path / "transfer.ipynb").write_text('{"nbformat": 4, "cells": [')
    with pytest.raises(DocumentError, match=r"transfer\.ipynb: line 1.*--only transfer"):
        page("transfer", executed=tmp_path / "transfer.ipynb")


def test_the_readme_shows_the_published_results():
    content = (ROOT / "README.md").read_text()
    assert f"{readme.START}\n{readme.shown(ROOT)}{readme.END}" in content
    assert (PUBLISHED / "permutation_symmetry-transferred.png").read_bytes() == pages.picture(
        page("permutation_symmetry"), "permutation_symmetry-transferred"
    )
    prose = content.split("```")[::2]
    assert len([word for word in " ".join(prose).split() if re.search(r"\w", word)]) <= 450
