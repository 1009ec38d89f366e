"""What a specification says about groups of units, and what it refuses."""

from __future__ import annotations

import pytest
import torch
from cases import SMALL
from torch import nn

import trajtransfer as tt


def test_places_are_where_a_group_acts():
    spec = tt.PermutationSpec(
        {"a": 2, "b": 3},
        {
            "w": ((tt.AxisPart("a", 2),), (tt.AxisPart("b", 3), tt.AxisPart("b", 6, 2))),
            "bias": ((tt.AxisPart("a", 2),),),
            "scale": ((tt.AxisPart(None, 4),),),
        },
    )
    assert spec.places == {"a": (("w", 0), ("bias", 0)), "b": (("w", 1),)}


def test_neighbours_share_a_tensor_on_different_axes(generator):
    spec = tt.permutation_spec(SMALL[0].model(), SMALL[0].inputs(generator))
    first, second = spec.sizes
    assert spec.neighbours == {first: {second}, second: {first}}
    shallow = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    lone = tt.permutation_spec(shallow, torch.zeros(2, 3))
    assert list(lone.neighbours.values()) == [frozenset()]


def test_units_on_two_axes_are_neighbours_of_their_own():
    twice = ((tt.AxisPart("a", 3),), (tt.AxisPart("a", 3),))
    spec = tt.PermutationSpec({"a": 3}, {"w": twice})
    assert spec.places == {"a": (("w", 0), ("w", 1))} and spec.neighbours == {"a": {"a"}}


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (tt.AxisPart("a", 4), "4 entries in blocks of 1 are not the 3 units"),
        (tt.AxisPart("z", 3), "'z', which"),
    ],
)
def test_inconsistent_specifications_are_refused(part, message):
    with pytest.raises(ValueError, match=message):
        tt.PermutationSpec({"a": 3}, {"w": ((part,),)})
