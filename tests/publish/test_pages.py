"""A page: the words of its notebook, the outputs of a copy, what the claims make of its record."""

from __future__ import annotations

import re
import subprocess

import nbformat
import pytest
from conftest import ROOT

from trajtransfer.paper.claims import judged
from trajtransfer.paper.storage import results
from trajtransfer.paper.storage.documents import DocumentError
from trajtransfer.paper.storage.plans import Run
from trajtransfer.paper.storage.project import RunError
from trajtransfer.paper.storage.reading import read_claims
from trajtransfer.publish import pages, readme
from trajtransfer.publish.parameters import convert, parse_assignment
from trajtransfer.publish.profiles import profile_of

PUBLISHED = ROOT / "book" / "published"
CLAIMS = read_claims(ROOT)
LISTING, RECORDS = results.read(PUBLISHED)
RUNS = {run.name: run for run in profile_of(ROOT, LISTING.profile).runs}


def page(name: str, root=ROOT, executed=None):
    executed = executed or PUBLISHED / f"{name}.ipynb"
    return pages.chapter(root, executed, RUNS[name], CLAIMS, RECORDS)


def text(content) -> str:
    return "\n".join(cell.source for cell in content.cells if cell.cell_type == "markdown")


def given_again(words: str, run: Run) -> dict[str, object]:
    """The parameters in the command of a page, as a shell and we read it."""
    command = words.split("```bash\n")[-1].split("```")[0]
    program, _, rest = command.partition(" ")
    said = subprocess.run(["bash", "-c", f"printf '%s\\0' {rest}"], capture_output=True, text=True)
    verb, notebook, *options = said.stdout.split("\0")[:-1]
    assert (program, verb, notebook) == ("trajtransfer", "run", run.notebook)
    assert options[::2] == ["-p"] * (len(options) // 2)
    given = dict(parse_assignment(option) for option in options[1::2])
    return convert(ROOT / "notebooks" / f"{notebook}.ipynb", given)


@pytest.mark.parametrize("name", RUNS)
def test_the_command_of_a_page_gives_the_parameters_of_its_run(name):
    """Lists included, for all runs of the profile and whatever is published of them."""
    record = next(iter(RECORDS.values()))
    words = pages._again(RUNS[name], record)
    assert given_again(words, RUNS[name]) == RUNS[name].parameters


def test_lists_are_quoted_so_that_they_can_be_pasted():
    given = {"setting": "mnist5k-mlp", "methods": ["naive", "gmt"], "pairs": "1-2, 3-4"}
    run = Run(name="own", notebook="transfer", parameters=given)
    words = pages._again(run, next(iter(RECORDS.values())))
    lines = words.split("```bash\n")[1].splitlines()
    assert lines[:-1] == [
        "trajtransfer run transfer \\",
        "  -p setting=mnist5k-mlp \\",
        """  -p methods='["naive", "gmt"]' \\""",
        "  -p pairs='1-2, 3-4'",
    ]


@pytest.mark.parametrize("name", RECORDS)
def test_a_page_has_the_outputs_of_its_run_and_the_command_that_makes_it_again(name):
    executed = nbformat.read(PUBLISHED / f"{name}.ipynb", as_version=4)
    outputs = [cell.outputs for cell in executed.cells if cell.get("outputs")]
    assert [cell.outputs for cell in page(name).cells if cell.get("outputs")] == outputs
    assert given_again(text(page(name)), RUNS[name]) == RUNS[name].parameters


def test_a_page_opens_with_the_claims_and_closes_with_what_was_found():
    found = page("transfer")
    opening = found.cells[1].source
    assert "What the paper claims" in opening and '<a href="../claims.html#c6">C6</a>' in opening
    closing = text(found).split("## What we found")[1]
    assert '<a href="../claims.html#c7">C7</a> ' in closing and "| C6 *(beside)* |" in closing
    assert "share of the way from Naive to Oracle" not in closing  # another chapter's check
    assert "What we found" not in text(page("own_network"))


def test_a_page_opens_with_what_became_of_each_claim_and_where_that_is_decided():
    verdicts = judged(CLAIMS, RECORDS)
    outcomes = {verdict.claim.id: str(verdict.outcome.value).capitalize() for verdict in verdicts}
    lines = page("transfer_conv_again").cells[1].source.splitlines()
    (own,) = [line for line in lines if ">C6<" in line]
    assert own.endswith(f"**{outcomes['C6']}, by what this page measures.**")
    lines = page("transfer_conv").cells[1].source.splitlines()
    (others,) = [line for line in lines if ">C6<" in line]
    where = "[another chapter](transfer_conv_again.ipynb)"
    assert others.endswith(f"**{outcomes['C6']}, by what {where} measures.**")


def test_a_claim_whose_deciding_run_is_missing_is_not_decided():
    few = {"transfer_conv": RECORDS["transfer_conv"]}
    verdicts = [verdict for verdict in judged(CLAIMS, few) if verdict.claim.id == "C6"]
    assert pages._claimed(verdicts, RUNS["transfer_conv"]).endswith(
        "**Not decided by these runs.**\n:::"
    )


def test_what_a_title_says_in_parentheses_becomes_a_line_below_it():
    title = "# Figure 5a: perceptron\n\n*Transfer between random initialisations; section 4.1*\n"
    assert page("transfer").cells[0].source.startswith(title)
    assert page("from_scratch").cells[0].source.startswith("# The method from scratch\n\nA")


def changed(tmp_path, old: str, new: str):
    """A project whose transfer notebook reads differently."""
    (tmp_path / "notebooks").mkdir()
    source = (ROOT / "notebooks" / "transfer.ipynb").read_text()
    assert old in source
    (tmp_path / "notebooks" / "transfer.ipynb").write_text(source.replace(old, new))
    return tmp_path


def test_prose_is_taken_from_the_notebook_and_code_is_not(tmp_path):
    words = "Quicksilver and, per target: standard"
    root = changed(tmp_path, "Per target: standard", words)
    assert words in text(page("transfer", root))


def test_code_that_was_not_run_is_refused(tmp_path):
    root = changed(tmp_path, "figsize=(7.4, 4.6)", "figsize=(7.4, 5)")
    words = r"code of transfer has changed .*--profile \w+ --only transfer"
    with pytest.raises(RunError, match=words):
        page("transfer", root)


def test_a_copy_that_is_no_notebook_is_refused_by_name(tmp_path):
    (tmp_path / "transfer.ipynb").write_text('{"nbformat": 4, "cells": [')
    with pytest.raises(DocumentError, match=r"transfer\.ipynb: line 1.*--only transfer"):
        page("transfer", executed=tmp_path / "transfer.ipynb")


def test_the_readme_shows_the_published_results():
    content = (ROOT / "README.md").read_text()
    assert f"{readme.START}\n{readme.shown(ROOT)}{readme.END}" in content
    name = "permutation_symmetry-transferred"
    picture = pages.picture(page("permutation_symmetry"), name)
    assert (PUBLISHED / f"{name}.png").read_bytes() == picture
    prose = content.split("```")[::2]
    assert len([word for word in " ".join(prose).split() if re.search(r"\w", word)]) <= 450
