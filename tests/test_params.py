"""Params are a vector space with an inner product."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import trajtransfer as tt

SCALARS = st.floats(-10, 10)
SEEDS = st.integers(0, 2**31)


def point(seed: int) -> tt.Params:
    g = torch.Generator().manual_seed(seed)
    w = torch.randn(3, 2, generator=g).double()
    b = torch.randn(4, generator=g).double()
    return tt.Params({"w": w, "b": b})


@given(SEEDS, SEEDS, SCALARS, SCALARS)
def test_vector_space(i, j, s, t):
    x = point(i)
    y = point(j)
    assert ((x + y) - (y + x)).norm() == 0
    assert ((x - y) + y - x).norm() <= 1e-12
    assert ((s + t) * x - (s * x + t * x)).norm() <= 1e-10
    assert (s * (x + y) - (s * x + s * y)).norm() <= 1e-10
    assert ((-x) + x).norm() == 0


@given(SEEDS, SEEDS, SCALARS)
def test_inner_product(i, j, s):
    x = point(i)
    y = point(j)
    assert x @ y == pytest.approx(y @ x)
    assert (s * x) @ y == pytest.approx(s * (x @ y), abs=1e-9)
    assert x @ x == pytest.approx(x.norm() ** 2)
    assert x @ x > 0
    assert abs(x @ y) <= x.norm() * y.norm() * (1 + 1e-12)


def test_the_inner_product_is_summed_in_float64():
    x = tt.Params({"w": torch.tensor([1e4, 1.0, -1e4]), "b": torch.tensor([1e-4])})
    ones = tt.Params({"w": torch.tensor([1e4, 1.0, 1e4]), "b": torch.tensor([1.0])})
    assert x @ ones == pytest.approx(1.0001, rel=1e-12 + 1e-7)


def test_nothing_is_changed_in_place():
    x = point(0)
    y = point(1)
    before = {name: v.clone() for name, v in x.items()}
    _ = (x + y, x - y, 2 * x, x | y)
    assert all(torch.equal(x[name], v) for name, v in before.items())


def test_parameters_of_a_model_are_copies_without_buffers():
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    theta = tt.parameters(model)
    assert set(theta) == {"0.weight", "0.bias", "1.weight", "1.bias"}
    statistics = {"1.running_mean", "1.running_var", "1.num_batches_tracked"}
    assert set(tt.buffers(model)) == statistics
    with torch.no_grad():
        model[0].weight.zero_()
    assert theta["0.weight"].abs().sum() > 0


def test_points_of_different_spaces_do_not_mix():
    with pytest.raises(ValueError, match=r"different tensors: \['b', 'c'\]"):
        point(0) + tt.Params({"w": torch.zeros(3, 2), "c": torch.zeros(4)})
    with pytest.raises(ValueError, match=r"'w' has shapes \(3, 2\) and \(2, 3\)"):
        point(0) @ tt.Params({"w": torch.zeros(2, 3), "b": torch.zeros(4)})
    with pytest.raises(TypeError, match=r"wrap a dict of tensors as Params"):
        point(0) + {"w": torch.zeros(3, 2)}
