"""The group axioms and the action on weights."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import trajtransfer as tt

SPEC = tt.PermutationSpec(
    {"a": 5, "b": 3},
    {
        "w": ((tt.AxisPart("a", 5),), (tt.AxisPart(None, 4),)),
        "v": (
            (tt.AxisPart("b", 3), tt.AxisPart(None, 2)),
            (tt.AxisPart("a", 10, 2), tt.AxisPart("a", 5)),
        ),
        "mean": ((tt.AxisPart("b", 3),),),
        "count": (),
    },
    frozenset({"mean", "count"}),
)
SEEDS = st.integers(0, 2**31)


def draw(seed: int) -> tt.Permutation:
    return tt.Permutation.random(SPEC, torch.Generator().manual_seed(seed))


def point(seed: int) -> tt.Params:
    g = torch.Generator().manual_seed(seed)
    shapes = {"w": (5, 4), "v": (5, 15), "mean": (3,), "count": ()}
    return tt.Params({name: torch.randn(shape, generator=g) for name, shape in shapes.items()})


def same(x: tt.Params, y: tt.Params) -> bool:
    return x.keys() == y.keys() and all(torch.equal(x[name], y[name]) for name in x)


@given(SEEDS, SEEDS, SEEDS)
def test_group_axioms(i, j, k):
    a = draw(i)
    b = draw(j)
    c = draw(k)
    e = tt.Permutation.identity(SPEC)
    assert (a @ b) @ c == a @ (b @ c)
    assert a @ e == a == e @ a
    assert a @ a.inverse() == e == a.inverse() @ a


@given(SEEDS, SEEDS)
def test_the_action_is_one(i, j):
    a = draw(i)
    b = draw(j)
    x = point(i)
    assert same((a @ b)(x), a(b(x)))
    assert same(tt.Permutation.identity(SPEC)(x), x)
    assert same(a.inverse()(a(x)), x)


@given(SEEDS, SEEDS)
def test_the_action_is_linear_and_orthogonal(i, j):
    pi = draw(i)
    x = point(i)
    y = point(j)
    assert same(pi(x + 2.0 * y), pi(x) + 2.0 * pi(y))
    assert abs(pi(x) @ pi(y) - x @ y) <= 1e-12 * x.norm() * y.norm()


@given(SEEDS)
def test_unit_i_of_the_image_is_unit_indices_i(i):
    pi = draw(i)
    x = point(i)
    a = pi.indices["a"]
    b = pi.indices["b"]
    moved = pi(x)
    assert torch.equal(moved["w"], x["w"][a])
    assert torch.equal(moved["mean"], x["mean"][b])
    blocks = x["v"][:, :10].reshape(5, 5, 2)[:, a].reshape(5, 10)
    whole = torch.cat([blocks, x["v"][:, 10:][:, a]], 1)
    assert torch.equal(moved["v"], torch.cat([whole[:3][b], whole[3:]]))


def test_random_elements_are_uniform_and_seeded(generator):
    drawn = [tt.Permutation.random(SPEC, generator).indices["b"] for _ in range(3000)]
    shares = torch.stack([(torch.stack(drawn) == unit).float().mean(0) for unit in range(3)])
    assert (shares - 1 / 3).abs().max() < 0.04
    assert draw(1) == draw(1)


def test_unknown_tensors_and_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match="does not know the tensor 'u'"):
        draw(0)(tt.Params({"u": torch.zeros(5)}))
    with pytest.raises(
        ValueError, match=r"'w' has shape \(4, 4\), the specification says \(5, 4\)"
    ):
        draw(0)(tt.Params({"w": torch.zeros(4, 4)}))


def test_permutations_of_different_specifications_do_not_compose():
    other = tt.PermutationSpec({"a": 5}, {"w": ((tt.AxisPart("a", 5),),)})
    with pytest.raises(ValueError, match="different specifications"):
        draw(0) @ tt.Permutation.identity(other)


@given(SEEDS)
def test_every_index_of_another_kind_of_whole_numbers_becomes_int64(i):
    pi = draw(i)
    for dtype in (torch.int32, torch.int16, torch.uint8):
        indices = {units: x.to(dtype) for units, x in pi.indices.items()}
        same_one = tt.Permutation(SPEC, indices)
        assert same_one == pi
        assert {x.dtype for x in same_one.indices.values()} == {torch.int64}


def constructed(numbers: list[int]) -> tt.Permutation:
    return tt.Permutation(SPEC, {"a": torch.tensor(numbers), "b": torch.arange(3)})


def replaced(numbers: list[int]) -> tt.Permutation:
    return tt.Permutation.identity(SPEC).replace("a", torch.tensor(numbers))


@pytest.mark.parametrize("make", [constructed, replaced])
@given(st.lists(st.integers(-2, 7), min_size=3, max_size=7))
def test_indices_are_accepted_if_and_only_if_they_are_a_permutation(make, numbers):
    if sorted(numbers) == list(range(5)):
        assert make(numbers).indices["a"].tolist() == numbers
    else:
        with pytest.raises(ValueError, match="units 'a'"):
            make(numbers)


@given(st.permutations(range(5)))
def test_every_permutation_is_accepted(numbers):
    assert replaced(numbers).indices["a"].tolist() == numbers


def test_what_follows_from_valid_permutations_is_not_checked_again(monkeypatch):
    """Descents make thousands; only indices from outside are looked at."""
    looked = []

    def checked(units, x, size):
        looked.append(units)
        return x

    monkeypatch.setattr("trajtransfer.permutation._checked", checked)
    pi = draw(0)
    assert pi @ pi.inverse() == tt.Permutation.identity(SPEC)
    assert looked == []
    pi.replace("b", torch.arange(3))
    assert looked == ["b"]


def test_a_permutation_does_not_follow_what_its_maker_does_later():
    spec = tt.PermutationSpec({"a": 3}, {"w": ((tt.AxisPart("a", 3),),)})
    indices = torch.tensor([2, 0, 1])
    pi = tt.Permutation(spec, {"a": indices})
    indices[0] = 1
    assert pi.indices["a"].tolist() == [2, 0, 1]


def test_indices_that_are_no_mapping_are_refused():
    with pytest.raises(TypeError, match="indices is a NoneType; pass a mapping"):
        tt.Permutation(SPEC, None)
