"""Specifications read off models: the sizes one would write by hand, equivariance, refusals."""

from __future__ import annotations

import copy
from collections import Counter

import pytest
import torch
from cases import PAPER, SMALL, TORCHVISION, Case
from small_networks import Net, mlp
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
    inputs = case.inputs(generator, 6, torch.float64)
    batch = (inputs, torch.randint(0, 2, (6,), generator=generator))
    pi = tt.Permutation.random(tt.permutation_spec(model, inputs), generator)
    theta = tt.parameters(model)
    left = tt.gradient(model, pi(theta), batch)
    right = tt.gradient(model, theta, batch)
    assert (left - pi(right)).norm() <= 1e-10 * right.norm()


@pytest.mark.parametrize("case", NORMALISED, ids=lambda c: c.name)
def test_running_statistics_are_equivariant(case: Case, generator):
    model = case.model().double()
    inputs = case.inputs(generator, 20, torch.float64)
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


class Branching(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


class Listing(nn.Module):
    """Reads a number of one of its hidden units."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.a(x).mean(0).tolist()[0]


def test_a_path_that_depends_on_numbers_is_refused():
    with pytest.raises(tt.UntraceableError, match=r"cannot trace Branching: .*control flow"):
        tt.permutation_spec(Branching(), torch.ones(2, 4))


class Chosen(nn.Module):
    """Takes the entries that are above zero, however many."""

    def forward(self, x: Tensor) -> Tensor:
        return x[x > 0].sum()


def test_a_shape_that_depends_on_numbers_is_refused():
    with pytest.raises(tt.UntraceableError, match="the shape of what 'index' returns"):
        tt.permutation_spec(Chosen(), torch.ones(2, 4))


def test_units_that_are_read_as_numbers_do_not_move():
    assert not tt.permutation_spec(Listing(), torch.ones(2, 4)).sizes


def test_inputs_that_do_not_fit_are_refused():
    with pytest.raises(tt.UntraceableError, match="pass inputs that the model takes"):
        tt.permutation_spec(mlp(), torch.zeros(2, 4))


class Auxiliary(nn.Module):
    """A second head that only training has, on units that only it reads."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(4, 6)
        self.head = nn.Linear(6, 2)
        self.side = nn.Linear(6, 5)
        self.aside = nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        x = torch.relu(self.body(x))
        if self.training:
            return self.head(x), self.aside(torch.relu(self.side(x)))
        return self.head(x)


def test_parts_that_only_training_has_move_too(generator):
    model = Auxiliary().double()
    inputs = torch.randn(3, 4, generator=generator, dtype=torch.float64)
    spec = tt.permutation_spec(model.eval(), inputs)
    assert dict(spec.sizes) == {"body": 6, "side": 5} and not model.training
    pi = tt.Permutation.random(spec, generator)
    theta = tt.parameters(model)
    before, after = (
        functional_call(model.train(), dict(at), (inputs,)) for at in (theta, pi(theta))
    )
    assert all(torch.allclose(a, b) for a, b in zip(before, after, strict=True))


class Deep(nn.Module):
    """Many residual blocks on one stream."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.stem = nn.Linear(3, 4)
        self.blocks = nn.ModuleList(nn.Linear(5, 4) for _ in range(count))
        self.inner = nn.ModuleList(nn.Linear(4, 5) for _ in range(count))
        self.head = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for inner, block in zip(self.inner, self.blocks, strict=True):
            x = x + block(torch.relu(inner(x)))
        return self.head(x)


@pytest.mark.slow
def test_there_is_no_limit_to_the_depth():
    spec = tt.permutation_spec(Deep(300), torch.zeros(2, 3))
    assert Counter(spec.sizes.values()) == {4: 1, 5: 300}


class Named(nn.Module):
    """Takes arguments by name, one of which it can do without."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = nn.Embedding(9, 6)
        self.head = nn.Linear(6, 2)

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> dict[str, Tensor]:
        h = self.rows(tokens)
        if mask is not None:
            h = h * mask[..., None]
        return {"logits": self.head(h.sum(1))}


@pytest.mark.parametrize("masked", [False, True])
def test_inputs_may_have_names_and_outputs_a_structure(masked, generator):
    model = Named()
    inputs = {"tokens": torch.randint(0, 9, (3, 5), generator=generator)}
    if masked:
        inputs["mask"] = torch.ones(3, 5)
    spec = tt.permutation_spec(model, inputs)
    assert dict(spec.sizes) == {"rows": 6}
    tt.check_invariance(model, spec, inputs, generator)


def test_hooks_are_part_of_the_function(generator):
    model = mlp()
    model[0].register_forward_hook(lambda module, given, found: found * torch.arange(7.0))
    assert dict(tt.permutation_spec(model, torch.zeros(2, 5)).sizes) == {"2": 6}


def classes(x: Tensor) -> Tensor:
    return torch.zeros(len(x), dtype=torch.long)


LOSSES = {
    "cross entropy": lambda y, x: F.cross_entropy(y, classes(x)),
    "likelihood": lambda y, x: F.nll_loss(y.log_softmax(1), classes(x)),
    "squares": lambda y, x: F.mse_loss(y, x[:, :2]),
    "distances": lambda y, x: F.l1_loss(y, x[:, :2]),
    "smooth distances": lambda y, x: F.smooth_l1_loss(y, x[:, :2]),
    "binary": lambda y, x: F.binary_cross_entropy(y.sigmoid(), x[:, :2].sigmoid()),
    "binary logits": lambda y, x: F.binary_cross_entropy_with_logits(y, x[:, :2].sigmoid()),
    "divergence": lambda y, x: F.kl_div(y.log_softmax(1), x[:, :2].softmax(1), reduction="sum"),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_a_network_may_compute_its_loss(loss, generator):
    """Hidden units move, and what is compared does not."""
    layers = {"a": nn.Linear(4, 6), "head": nn.Linear(6, 2)}
    model = Net(lambda net, x: LOSSES[loss](net.head(net.a(x).relu()), x), **layers)
    inputs = torch.randn(3, 4, generator=generator)
    spec = tt.permutation_spec(model, inputs, strict=True)
    assert list(spec.sizes.values()) == [6]
    tt.check_invariance(model, spec, inputs, generator)


def test_a_report_says_what_moves_and_what_does_not():
    class Turned(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Linear(4, 6)
            self.b = nn.Linear(4, 6)
            self.head = nn.Linear(10, 2)

        def forward(self, x: Tensor) -> Tensor:
            turned = torch.fft.rfft(self.b(x)).real
            return self.head(torch.cat([self.a(x), turned], 1))

    with pytest.warns(UserWarning, match="fft_rfft"):
        spec = tt.permutation_spec(Turned(), torch.zeros(2, 4))
    words = spec.report()
    # 4 * 6 + 6 of a, 6 columns of 2 of the head, of 24 + 6 + 24 + 6 + 20 + 2.
    assert f"{42 / 82:.0%} of the weights" in words and "'a': 6" in words and "fft_rfft" in words


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
