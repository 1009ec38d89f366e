"""Units inside others: their permutations are a group, and the assignment of both is exact."""

from __future__ import annotations

from itertools import permutations, product

import pytest
import torch

import trajtransfer as tt
from trajtransfer.matching import gains
from trajtransfer.permutation import moved_with

HEADS = 3
INNER = 2
#: Queries and keys share one order inside heads, values and outputs another; the rest is free.
SPEC = tt.PermutationSpec(
    {"heads": HEADS, "qk": HEADS * INNER, "vo": HEADS * INNER, "rest": 4},
    {
        "q": ((tt.AxisPart("qk", 6),), (tt.AxisPart("rest", 4),)),
        "k": ((tt.AxisPart("qk", 6),), (tt.AxisPart("rest", 4),)),
        "v": ((tt.AxisPart("vo", 6),), (tt.AxisPart("rest", 4),)),
        "o": ((tt.AxisPart("rest", 4),), (tt.AxisPart("vo", 6),)),
        "scale": ((tt.AxisPart("heads", 3),), (tt.AxisPart(None, 1),)),
    },
    inside={"qk": "heads", "vo": "heads"},
)
FAMILY = ("heads", "qk", "vo")


def point(generator):
    shapes = {"q": (6, 4), "k": (6, 4), "v": (6, 4), "o": (4, 6), "scale": (3, 1)}
    drawn = {n: torch.randn(s, generator=generator, dtype=torch.float64) for n, s in shapes.items()}
    return tt.Params(drawn)


def attention(theta, x):
    """Scaled heads of attention from a sequence (s, 4), written out."""
    heads = []
    for h in range(HEADS):
        own = slice(h * INNER, (h + 1) * INNER)
        q, k, v = (x @ theta[name][own].T for name in "qkv")
        weights = torch.softmax(theta["scale"][h] * (q @ k.T), dim=-1)
        heads.append(weights @ v @ theta["o"][:, own].T)
    return sum(heads)


def every_inner():
    """All ways to order two small units inside each of three large ones."""
    orders = list(permutations(range(INNER)))
    return [torch.tensor(held) for held in product(orders, repeat=HEADS)]


@pytest.mark.parametrize("seed", range(5))
def test_attention_does_not_see_heads_nor_units_inside_of_them(seed):
    g = torch.Generator().manual_seed(seed)
    theta = point(g)
    x = torch.randn(5, 4, generator=g, dtype=torch.float64)
    pi = tt.Permutation.random(SPEC, g)
    pi = pi.replace("rest", torch.arange(4))
    torch.testing.assert_close(attention(pi(theta), x), attention(theta, x))


@pytest.mark.parametrize("seed", range(5))
def test_these_permutations_are_a_group(seed):
    g = torch.Generator().manual_seed(seed)
    pi = tt.Permutation.random(SPEC, g)
    rho = tt.Permutation.random(SPEC, g)
    theta = point(g)
    for found in (pi @ rho, pi.inverse(), tt.Permutation.identity(SPEC)):
        tt.Permutation(SPEC, found.indices)  # which checks that small units move with large ones
    assert all(torch.equal((pi @ rho)(theta)[n], pi(rho(theta))[n]) for n in theta)
    assert pi.inverse() @ pi == tt.Permutation.identity(SPEC)


def test_every_element_is_drawn():
    """Of 3! orders of heads with 2 ** 3 orders inside of them, each about as often."""
    g = torch.Generator().manual_seed(0)
    drawn = [tuple(tt.Permutation.random(SPEC, g).indices["qk"].tolist()) for _ in range(4800)]
    counts = [drawn.count(one) for one in set(drawn)]
    assert len(counts) == 48 and min(counts) > 50 and max(counts) < 160


@pytest.mark.parametrize("seed", range(8))
def test_both_levels_are_assigned_exactly(seed):
    """No choice of heads, and of units inside of them, is worth more: 6 * 8 * 8 of them."""
    g = torch.Generator().manual_seed(seed)
    y = point(g)
    x = point(g)
    fixed = tt.PermutationSpec(
        {units: SPEC.sizes[units] for units in FAMILY},
        {
            name: tuple(
                tuple(p._replace(units=None) if p.units == "rest" else p for p in axis)
                for axis in axes
            )
            for name, axes in SPEC.axes.items()
        },
        inside=SPEC.inside,
    )
    found = tt.match([(y, x)], fixed)
    best = max(
        y @ tt.Permutation.identity(fixed).replace_family(factors)(x) for factors in every_choice()
    )
    assert found.objective[-1] == pytest.approx(best, rel=1e-12)
    assert found.assignments == 1 + 2 * HEADS**2


def every_choice():
    for heads in permutations(range(HEADS)):
        large = torch.tensor(heads)
        for a, b in product(every_inner(), repeat=2):
            yield {"heads": large, "qk": moved_with(large, a), "vo": moved_with(large, b)}


def test_a_planted_permutation_is_recovered():
    recovered = 0
    for seed in range(10):
        g = torch.Generator().manual_seed(seed)
        x = point(g)
        planted = tt.Permutation.random(SPEC, g)
        orders = [torch.Generator().manual_seed(i) for i in range(10)]
        found = [tt.match([(planted(x), x)], SPEC, generator=order) for order in orders]
        recovered += max(found, key=lambda m: m.objective[-1]).permutation == planted
    assert recovered >= 8  # a descent from the identity may stop early, as with any groups


def test_what_is_kept_gives_the_plain_gains():
    g = torch.Generator().manual_seed(0)
    pairs = tt.Pairs(SPEC, [(point(g), point(g)) for _ in range(2)])
    for _ in range(4):
        pi = tt.Permutation.random(SPEC, g)
        for units in SPEC.sizes:
            torch.testing.assert_close(pairs.gains(units, pi), gains.gains(pairs, pi, units))


def test_large_units_take_small_ones_along():
    """And these do not leave them."""
    order = torch.tensor([2, 0, 1])
    pi = tt.Permutation.identity(SPEC).replace("heads", order)
    assert pi.indices["qk"].tolist() == [4, 5, 0, 1, 2, 3]
    with pytest.raises(ValueError, match="'qk' lie inside units 'heads' and do not move with them"):
        pi.replace("qk", torch.arange(6))
    swapped = pi.replace("qk", torch.tensor([5, 4, 0, 1, 2, 3]))
    assert swapped.indices["vo"].tolist() == [4, 5, 0, 1, 2, 3]
    with pytest.raises(ValueError, match="do not move with them"):
        tt.Permutation(SPEC, {**pi.indices, "heads": torch.arange(3)})


@pytest.mark.parametrize(
    "inside, wrong",
    [
        ({"small": "nowhere"}, "one of these has no size"),
        ({"odd": "large"}, "5 units inside 2; each has to hold as many"),
        ({"small": "large", "large": "one"}, "give one level"),
    ],
)
def test_what_cannot_lie_inside_is_refused(inside, wrong):
    sizes = {"one": 1, "large": 2, "small": 4, "odd": 5}
    with pytest.raises(ValueError, match=wrong):
        tt.PermutationSpec(sizes, {}, inside=inside)
