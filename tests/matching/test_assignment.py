"""Assignment against all permutations and against SciPy; certificates against the true optimum."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from benchmarks.families import FAMILIES
from trajtransfer.matching import auction
from trajtransfer.matching.assignment import LARGE, assign

# Where nothing is to do, or an auction would take too long.
GIVEN_UP = ("equal entries", "scaled rows", "coveted columns")


def value(gain, columns) -> float:
    """The sum of the chosen entries, each row and column once."""
    assert sorted(columns.tolist()) == list(range(len(gain)))
    return float(gain[np.arange(len(gain)), columns].sum(dtype=np.float64))


def optimum(gain) -> float:
    return value(gain, linear_sum_assignment(gain, maximize=True)[1])


def mean(gain) -> float:
    """Of the sums of all permutations."""
    return gain.sum(dtype=np.float64) / len(gain)


def drawn(family: str, n: int, seed: int):
    return FAMILIES[family](n, np.random.default_rng(seed)).astype(np.float32)


def solve(gain, tolerance=0.0, prices=None):
    return auction.solve(gain, gain.min(axis=1) == gain.max(axis=1), tolerance, prices)


@given(
    st.integers(1, 6),
    st.integers(0, 2**31),
    st.sampled_from([1e-20, 1.0, 1e20]),
    st.booleans(),
)
def test_brute_force(n, seed, scale, integers):
    gain = torch.randn(n, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    if integers:
        gain = gain.round()
    gain = gain * scale
    solution = assign(gain, "units")
    best = max(value(gain.numpy(), np.array(p)) for p in permutations(range(n)))
    expected = pytest.approx(best, rel=1e-12, abs=1e-12 * scale)
    assert value(gain.numpy(), solution.columns) == expected
    assert solution.gap == 0.0
    if (gain == gain[:, :1]).all():
        return
    auctioned = solve(gain.numpy())
    if auctioned is not None:
        assert value(gain.numpy(), auctioned.columns) == expected


@settings(max_examples=1500)
@given(
    st.sampled_from(sorted(FAMILIES)),
    st.integers(2, 40),
    st.integers(0, 2**31),
    st.sampled_from(["f4", "f8"]),
    st.sampled_from([0.0, 1e-3, 0.1]),
    st.sampled_from([None, 1e-3, 1.0, 1e6]),
)
def test_the_auction_is_exact_or_as_good_as_it_certifies_on_small_problems(
    family, n, seed, kind, tolerance, start
):
    g = np.random.default_rng(seed)
    gain = FAMILIES[family](n, g).astype(kind)
    scale = np.abs(gain.astype(float)).max() or 1.0
    prices = None if start is None else start * scale * g.standard_normal(n)
    if (gain == gain[:, :1]).all():
        return
    solution = solve(gain, tolerance, prices)
    if solution is None:  # the caller asks SciPy
        return
    lost = optimum(gain) - value(gain, solution.columns)
    most = optimum(gain) - mean(gain)
    assert solution.gap <= tolerance
    assert lost <= solution.gap * most + 1e-14 * n * scale


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("n", [LARGE, 577])
def test_large_problems_have_the_value_of_scipy(family, n):
    gain = drawn(family, n, seed=n)
    solution = assign(torch.from_numpy(gain), "units")
    assert solution.gap == 0.0
    assert solution.prices is not None or family in GIVEN_UP
    assert value(gain, solution.columns) == pytest.approx(optimum(gain), rel=1e-13)


@pytest.mark.parametrize(
    "family", ["Gaussian", "rank 3", "dead rows and columns", "repeated rows", "shifted columns"]
)
@pytest.mark.parametrize("tolerance", [1e-1, 1e-2, 1e-4])
def test_a_certified_gap_is_true(family, tolerance):
    gain = drawn(family, 400, seed=1)
    columns, gap, _ = assign(torch.from_numpy(gain), "units", tolerance=tolerance)
    best = optimum(gain)
    assert (best - value(gain, columns)) / (best - mean(gain)) <= gap <= tolerance


def test_a_tolerance_is_used():
    """Otherwise the test above would show nothing."""
    gain = torch.randn(400, 400, generator=torch.Generator().manual_seed(0))
    assert assign(gain, "units", tolerance=0.1).gap > 0


@pytest.mark.parametrize("family", ["Gaussian", "rank 10", "dead rows", "shifted columns"])
def test_prices_of_a_similar_problem_are_a_start_and_stay_as_they_were(family):
    g = np.random.default_rng(2)
    gain = FAMILIES[family](300, g).astype(np.float32)
    first = assign(torch.from_numpy(gain), "units")
    kept = first.prices.copy()
    similar = gain + 0.1 * FAMILIES[family](300, g).astype(np.float32)
    second = assign(torch.from_numpy(similar), "units", prices=first.prices)
    assert value(similar, second.columns) == pytest.approx(optimum(similar), rel=1e-13)
    assert np.array_equal(first.prices, kept)
    again = assign(torch.from_numpy(gain), "units", prices=first.prices)
    assert value(gain, again.columns) == pytest.approx(optimum(gain), rel=1e-13)
    # It went on from them, and did not begin anew.
    assert not np.array_equal(again.prices, first.prices)


def test_the_assignment_ignores_constants_added_to_rows_and_columns():
    g = np.random.default_rng(3)
    gain = g.standard_normal((300, 300))
    rows = g.standard_normal((300, 1))
    columns = g.standard_normal(300)
    plain = assign(torch.from_numpy(gain), "units")
    shifted = assign(torch.from_numpy(gain + 10 * rows + 10 * columns), "units")
    assert torch.equal(plain.columns, shifted.columns)


@pytest.mark.parametrize("n", [3, 300])
def test_rows_of_equal_entries_allow_every_permutation(n):
    gain = torch.arange(float(n))[:, None].expand(n, n)
    assert torch.equal(assign(gain, "units").columns, torch.arange(n))


@pytest.mark.parametrize("n", [3, 300])
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_values_that_are_not_finite_are_refused_by_name(bad, n):
    gain = torch.zeros(n, n)
    gain[1, 2] = bad
    with pytest.raises(ValueError, match=r"units 'layer1' hold NaN or infinite entries"):
        assign(gain, "layer1")


def test_useless_prices_do_no_harm():
    g = np.random.default_rng(4)
    gain = g.standard_normal((300, 300)).astype(np.float32)
    useless = (
        100 * g.standard_normal(300),
        1e12 * g.standard_normal(300),
        np.full(300, np.nan),
        g.standard_normal(300).astype("f4"),
    )
    for prices in useless:
        solution = assign(torch.from_numpy(gain), "u", prices=prices)
        assert value(gain, solution.columns) == pytest.approx(optimum(gain), rel=1e-13)
    with pytest.raises(
        ValueError, match=r"the prices of units 'u' have shape \(200,\), expected \(3"
    ):
        assign(torch.from_numpy(gain), "u", prices=np.zeros(200))


def test_whole_numbers_are_not_rounded():
    gain = torch.tensor([[2**24, 2**24 + 1], [2**24, 2**24]])
    assert assign(gain, "u").columns.tolist() == [1, 0]


def test_only_square_matrices_are_assigned():
    with pytest.raises(
        ValueError, match=r"units 'u' have shape \(2, 3\), expected a square matrix"
    ):
        assign(torch.zeros(2, 3), "u")


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_half_precision_is_accepted(kind):
    gain = torch.randn(5, 5, generator=torch.Generator().manual_seed(0)).to(kind)
    assert torch.equal(assign(gain, "u").columns, assign(gain.float(), "u").columns)
