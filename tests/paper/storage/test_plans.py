"""What people write is refused at the place where it is wrong, and else kept as it is."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from conftest import ROOT

from trajtransfer.paper.storage.documents import DocumentError
from trajtransfer.paper.storage.plans import Claim, Profile
from trajtransfer.paper.storage.reading import (
    read_claims,
    read_contents,
    read_paper_items,
    read_yaml,
)

PROFILE = ROOT / "notebooks" / "profiles" / "quick.yaml"


def changed(path: Path, target: Path, change) -> Path:
    """A copy of a document in YAML whose content was changed."""
    content = yaml.safe_load(path.read_text())
    change(content)
    target.parent.mkdir(exist_ok=True)
    target.write_text(yaml.safe_dump(content))
    return target


def run(content: dict) -> dict:
    """A run in the middle of a profile."""
    return content["runs"][2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: p["runs"].append(p["runs"][0]), "several runs are called permutation_symmetry"),
        (lambda p: p["runs"].clear(), r"runs: List should have at least 1 item"),
        (lambda p: p.pop("description"), "description: Field required"),
        (lambda p: run(p).pop("notebook"), "runs.2.notebook: Field required"),
        (lambda p: run(p).update(color="red"), "runs.2.color: Extra inputs are not permitted"),
        (lambda p: run(p).update(name="../home"), "runs.2.name: String should match pattern"),
        (lambda p: run(p).update(name="a-b"), "runs.2.name: String should match pattern"),
        (lambda p: run(p).update(name="results"), "would take the place of results.json"),
        (lambda p: run(p).update(threads=0), "runs.2.threads: Input should be greater"),
        (lambda p: run(p).update(threads="1"), "runs.2.threads: Input should be a valid integer"),
        (lambda p: run(p).update(part=""), "runs.2.part: String should have at least 1"),
        (
            lambda p: run(p).update(parameters=[1]),
            "runs.2.parameters: Input should be a valid dict",
        ),
        (lambda p: run(p)["parameters"].update(width={"a": 1}), r"runs.2.parameters.width"),
        (lambda p: run(p)["parameters"].update(width=[[1]]), r"runs.2.parameters.width"),
        (lambda p: run(p)["parameters"].update(width=[None]), r"runs.2.parameters.width"),
    ],
)
def test_a_profile_is_refused_at_the_place_where_it_is_wrong(change, message, tmp_path):
    path = changed(PROFILE, tmp_path / "profile.yaml", change)
    with pytest.raises(DocumentError, match=message):
        read_yaml(path, Profile, "mend it")


def test_a_profile_keeps_lists_numbers_and_texts_apart(tmp_path):
    given = {"widths": [8, 32], "methods": ["naive"], "empty": [], "width": 8.0, "fast": True}
    path = changed(PROFILE, tmp_path / "profile.yaml", lambda p: run(p).update(parameters=given))
    found = read_yaml(path, Profile, "mend it").runs[2].parameters
    assert found == given and type(found["widths"][0]) is int and found["fast"] is True


def check(content: dict, claim: int = 0) -> dict:
    """The first check of a claim."""
    return content["claims"][claim]["checks"][0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: check(c).pop("at_most"), "claims.0.checks.0: a check needs exactly one of"),
        (lambda c: c["gates"][1].pop("at_least"), "gates.1: a check needs exactly one of"),
        (lambda c: check(c).update(primary=False), "claims.0: a claim is decided by one primary"),
        (lambda c: check(c).update(at_least=0), "exactly one of at_least and at_most"),
        (lambda c: check(c).update(at_most=float("inf")), "a finite number"),
        (lambda c: c["claims"][3].update(checks=[]), "claims.3.checks: List should have at least"),
        (lambda c: c["claims"].append(c["claims"][0]), "several claims are called C1"),
        (lambda c: c.pop("claims"), "claims: Field required"),
        (lambda c: check(c, 1).update(panel=4), "claims.1.checks.0.panel: Input should be a valid"),
    ],
)
def test_claims_are_refused_at_the_place_where_they_are_wrong(change, message, tmp_path):
    changed(ROOT / "book" / "claims.yml", tmp_path / "book" / "claims.yml", change)
    with pytest.raises(DocumentError, match=message):
        read_claims(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop("root"), "root: Field required"),
        (lambda c: c.update(format="jb-article"), "format: Input should be 'jb-book'"),
        (lambda c: c["parts"].append(c["parts"][0]), "several parts are called The symmetry"),
        (
            lambda c: c["parts"][1]["chapters"].append({"file": c["root"]}),
            "introduction stands the",
        ),
        (lambda c: c["parts"][1].pop("caption"), "parts.1.caption: Field required"),
        (lambda c: c["parts"][1]["chapters"][0].pop("file"), "parts.1.chapters.0.file: Field req"),
        (lambda c: c["parts"].clear(), "parts: List should have at least 1 item"),
    ],
)
def test_contents_are_refused_at_the_place_where_they_are_wrong(change, message, tmp_path):
    changed(ROOT / "_toc.yml", tmp_path / "_toc.yml", change)
    with pytest.raises(DocumentError, match=message):
        read_contents(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w[2].pop("figures"), "item 3.figures: Field required"),
        (lambda w: w[2].update(figures=[]), "item 3.figures: List should have at least 1 item"),
        (lambda w: w[2].update(figures=["theorem"]), "item 3.figures.0: String should match patt"),
        (lambda w: w[2].update(paper=3), "item 3.paper: Input should be a valid string"),
    ],
)
def test_items_of_the_paper_are_refused_at_the_place_where_they_are_wrong(
    change, message, tmp_path
):
    changed(ROOT / "book" / "where.yml", tmp_path / "book" / "where.yml", change)
    with pytest.raises(DocumentError, match=message):
        read_paper_items(tmp_path)


def test_claims_and_documents_do_not_change():
    claim = read_claims(ROOT).claims[0]
    assert isinstance(claim, Claim)
    with pytest.raises(ValueError, match="frozen"):
        claim.id = "C2"
