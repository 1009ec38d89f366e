"""Files that people and runs wrote: valid ones are read, others named with place and remedy."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from conftest import ROOT

from trajtransfer.paper.storage.documents import DocumentError
from trajtransfer.paper.storage.outcomes import Listing, RecordFile
from trajtransfer.paper.storage.plans import Contents, Profile
from trajtransfer.paper.storage.reading import (
    read_claims,
    read_contents,
    read_json,
    read_notebook,
    read_paper_items,
    read_yaml,
)

REFERENCE = ROOT / "tests" / "reference"
PROFILE = ROOT / "notebooks" / "profiles" / "quick.yaml"


class Reader(NamedTuple):
    """A file that is read, and how."""

    path: Path
    read: Callable[[Path], object]


READERS = {
    "profile": Reader(PROFILE, lambda path: read_yaml(path, Profile, "mend it")),
    "contents": Reader(ROOT / "_toc.yml", lambda path: read_yaml(path, Contents, "mend it")),
    "listing": Reader(REFERENCE / "results.json", lambda path: read_json(path, Listing, "mend it")),
    "record": Reader(
        REFERENCE / "transfer.json", lambda path: read_json(path, RecordFile, "mend it")
    ),
    "notebook": Reader(REFERENCE / "transfer.ipynb", lambda path: read_notebook(path, "mend it")),
}
# What a project has in one place: the file, and how it is read from the root.
OF_A_PROJECT = {
    "_toc.yml": read_contents,
    "book/claims.yml": read_claims,
    "book/where.yml": read_paper_items,
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
    "deep": b"[\n" * 100_000,  # PyYAML remembers every bracket of a line
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
        READERS[kind].read(path)


@pytest.mark.parametrize("place", OF_A_PROJECT)
@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_files_of_a_project_are_named_with_a_remedy(place, name, tmp_path):
    path = tmp_path / place
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(MALFORMED[name])
    with pytest.raises(DocumentError, match=rf"^{path}: .+; mend it, or take it from the repos"):
        OF_A_PROJECT[place](tmp_path)


@pytest.mark.parametrize("kind", READERS)
def test_missing_files_and_folders_are_named_with_a_remedy(kind, tmp_path):
    for path in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(DocumentError, match=rf"^{path}: .+; mend it$"):
            READERS[kind].read(path)


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize("seed", range(20))
def test_damage_gives_no_other_error(kind, seed, tmp_path):
    """Bytes changed, cut out or doubled anywhere: read, or refused by name."""
    chance = random.Random(seed)
    content = bytearray(READERS[kind].path.read_bytes()[:20_000])
    for _ in range(chance.randrange(1, 4)):
        at = chance.randrange(len(content))
        content[at : at + chance.randrange(3)] = chance.randbytes(chance.randrange(3))
    path = tmp_path / "file"
    path.write_bytes(content)
    try:
        READERS[kind].read(path)
    except DocumentError as error:
        assert str(error).startswith(f"{path}: ")


REPEATED = {
    "profile": "description: x\nruns: [{name: a, notebook: b, parameters: {w: 1, w: 2}}]\n",
    "contents": "format: jb-book\nroot: a\nroot: b\nparts: []\n",
    "listing": '{"made_by": "somebody", "made_by": "trajtransfer"}',
    "record": '{"name": "a", "name": "b"}',
    "notebook": '{"nbformat": 4, "nbformat": 4}',
}


@pytest.mark.parametrize("kind", READERS)
def test_a_key_that_is_given_twice_is_refused(kind, tmp_path):
    (tmp_path / "file").write_text(REPEATED[kind])
    with pytest.raises(DocumentError, match="is given twice"):
        READERS[kind].read(tmp_path / "file")


ODD = [
    "note: !!bool maybe",
    "note: !!timestamp x",
    "note: 2020-13-45",
    "note: !!int x",
    f"note: {'9' * 5000}",
    "? [a]\n: b",
]


@pytest.mark.parametrize("text", ODD)
def test_odd_values_in_yaml_are_named_with_file_and_remedy(text, tmp_path):
    path = tmp_path / "file"
    path.write_text(f"description: x\n{text}\nruns: [{{name: a, notebook: b}}]\n")
    with pytest.raises(DocumentError, match=rf"^{path}: .+; mend it$"):
        READERS["profile"].read(path)


@pytest.mark.parametrize(
    "change",
    [{"nbformat_minor": "x"}, {"nbformat": 4.0, "cells": 1}, {"metadata": []}, {"cells": [{}]}],
)
def test_odd_notebooks_are_named_with_file_and_remedy(change, tmp_path):
    content = json.loads(READERS["notebook"].path.read_text()) | change
    (tmp_path / "file").write_text(json.dumps(content))
    with pytest.raises(DocumentError, match=r": it is not a .*; mend it$"):
        READERS["notebook"].read(tmp_path / "file")
