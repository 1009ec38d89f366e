"""A page is the words of its notebook, the outputs of an executed copy, and what the claims make of its record."""

from __future__ import annotations

import json
import re

import nbformat
import pytest
import yaml
from conftest import ROOT

from trajtransfer import chapters, readme
from trajtransfer.runner import RunError, check, listing_of

PUBLISHED = ROOT / "book" / "published"
CLAIMS = yaml.safe_load((ROOT / "book" / "claims.yml").read_text())
PROFILE = json.loads((PUBLISHED / "profile.json").read_text())
ENTRIES = {entry["name"]: entry for entry in listing_of(ROOT, PROFILE["profile"])["runs"]}
RECORDS = {name: json.loads((PUBLISHED / f"{name}.json").read_text()) for name in PROFILE["runs"]}


def page(name: str, root=ROOT):
    return chapters.chapter(root, PUBLISHED / f"{name}.ipynb", ENTRIES[name], CLAIMS, RECORDS)


def text(content) -> str:
    return "\n".join(cell.source for cell in content.cells if cell.cell_type == "markdown")


@pytest.mark.parametrize("name", PROFILE["runs"])
def test_a_page_has_the_outputs_of_its_run_and_the_command_that_makes_it_again(name):
    executed = nbformat.read(PUBLISHED / f"{name}.ipynb", as_version=4)
    outputs = [cell.outputs for cell in executed.cells if cell.get("outputs")]
    assert [cell.outputs for cell in page(name).cells if cell.get("outputs")] == outputs
    command = text(page(name)).split("```bash\n")[-1].split("```")[0].replace("\\\n", "").split("-p ")
    assert command[0].split() == ["trajtransfer", "run", ENTRIES[name]["notebook"]]
    given = dict(part.strip().strip("'").split("=", 1) for part in command[1:])
    assert check(ROOT / "notebooks" / f"{ENTRIES[name]['notebook']}.ipynb", given) == ENTRIES[name]["parameters"]


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
        page("transfer", changed(tmp_path, "Seconds per target", "Quicksilver and seconds per target"))
    )


def test_code_that_was_not_run_is_refused(tmp_path):
    root = changed(tmp_path, "figsize=(10, 4)", "figsize=(10, 5)")
    with pytest.raises(RunError, match=r"code of transfer has changed .*--profile laptop --only transfer"):
        page("transfer", root)


def test_the_readme_shows_the_published_results():
    content = (ROOT / "README.md").read_text()
    assert f"{readme.START}\n{readme.results(ROOT)}{readme.END}" in content
    assert (PUBLISHED / "permutation_symmetry-transferred.png").read_bytes() == chapters.picture(
        page("permutation_symmetry"), "permutation_symmetry-transferred"
    )
    prose = content.split("```")[::2]
    assert len([word for word in " ".join(prose).split() if re.search(r"\w", word)]) <= 450
