"""Files that people and earlier runs wrote: valid ones are read, all others are named with place and remedy."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
import yaml
from conftest import ROOT

from trajtransfer.paper.storage.documents import (
    Claim,
    DocumentError,
    Listing,
    Profile,
    RecordFile,
    read_claims,
    read_json,
    read_notebook,
    read_yaml,
)

REFERENCE = ROOT / "tests" / "reference"
READERS = {
    "profile": (ROOT / "notebooks" / "profiles" / "quick.yaml", lambda path: read_yaml(path, Profile, "mend it")),
    "listing": (REFERENCE / "results.json", lambda path: read_json(path, Listing, "mend it")),
    "record": (REFERENCE / "transfer.json", lambda path: read_json(path, RecordFile, "mend it")),
    "notebook": (REFERENCE / "transfer.ipynb", lambda path: read_notebook(path, "mend it")),
}
MALFORMED = {
    "empty": b"",
    "binary": bytes(range(256)),
    "null": b"null",
    "a list": b"[]",
    "an empty object": b"{}",
    "foreign": b'{"name": "somebody", "version": 3}',
    "cut off": b'{"name": "trans',
    "two documents": b"a: 1\n---\nb: 2\n",
    "a tab": b"description: x\nruns:\n\t- name: y\n",
    "deep": b"[" * 100_000,
    "an unknown tag": b"!!python/object:os.system {}\n",
    "a word": b"results",
    "a number": b"1e999",
}


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_files_are_named_with_a_remedy(kind, name, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(MALFORMED[name])
    with pytest.raises(DocumentError, match=rf"^{path}: .+; mend it$"):
        READERS[kind][1](path)


@pytest.mark.parametrize("kind", READERS)
def test_missing_files_and_folders_are_named_with_a_remedy(kind, tmp_path):
    for path in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(DocumentError, match=rf"^{path}: .+; mend it$"):
            READERS[kind][1](path)


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize("seed", range(20))
def test_damage_gives_no_other_error(kind, seed, tmp_path):
    """Bytes changed, cut out or doubled anywhere: read, or refused by name."""
    original, read = READERS[kind]
    chance, content = random.Random(seed), bytearray(original.read_bytes()[:20_000])
    for _ in range(chance.randrange(1, 4)):
        at = chance.randrange(len(content))
        content[at : at + chance.randrange(3)] = chance.randbytes(chance.randrange(3))
    path = tmp_path / "file"
    path.write_bytes(content)
    try:
        read(path)
    except DocumentError as error:
        assert str(error).startswith(f"{path}: ")


REPEATED = {
    "profile": "description: x\nruns: [{name: a, notebook: b, parameters: {width: 16, width: 32}}]\n",
    "listing": '{"made_by": "somebody", "made_by": "trajtransfer", "profile": "own", "complete": true, "runs": {}}',
    "record": '{"name": "a", "name": "b"}',
    "notebook": '{"nbformat": 4, "nbformat": 4}',
}


@pytest.mark.parametrize("kind", READERS)
def test_a_key_that_is_given_twice_is_refused(kind, tmp_path):
    (tmp_path / "file").write_text(REPEATED[kind])
    with pytest.raises(DocumentError, match="is given twice"):
        READERS[kind][1](tmp_path / "file")


ODD = ["note: !!bool maybe", "note: !!timestamp x", "note: 2020-13-45", "note: !!int x", f"note: {'9' * 5000}", "? [a]\n: b"]


@pytest.mark.parametrize("text", ODD)
def test_odd_values_in_yaml_are_named_with_file_and_remedy(text, tmp_path):
    (tmp_path / "file").write_text(f"description: x\n{text}\nruns: [{{name: a, notebook: b}}]\n")
    with pytest.raises(DocumentError, match=rf"^{tmp_path / 'file'}: .+; mend it$"):
        READERS["profile"][1](tmp_path / "file")


@pytest.mark.parametrize("change", [{"nbformat_minor": "x"}, {"nbformat": 4.0, "cells": 1}, {"metadata": []}, {"cells": [{}]}])
def test_odd_notebooks_are_named_with_file_and_remedy(change, tmp_path):
    content = json.loads(READERS["notebook"][0].read_text()) | change
    (tmp_path / "file").write_text(json.dumps(content))
    with pytest.raises(DocumentError, match=r": it is not a .*; mend it$"):
        READERS["notebook"][1](tmp_path / "file")


def changed(path: Path, target: Path, change) -> Path:
    """A copy of a document in YAML whose content was changed."""
    content = yaml.safe_load(path.read_text())
    change(content)
    target.write_text(yaml.safe_dump(content))
    return target


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: p["runs"].append(p["runs"][0]), "several runs are called permutation_symmetry"),
        (lambda p: p["runs"].clear(), r"runs: List should have at least 1 item"),
        (lambda p: p.pop("description"), "description: Field required"),
        (lambda p: p["runs"][2].pop("notebook"), "runs.2.notebook: Field required"),
        (lambda p: p["runs"][2].update(color="red"), "runs.2.color: Extra inputs are not permitted"),
        (lambda p: p["runs"][2].update(name="../home"), "runs.2.name: String should match pattern"),
        (lambda p: p["runs"][2].update(name="a-b"), "runs.2.name: String should match pattern"),
        (lambda p: p["runs"][2].update(name="results"), "its record would take the place of results.json"),
        (lambda p: p["runs"][2].update(parameters=[1]), "runs.2.parameters: Input should be a valid dictionary"),
        (lambda p: p["runs"][2]["parameters"].update(width=[1]), r"runs.2.parameters.width"),
    ],
)
def test_a_profile_is_refused_at_the_place_where_it_is_wrong(change, message, tmp_path):
    path = changed(READERS["profile"][0], tmp_path / "profile.yaml", change)
    with pytest.raises(DocumentError, match=message):
        READERS["profile"][1](path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c[0]["checks"][0].pop("at_most"), "claim 1.checks.0: a check needs exactly one of at_least and at_most"),
        (lambda c: c[0]["checks"][0].update(at_least=0), "exactly one of at_least and at_most"),
        (lambda c: c[0]["checks"][0].update(at_most=float("inf")), "a finite number"),
        (lambda c: c[3].update(checks=[]), "claim 4.checks: List should have at least 1 item"),
        (lambda c: c.append(c[0]), "several claims are called C1"),
        (lambda c: c.clear(), "it should be a list of claims and is a list"),
        (lambda c: c[1]["checks"][0].update(panel=4), "claim 2.checks.0.panel: Input should be a valid string"),
    ],
)
def test_claims_are_refused_at_the_place_where_they_are_wrong(change, message, tmp_path):
    (tmp_path / "book").mkdir()
    changed(ROOT / "book" / "claims.yml", tmp_path / "book" / "claims.yml", change)
    with pytest.raises(DocumentError, match=message):
        read_claims(tmp_path)


def test_claims_and_documents_do_not_change():
    claim = read_claims(ROOT)[0]
    assert isinstance(claim, Claim)
    with pytest.raises(ValueError, match="frozen"):
        claim.id = "C2"
