"""Recorded and linear trajectories: one source and one length, whatever the way between."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pandas.testing import assert_frame_equal

from trajtransfer.paper import networks
from trajtransfer.paper.chapters import trajectories
from trajtransfer.paper.lab import Lab
from trajtransfer.paper.seeds import Seeds
from trajtransfer.paper.settings import setting

pytestmark = pytest.mark.usefixtures("home")  # one project for the module
TINY = setting("mnist5k-mlp", width=16, epochs=3)
PAIRS = [Seeds(1, 2), Seeds(2, 1)]
METHODS = ["naive", "fgmt"]


@pytest.fixture(scope="module")
def steps(home):
    return trajectories.transfers(Lab(TINY, "cpu"), METHODS, PAIRS)


def of(steps, **values):
    """The rows in which some columns have these values."""
    for column, value in values.items():
        steps = steps[steps[column] == value]
    return steps


def test_trajectories_are_as_long_as_training(steps):
    columns = [steps[name] for name in ("trajectory", "pair", "method", "t")]
    assert list(zip(*columns, strict=True)) == [
        (kind, str(pair), method, t)
        for kind in trajectories.KINDS
        for pair in PAIRS
        for method in METHODS
        for t in (1, 2, 3)
    ]


def test_trajectories_end_at_the_same_source(steps):
    """The identity does not care about the way: Naive ends at one point, by way of others."""
    for pair in PAIRS:
        naive = of(steps, pair=str(pair), method="naive")
        assert of(naive, t=3)["accuracy"].nunique() == 1
        assert of(naive, t=1)["accuracy"].nunique() > 1


@pytest.mark.parametrize("kind", trajectories.KINDS)
def test_rows_are_those_of_the_laboratory_along_that_trajectory(kind, steps):
    lab = Lab(replace(TINY, steps=3), "cpu")
    if kind == "recorded":
        line = networks.recorded(TINY, 2, "cpu")
    else:
        line = lab.line(2, kind.removeprefix("linear, "))
    found = [row for _, row in lab.follow("fgmt", Seeds(2, 1), line)]
    mine = of(steps, trajectory=kind, pair="2-1", method="fgmt").to_dict("records")
    for row, kept in zip(found, mine, strict=True):
        assert row | {"trajectory": kind, "seconds": 0} == kept | {"seconds": 0}


def test_what_was_made_is_read_back_in_every_column(steps, monkeypatch):
    monkeypatch.setattr(networks, "train", None)  # and nothing is trained again
    again = trajectories.transfers(Lab(TINY, "cpu"), METHODS, PAIRS)
    assert_frame_equal(again, steps)
