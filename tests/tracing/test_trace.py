"""Specifications read off models: the sizes one would write by hand, invariance, equivariance, clear refusals."""

from __future__ import annotations

import copy
from collections import Counter

import pytest
import torch
from cases import PAPER, SMALL, TORCHVISION, Case, mlp
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

import trajtransfer as tt

ALL = pytest.mark.parametrize("case", SMALL + PAPER + TORCHVISION, ids=lambda c: c.name)


@ALL
def test_sizes_and_invariance(case: Case, generator):
    model, inputs = case.model(), case.inputs(generator)
    spec = tt.permutation_spec(model, inputs)
    assert dict(Counter(spec.sizes.values())) == case.sizes
    assert set(spec.axes) == {name for name, _ in (*model.named_parameters(), *model.named_buffers())}
    for _ in range(5 if case in SMALL else 1):
        tt.check_invariance(model, spec, inputs, generator)


@pytest.mark.parametrize("case", SMALL, ids=lambda c: c.name)
def test_gradients_are_equivariant(case: Case, generator):
    """grad L(pi theta) = pi grad L(theta): what lets gradients stand in for weights."""
    model = case.model().double()
    inputs, labels = case.inputs(generator, 6).double(), torch.randint(0, 2, (6,), generator=generator)
    pi = tt.Permutation.random(tt.permutation_spec(model, inputs), generator)
    theta = tt.parameters(model)
    left, right = (tt.gradient(model, x, (inputs, labels)) for x in (pi(theta), theta))
    assert (left - pi(right)).norm() <= 1e-10 * right.norm()


@pytest.mark.parametrize("case", [c for c in SMALL if list(c.model().buffers())], ids=lambda c: c.name)
def test_running_statistics_are_equivariant(case: Case, generator):
    model, inputs = case.model().double(), case.inputs(generator, 20).double()
    spec = tt.permutation_spec(model, inputs)
    pi, data = tt.Permutation.random(spec, generator), (inputs, torch.zeros(20))
    theta = tt.parameters(model)
    left, right = (tt.running_statistics(model, x, data) for x in (pi(theta), theta))
    moved = pi(right)
    assert all(torch.allclose(left[name].double(), moved[name].double()) for name in left)
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
    spec = tt.permutation_spec(next(c for c in SMALL if c.name == "dense").model(), torch.zeros(2, 1, 4, 4))
    assert spec.axes["head.weight"][1] == (tt.AxisPart("a", 4), tt.AxisPart("b", 5), tt.AxisPart("mix", 7))


def test_tracing_leaves_the_model_alone(generator):
    model = SMALL[1].model().train()
    before = copy.deepcopy(model.state_dict())
    tt.check_invariance(model, tt.permutation_spec(model, SMALL[1].inputs(generator)), SMALL[1].inputs(generator), generator)
    assert model.training and model[0].weight.dtype == torch.float32
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
        self.embed, self.loop, self.head = nn.Linear(3, 5), nn.Linear(5, 5), nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        return self.head(x + F.relu(self.loop(x)))


