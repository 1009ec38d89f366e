"""Every measure and every column has one kind, and every kind a tolerance."""

from __future__ import annotations

import re

from conftest import ROOT

from trajtransfer.algorithms import METHODS
from trajtransfer.paper.storage import results
from trajtransfer.publish.tolerances import (
    COLUMNS,
    COLUMNS_OF_KINDS,
    FACTORS,
    LAST_DIGIT,
    MEASURES,
    OTHER,
    ROUGH,
    SAME,
    TOLERANCES,
    allowed,
    kind_of_measure,
)

RECORDS = [
    record
    for folder in (ROOT / "tests" / "reference", ROOT / "book" / "published")
    for record in results.read(folder)[1].values()
]


def test_every_kind_is_of_some_column_or_measure():
    assert COLUMNS_OF_KINDS.keys() | MEASURES.keys() == TOLERANCES.keys()


def test_a_column_has_one_kind():
    assert len(COLUMNS) == sum(len(names.split(", ")) for names in COLUMNS_OF_KINDS.values())


def test_a_measure_has_one_kind():
    for name in {name for record in RECORDS for name in record.measures}:
        assert sum(bool(re.fullmatch(form, name)) for form in MEASURES.values()) == 1, name


def test_every_method_is_known_in_the_names_of_measures():
    """So that a new one can be compared between two runs."""
    for name in METHODS:
        assert kind_of_measure(f"{name}-final-minus-naive") == "accuracy"


def test_what_is_allowed_grows_from_the_same_machine_to_rough_networks():
    for kind in TOLERANCES:
        same, other, rough = (allowed(kind, 1.0, 1.0, how) for how in (SAME, OTHER, ROUGH))
        assert same <= other <= rough
        assert same <= LAST_DIGIT or kind == "seconds"
    assert FACTORS[OTHER] == 1
