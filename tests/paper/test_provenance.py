"""Addresses name the code that decides numbers: its statements, and nothing that decides none."""

from __future__ import annotations

import shutil

import pytest

from trajtransfer.paper import provenance
from trajtransfer.paper.provenance import IDLE_MODULES, circumstances, code_digest

CHAPTERS = [
    f"trajtransfer.paper.chapters.{path.stem}"
    for path in sorted((provenance.PACKAGE / "paper" / "chapters").glob("[a-z]*.py"))
]


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A copy of the package that a test may change."""
    copy = tmp_path / "trajtransfer"
    shutil.copytree(provenance.PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(provenance, "PACKAGE", copy)
    forget()
    yield copy
    monkeypatch.undo()
    forget()


def forget():
    code_digest.cache_clear()
    provenance._statements.cache_clear()


def changed(path, before, after):
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))
    forget()


def test_words_and_layout_decide_nothing(package):
    before = code_digest("trajtransfer.paper.transfers")
    path = package / "algorithms.py"
    text = path.read_text().replace('"""Naive', '"""The methods: Naive')
    path.write_text(text + "\n# a comment\n")
    forget()
    assert code_digest("trajtransfer.paper.transfers") == before


@pytest.mark.parametrize(
    ("file", "before", "after"),
    [
        ("algorithms.py", "t - 1, pi", "t, pi"),
        ("matching/descent.py", "max_sweeps: int = 100", "max_sweeps: int = 99"),
        ("paper/training.py", "seed * 1_000_003", "seed * 1_000_033"),
        ("paper/transfers.py", "if not number or", "if number or"),
    ],
)
def test_every_statement_on_the_way_counts(package, file, before, after):
    module = "trajtransfer.paper.transfers"
    digest = code_digest(module)
    changed(package / file, before, after)
    assert code_digest(module) != digest


@pytest.mark.parametrize("module", [*CHAPTERS, "trajtransfer.paper.networks"])
def test_figures_measures_records_and_pages_are_not_on_the_way(module):
    """So a changed caption, colour or table costs seconds."""
    beside = ("figures", "measures", "record", "tables", "presentation", "claims", "reported")
    found = provenance._imported(module)
    assert module in found
    assert not {f"trajtransfer.paper.{name}" for name in beside} & found
    assert not [name for name in found if name.startswith((*IDLE_MODULES, "trajtransfer.publish"))]


def test_the_code_of_a_chapter_holds_the_whole_core():
    found = provenance._imported("trajtransfer.paper.transfers")
    core = {"algorithms", "objective", "permutation", "params", "trajectory"}
    assert {f"trajtransfer.{name}" for name in core} <= found
    assert "trajtransfer.matching.descent" in found
    assert {"trajtransfer.paper.networks", "trajtransfer.paper.training"} <= found


def test_how_a_specification_is_read_off_decides_the_specification_alone():
    """Which is part of an address itself: a new rule for other networks makes no unit anew."""
    of_structures = provenance._imported("trajtransfer.paper.structures")
    assert {"trajtransfer.tracing.trace", "trajtransfer.paper.architectures"} <= of_structures
    found = provenance._imported("trajtransfer.paper.transfers")
    assert not [name for name in found if name.startswith("trajtransfer.tracing")]


def test_threads_decide_the_last_digits_of_a_cpu():
    about = circumstances("trajtransfer.paper.networks", "cpu")
    assert about["device"] == "cpu, threads: 1" and about["libraries"].keys() >= {"torch", "numpy"}