@pytest.mark.parametrize(
    ("model", "shape", "said"),
    [
        (Fourier(), (2, 4), ["'fft_rfft'", "node 'fft_rfft'", "PermutationSpec by hand"]),
        (nn.Sequential(nn.Conv2d(1, 2, 1), nn.ConvTranspose2d(2, 3, 2)), (2, 1, 4, 4), ["'ConvTranspose2d'", "module '1'"]),
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


def test_the_guard_names_the_tensor_and_axis_of_a_wrong_specification(generator):
    model = mlp()
    right = tt.permutation_spec(model, torch.zeros(2, 5))
    forgotten = tt.PermutationSpec(right.sizes, {**right.axes, "2.weight": (right.axes["2.weight"][0], (tt.AxisPart(None, 7),))})
    with pytest.raises(ValueError, match=r"units '0' changes the output.*axis 0 of '0\.weight'.*axis 0 of '0\.bias'"):
        tt.check_invariance(model, forgotten, torch.zeros(2, 5), generator)


def test_the_guard_sees_running_statistics(generator):
    """Fresh statistics are all equal; the guard perturbs them, or it would miss that they do not move."""
    model = SMALL[1].model()
    right = tt.permutation_spec(model, SMALL[1].inputs(generator))
    still = {**right.axes, "1.running_var": ((tt.AxisPart(None, 6),),)}
    with pytest.raises(ValueError, match="changes the output"):
        tt.check_invariance(model, tt.PermutationSpec(right.sizes, still), SMALL[1].inputs(generator), generator)


def test_reference_by_hand(generator):
    """The traced specification acts as the formula of the paper written out."""
    model = mlp().double()
    pi = tt.Permutation.random(tt.permutation_spec(model, torch.zeros(2, 5).double()), generator)
    theta, (a, b) = tt.parameters(model), pi.indices.values()
    by_hand = {
        "0.weight": theta["0.weight"][a], "0.bias": theta["0.bias"][a], "2.weight": theta["2.weight"][b][:, a],
        "2.bias": theta["2.bias"][b], "4.weight": theta["4.weight"][:, b], "4.bias": theta["4.bias"],
    }  # fmt: skip
    moved = pi(theta)
    assert all(torch.equal(moved[name], x) for name, x in by_hand.items())
    x = torch.randn(4, 5, generator=generator, dtype=torch.float64)
    assert torch.allclose(functional_call(model, dict(moved), (x,)), model(x))


class Net(nn.Module):
    """Layers by name and a forward pass given as a function."""

    def __init__(self, forward, **layers: nn.Module):
        super().__init__()
        for name, layer in layers.items():
            setattr(self, name, layer)
        self.run = forward

    def forward(self, x: Tensor) -> Tensor:
        return self.run(self, x)


def pair_of_layers() -> dict[str, nn.Module]:
    return {"a": nn.Linear(4, 6), "b": nn.Linear(4, 6), "head": nn.Linear(6, 2)}


def image_layers() -> dict[str, nn.Module]:
    return {"a": nn.Conv2d(4, 6, 1), "head": nn.Linear(6, 2)}


@pytest.mark.parametrize(
    ("forward", "layers", "shape", "sizes"),
    [
        (lambda s, x: s.head(torch.add(s.a(x), other=s.b(x))), pair_of_layers(), (3, 4), [6]),
        (lambda s, x: s.head(torch.mul(input=s.a(x), other=s.b(x))), pair_of_layers(), (3, 4), [6]),
        (lambda s, x: s.head(F.max_pool2d(s.a(x), 2).mean(axis=(2, 3))), image_layers(), (3, 4, 4, 4), [6]),
        (lambda s, x: s.head(s.a(x).flatten(2).mean(axis=-1, keepdims=True).squeeze(-1)), image_layers(), (3, 4, 4, 4), [6]),
        (lambda s, x: s.a(x).mean(axis=1), {"a": nn.Linear(4, 6)}, (3, 5, 4), []),
        (
            lambda s, x: s.head(torch.cat(tensors=[s.a(x), s.b(x)], axis=-1)),
            {**pair_of_layers(), "head": nn.Linear(12, 2)},
            (3, 4),
            [6, 6],
        ),
        (lambda s, x: s.head(torch.flatten(input=s.a(x), start_dim=1)), {**pair_of_layers()}, (3, 4), [6]),
        (lambda s, x: s.head(F.avg_pool1d(s.a(x), 3, 1, 1)), pair_of_layers(), (3, 4), []),
        (lambda s, x: s.head(F.relu(s.a(x) / torch.sqrt(torch.tensor(8.0)))), pair_of_layers(), (3, 4), [6]),
        (lambda s, x: s.head(s.a(x) * torch.arange(6.0, dtype=x.dtype)), pair_of_layers(), (3, 4), []),
        (lambda s, x: s.head(torch.matmul(s.a(x), other=s.b.weight @ s.b.weight.T)), pair_of_layers(), (3, 4), None),
        (lambda s, x: s.head(s.a(x)[:, 1:5]), {**pair_of_layers(), "head": nn.Linear(4, 2)}, (3, 4), [4]),
        (lambda s, x: s.head(s.a(x).sum(dim=()) + s.b(x)), pair_of_layers(), (3, 4), [6, 6]),
    ],
)
def test_arguments_given_in_any_way_give_a_symmetry(forward, layers, shape, sizes, generator):
    """Either the specification is right, or the call is refused by name; never a wrong specification."""
    model, inputs = Net(forward, **layers), torch.randn(shape, generator=generator)
    if sizes is None:
        with pytest.raises(tt.UntraceableError):
            tt.permutation_spec(model, inputs)
        return
    spec = tt.permutation_spec(model, inputs)
    assert sorted(spec.sizes.values()) == sizes
    theta = tt.parameters(model)
    for _ in range(5):
        pi = tt.Permutation.random(spec, generator)
        out = [functional_call(model, dict(x), (inputs,)) for x in (theta, pi(theta))]
        assert torch.allclose(*out, atol=1e-4)


@pytest.mark.parametrize(
    ("forward", "layers", "said"),
    [
        (lambda s, x: s.rnn(s.a(x)), {"a": nn.Linear(4, 6), "rnn": nn.LSTM(6, 3)}, "'LSTM'"),
        (lambda s, x: s.rnn(s.a(x))[0], {"a": nn.Linear(4, 6), "rnn": nn.LSTM(6, 3)}, "'LSTM'"),
        (lambda s, x: s.a(x).transpose_(0, 1), {"a": nn.Linear(4, 6)}, "'transpose_'"),
        (lambda s, x: F.max_pool1d(s.a(x), 2, return_indices=True)[0], {"a": nn.Linear(4, 6)}, "pool"),
        (lambda s, x: s.a(x).std(False), {"a": nn.Linear(4, 6)}, "'std'"),
    ],
)
def test_structures_of_tensors_and_changes_of_shape_in_place_are_refused(forward, layers, said):
    with pytest.raises(tt.UntraceableError, match=said):
        tt.permutation_spec(Net(forward, **layers), torch.randn(3, 4))


def test_hooks_are_refused():
    model = mlp()
    model[2].register_forward_hook(lambda *a: None)
    with pytest.raises(tt.UntraceableError, match="module '2' has forward hooks"):
        tt.permutation_spec(model, torch.zeros(2, 5))


def test_the_guard_does_not_pass_on_outputs_that_say_nothing(generator):
    model = Net(lambda s, x: s.head(torch.log(s.a(x))), **pair_of_layers())
    spec = tt.permutation_spec(model, torch.randn(3, 4))
    with pytest.raises(ValueError, match="cannot be checked: its outputs are not finite"):
        tt.check_invariance(model, spec, torch.randn(3, 4), generator)
