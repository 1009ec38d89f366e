"""Specifications read off models: the sizes one would write by hand, equivariance, refusals."""

from __future__ import annotations

import copy
from collections import Counter

import pytest
import torch
from cases import PAPER, SMALL, TORCHVISION, Case
from small_networks import mlp
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

import trajtransfer as tt

ALL = pytest.mark.parametrize("case", SMALL + PAPER + TORCHVISION, ids=lambda c: c.name)
NORMALISED = [case for case in SMALL if list(case.model().buffers())]


@ALL
def test_sizes_and_invariance(case: Case, generator):
    model = case.model()
    inputs = case.inputs(generator)
    spec = tt.permutation_spec(model, inputs)
    assert dict(Counter(spec.sizes.values())) == case.sizes
    assert spec.axes.keys() == (tt.parameters(model) | tt.buffers(model)).keys()
    for _ in range(5 if case in SMALL else 1):
        tt.check_invariance(model, spec, inputs, generator)


@pytest.mark.parametrize("case", SMALL, ids=lambda c: c.name)
def test_gradients_are_equivariant(case: Case, generator):
    """grad L(pi theta) = pi grad L(theta): what lets gradients stand in for weights."""
    model = case.model().double()
    inputs = case.inputs(generator, 6).double()
    batch = (inputs, torch.randint(0, 2, (6,), generator=generator))
    pi = tt.Permutation.random(tt.permutation_spec(model, inputs), generator)
    theta = tt.parameters(model)
    left = tt.gradient(model, pi(theta), batch)
    right = tt.gradient(model, theta, batch)
    assert (left - pi(right)).norm() <= 1e-10 * right.norm()


@pytest.mark.parametrize("case", NORMALISED, ids=lambda c: c.name)
def test_running_statistics_are_equivariant(case: Case, generator):
    model = case.model().double()
    inputs = case.inputs(generator, 20).double()
    data = (inputs, torch.zeros(20))
    spec = tt.permutation_spec(model, inputs)
    pi = tt.Permutation.random(spec, generator)
    theta = tt.parameters(model)
    left = tt.running_statistics(model, pi(theta), data)
    right = pi(tt.running_statistics(model, theta, data))
    assert all(torch.allclose(left[name].double(), right[name].double()) for name in left)
    assert spec.buffers == set(left)


def test_names_of_units_are_the_layers_that_produce_them():
    spec = tt.permutation_spec(mlp(), torch.zeros(2, 5))
    assert dict(spec.sizes) == {"0": 7, "2": 6}
    assert spec.axes["2.weight"] == ((tt.AxisPart("2", 6),), (tt.AxisPart("0", 7),))


def test_a_flattened_feature_map_is_a_block_per_channel():
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(4 * 9, 2))
    spec = tt.permutation_spec(model, torch.zeros(2, 1, 5, 5))
    assert spec.axes["2.weight"][1] == (tt.AxisPart("0", 36, 9),)


def test_a_concatenation_has_one_segment_per_part():
    dense = next(case for case in SMALL if case.name == "dense")
    spec = tt.permutation_spec(dense.model(), torch.zeros(2, 1, 4, 4))
    parts = (tt.AxisPart("a", 4), tt.AxisPart("b", 5), tt.AxisPart("mix", 7))
    assert spec.axes["head.weight"][1] == parts


def test_tracing_leaves_the_model_alone(generator):
    model = SMALL[1].model().train()
    inputs = SMALL[1].inputs(generator)
    before = copy.deepcopy(model.state_dict())
    tt.check_invariance(model, tt.permutation_spec(model, inputs), inputs, generator)
    assert model.training
    assert model[0].weight.dtype == torch.float32
    assert all(torch.equal(x, before[name]) for name, x in model.state_dict().items())


class Fourier(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.mixing = nn.Sequential(nn.Linear(4, 4))
        self.head = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.fft.rfft(self.mixing(x)).real)


class Branching(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


class SelfLoop(nn.Module):
    """x + W x puts the same units on both axes of W."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(3, 5)
        self.loop = nn.Linear(5, 5)
        self.head = nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        return self.head(x + F.relu(self.loop(x)))


def transposed() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 2, 1), nn.ConvTranspose2d(2, 3, 2))


@pytest.mark.parametrize(
    ("model", "shape", "said"),
    [
        (Fourier(), (2, 4), ["'fft_rfft'", "node 'fft_rfft'", "PermutationSpec by hand"]),
        (transposed(), (2, 1, 4, 4), ["'ConvTranspose2d'", "module '1'"]),
        (Branching(), (2, 4), ["control flow", "Branching"]),
        (SelfLoop(), (2, 3), ["'embed'", "'loop.weight'", "quadratic assignment"]),
    ],
    ids=["operation", "layer", "control flow", "two axes"],
)
def test_what_is_not_understood_is_refused_by_name(model, shape, said):
    with pytest.raises(tt.UntraceableError) as error:
        tt.permutation_spec(model, torch.ones(shape))
    for words in said:
        assert words in str(error.value)


def test_reference_by_hand(generator):
    """The traced specification acts as the formula of the paper written out."""
    model = mlp().double()
    pi = tt.Permutation.random(tt.permutation_spec(model, torch.zeros(2, 5).double()), generator)
    theta = tt.parameters(model)
    a, b = pi.indices.values()
    by_hand = {
        "0.weight": theta["0.weight"][a],
        "0.bias": theta["0.bias"][a],
        "2.weight": theta["2.weight"][b][:, a],
        "2.bias": theta["2.bias"][b],
        "4.weight": theta["4.weight"][:, b],
        "4.bias": theta["4.bias"],
    }
    moved = pi(theta)
    assert all(torch.equal(moved[name], x) for name, x in by_hand.items())
    x = torch.randn(4, 5, generator=generator, dtype=torch.float64)
    assert torch.allclose(functional_call(model, dict(moved), (x,)), model(x))


def test_hooks_are_refused():
    model = mlp()
    model[2].register_forward_hook(lambda *a: None)
    with pytest.raises(tt.UntraceableError, match="module '2' has forward hooks"):
        tt.permutation_spec(model, torch.zeros(2, 5))
