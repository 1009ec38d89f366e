"""Pairs of seeds: what is written is what is read, and nothing that cannot be meant."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trajtransfer.paper.seeds import LARGEST, Seeds, seed_pair, seed_pairs

SEEDS = st.integers(0, LARGEST - 1)
PAIRS = st.builds(Seeds, SEEDS, SEEDS).filter(lambda pair: pair.source != pair.target)


@given(pairs=st.lists(PAIRS, min_size=1, max_size=5, unique=True), space=st.sampled_from(["", " "]))
def test_what_is_written_is_what_is_read(pairs, space):
    text = f",{space}".join(str(pair) for pair in pairs)
    assert seed_pairs(text) == pairs
    assert all(isinstance(pair, Seeds) for pair in seed_pairs(text))


@given(pair=PAIRS)
def test_a_single_pair_is_that_of_the_list(pair):
    assert seed_pair(str(pair)) == pair == seed_pairs(str(pair))[0]


def test_pairs_are_read():
    assert seed_pairs("1-2, 3-4") == [(1, 2), (3, 4)]
    assert seed_pair("3-4") == (3, 4)
    assert seed_pair("3-4").source == 3 and seed_pair("3-4").target == 4
    assert str(Seeds(1, 2)) == f"{Seeds(1, 2)}" == "1-2"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1-1", "seed pair 1-1: source and target are the same"),
        ("1:2", "not of the form '1-2, 3-4'"),
        ("", "not of the form"),
        ("1-2,", "not of the form"),
        ("1-2-3", "not of the form"),
        ("1--2", "not of the form"),
        ("1-2,1-2", "names a pair twice"),
        ("1-02, 1-2", "names a pair twice"),
        (f"1-{LARGEST}", f"seed pair 1-{LARGEST}: seeds are whole numbers below {LARGEST}"),
    ],
)
def test_bad_seed_pairs_are_refused(text, message):
    with pytest.raises(ValueError, match=message):
        seed_pairs(text)


def test_several_pairs_are_not_one():
    with pytest.raises(ValueError, match="names 2 pairs; this notebook follows one"):
        seed_pair("1-2, 3-4")
