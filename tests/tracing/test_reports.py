"""What users of permutation, alignment and merging ran into elsewhere, rebuilt small.

Each network has a symmetry of a known size, which is found and is one (`check_invariance`).
"""

from __future__ import annotations

import math
from collections import Counter

import pytest
import torch
from small_transfers import network
from torch import nn
from torch.nn import functional as F

import trajtransfer as tt


class OptionA(nn.Module):
    """Shortcuts without weights: every other pixel, and zeros for the channels that are new."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 4, 3, padding=1)
        self.inner = nn.Conv2d(4, 5, 3, stride=2, padding=1)
        self.outer = nn.Conv2d(5, 8, 3, padding=1)
        self.head = nn.Linear(8, 2)

    def forward(self, x):
        x = torch.relu(self.stem(x))
        shortcut = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 2, 2))
        x = torch.relu(self.outer(torch.relu(self.inner(x))) + shortcut)
        return self.head(x.mean((2, 3)))


class MaskedOrNot(nn.Module):
    """An argument that may be left out, more arguments than are used, an assertion on a shape."""

    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(4, 6)
        self.head = nn.Linear(6, 2)

    def forward(self, *xs, mask=None):
        assert xs[0].shape[-1] == 4
        x = torch.relu(self.hidden(xs[0]))
        return self.head(x if mask is None else x * mask)


class LowRank(nn.Module):
    """A frozen layer with an adapter of three ranks beside it."""

    def __init__(self):
        super().__init__()
        self.frozen = nn.Linear(4, 6).requires_grad_(False)
        self.down = nn.Linear(4, 3, bias=False)
        self.up = nn.Linear(3, 6, bias=False)
        self.head = nn.Linear(6, 2)

    def forward(self, x):
        return self.head(torch.relu(self.frozen(x) + self.up(self.down(x))))


class WritesIntoItsInput(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(4, 6)
        self.head = nn.Linear(6, 2)

    def forward(self, x):
        x *= 2
        return self.head(self.hidden(x).clamp_(min=0))


class HandWrittenNorm(nn.Module):
    """BatchNorm in evaluation mode as one writes it down."""

    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(4, 6)
        self.scale = nn.Parameter(torch.rand(6) + 0.5)
        self.shift = nn.Parameter(torch.rand(6))
        self.register_buffer("mean", torch.rand(6))
        self.register_buffer("variance", torch.rand(6) + 0.5)
        self.head = nn.Linear(6, 2)

    def forward(self, x):
        x = (self.hidden(x) - self.mean) / torch.sqrt(self.variance + 1e-5)
        return self.head(torch.relu(self.scale * x + self.shift))


class SeparateHeads(nn.Module):
    """Attention of two heads of three units, with q, k and v by layers of their own."""

    def __init__(self):
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(4, 6) for _ in range(3))
        self.out = nn.Linear(6, 4)

    def forward(self, x):
        q, k, v = (f(x).unflatten(-1, (2, 3)).transpose(-2, -3) for f in (self.q, self.k, self.v))
        weights = torch.softmax(q @ k.transpose(-1, -2) / math.sqrt(3), -1)
        return self.out((weights @ v).transpose(-2, -3).flatten(-2)).mean(1)


class HandWrittenCell(nn.Module):
    """A recurrent network whose state begins with zeros made on the way."""

    def __init__(self):
        super().__init__()
        self.into = nn.Linear(3, 6)
        self.hidden = nn.Linear(6, 5)
        self.state = nn.Linear(5, 5)
        self.head = nn.Linear(5, 2)

    def forward(self, x):
        h = torch.zeros(len(x), 5)
        for t in range(x.shape[1]):
            h = torch.tanh(self.hidden(torch.relu(self.into(x[:, t]))) + self.state(h))
        return self.head(h)


class LearnedStart(nn.Module):
    """A recurrent network that learns the state it begins with, for each example or for all."""

    def __init__(self, shape):
        super().__init__()
        self.start = nn.Parameter(torch.randn(shape))
        self.gru = nn.GRU(3, 5, num_layers=2, batch_first=True)
        self.head = nn.Linear(5, 2)

    def forward(self, x):
        start = self.start.expand(2, 3, 5).contiguous()
        return self.head(self.gru(x, start)[0].mean(1)).sum(0)


class LearnedSteps(nn.Module):
    """What is learned for each step stays at its step."""

    def __init__(self):
        super().__init__()
        self.steps = nn.Parameter(torch.randn(4, 3))
        self.gru = nn.GRU(3, 5, batch_first=True)
        self.head = nn.Linear(5, 2)

    def forward(self, x):
        return self.head(self.gru(self.steps + x[:, :1])[0].mean(1))


class TurnedState(nn.Module):
    """Its state goes back with layers in place of units, of which there are as many."""

    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(3, 2, num_layers=2, batch_first=True)
        self.head = nn.Linear(2, 2)

    def forward(self, x):
        _, state = self.gru(x)
        turned = state.transpose(0, 2).contiguous()
        return self.head(self.gru(x, turned)[0].mean(1))


def test_a_state_that_was_turned_is_not_taken_for_whole(generator):
    inputs = torch.randn(3, 4, 3, generator=generator)
    model = network(0, TurnedState)
    assert not tt.permutation_spec(model, inputs).sizes


def of_each_example():
    return LearnedStart((2, 3, 5))


def of_each_layer():
    return LearnedStart((2, 1, 1))


FOUND: list[tuple] = [
    (OptionA, (1, 6, 6), {4: 1, 5: 1, 2: 2}),  # the new channels on either side trade places too
    (MaskedOrNot, (4,), {6: 1}),
    (LowRank, (4,), {3: 1, 6: 1}),
    (WritesIntoItsInput, (4,), {6: 1}),
    (HandWrittenNorm, (4,), {6: 1}),
    (SeparateHeads, (5, 4), {2: 1, 6: 2}),
    (HandWrittenCell, (4, 3), {6: 1, 5: 1}),
    (of_each_example, (4, 3), {5: 1}),
    (of_each_layer, (4, 3), {5: 2}),
    (LearnedSteps, (4, 3), {5: 1}),
]


@pytest.mark.parametrize(
    ("make", "shape", "sizes"), FOUND, ids=lambda x: getattr(x, "__name__", "")
)
def test_a_symmetry_is_found_and_is_one(make, shape, sizes, generator):
    model = network(0, make)
    inputs = torch.randn(3, *shape, generator=generator)
    spec = tt.permutation_spec(model, inputs)
    assert dict(Counter(spec.sizes.values())) == sizes
    for _ in range(5):
        tt.check_invariance(model, spec, inputs, generator)


class ReadsNumbers(nn.Module):
    """A path that depends on the numbers of activations."""

    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(4, 6)
        self.head = nn.Linear(6, 2)

    def forward(self, x):
        h = torch.relu(self.hidden(x))
        first = h.mean(0).tolist()[0]
        return self.head(h) if first > 0.1 else self.head(-h)


def test_what_reads_activations_as_python_numbers_is_refused():
    with pytest.raises(tt.UntraceableError, match="control flow that depends on numbers"):
        tt.permutation_spec(ReadsNumbers(), torch.randn(3, 4))


def test_a_network_that_writes_into_its_inputs_changes_no_data(generator):
    """Or each gradient of a pair would see other images, and so would the reader."""
    inputs = torch.randn(8, 4, generator=generator)
    labels = torch.arange(8) % 2
    before = inputs.clone()
    model = network(1, WritesIntoItsInput)
    theta = tt.parameters(model)
    first = tt.gradient(model, theta, (inputs, labels))
    assert (tt.gradient(model, theta, (inputs, labels)) - first).norm() == 0
    start = {name: 0.5 * x for name, x in theta.items()}
    target = network(2, WritesIntoItsInput).state_dict()
    tt.transfer(model, (start, dict(theta)), target, [(inputs, labels)], steps=2)
    assert torch.equal(inputs, before)


def test_arguments_that_are_no_tensors_stay_what_they_are(generator):
    inputs = {"x": torch.randn(3, 4, generator=generator), "flag": False}
    model = network(0, Flagged)
    spec = tt.permutation_spec(model, inputs)
    assert dict(spec.sizes) == {"hidden": 6}
    tt.check_invariance(model, spec, {"x": inputs["x"]}, generator)


class Flagged(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(4, 6)
        self.head = nn.Linear(6, 2)

    def forward(self, x, flag=False):
        return self.head(torch.tanh(self.hidden(x)) if flag else torch.relu(self.hidden(x)))
