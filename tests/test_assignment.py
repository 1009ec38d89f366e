"""Assignment against all permutations."""

from __future__ import annotations

from itertools import permutations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trajtransfer.assignment import assign


@given(st.integers(1, 6), st.integers(0, 2**31), st.sampled_from([1e-20, 1.0, 1e20]), st.booleans())
def test_brute_force(n, seed, scale, integers):
    gain = torch.randn(n, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    gain = (gain.round() if integers else gain) * scale
    solution = assign(gain, "units")
    assert sorted(solution.columns.tolist()) == list(range(n))
    best = max(sum(gain[i, j] for i, j in enumerate(p)) for p in permutations(range(n)))
    assert gain[range(n), solution.columns].sum() == pytest.approx(float(best), rel=1e-12, abs=1e-12 * scale)
    assert solution.gap == 0.0


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_values_that_are_not_finite_are_refused_by_name(bad):
    gain = torch.zeros(3, 3)
    gain[1, 2] = bad
    with pytest.raises(ValueError, match=r"units 'layer1' hold NaN or infinite entries"):
        assign(gain, "layer1")


def test_only_square_matrices_are_assigned():
    with pytest.raises(ValueError, match=r"units 'u' have shape \(2, 3\), expected a square matrix"):
        assign(torch.zeros(2, 3), "u")
