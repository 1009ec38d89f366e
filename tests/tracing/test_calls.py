"""Operations called in any way: the specification is right, or the call is refused by name."""

from __future__ import annotations

import pytest
import torch
from small_networks import Net
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F

import trajtransfer as tt


def linear(head: int = 6) -> dict[str, nn.Module]:
    return {"a": nn.Linear(4, 6), "b": nn.Linear(4, 6), "head": nn.Linear(head, 2)}


def images() -> dict[str, nn.Module]:
    return {"a": nn.Conv2d(4, 6, 1), "head": nn.Linear(6, 2)}


def recurrent() -> dict[str, nn.Module]:
    return {"a": nn.Linear(4, 6), "rnn": nn.LSTM(6, 3)}


def mean_of_pixels(net, x):
    return net.head(net.a(x).flatten(2).mean(axis=-1, keepdims=True).squeeze(-1))


def concatenated(net, x):
    return net.head(torch.cat(tensors=[net.a(x), net.b(x)], axis=-1))


def over_a_constant(net, x):
    return net.head(F.relu(net.a(x) / torch.sqrt(torch.tensor(8.0))))


def times_a_row(net, x):
    return net.head(net.a(x) * torch.arange(6.0, dtype=x.dtype))


UNDERSTOOD = [
    (lambda net, x: net.head(torch.add(net.a(x), other=net.b(x))), linear(), [6]),
    (lambda net, x: net.head(torch.mul(input=net.a(x), other=net.b(x))), linear(), [6]),
    (lambda net, x: net.head(torch.flatten(input=net.a(x), start_dim=1)), linear(), [6]),
    (lambda net, x: net.head(F.avg_pool1d(net.a(x), 3, 1, 1)), linear(), []),
    (lambda net, x: net.head(net.a(x)[:, 1:5]), linear(head=4), [4]),
    (lambda net, x: net.head(net.a(x).sum(dim=()) + net.b(x)), linear(), [6, 6]),
    (lambda net, x: net.head(F.max_pool2d(net.a(x), 2).mean(axis=(2, 3))), images(), [6]),
    (lambda net, x: net.a(x.unsqueeze(1)).mean(axis=1), {"a": nn.Linear(4, 6)}, []),
    (concatenated, linear(head=12), [6, 6]),
    (mean_of_pixels, images(), [6]),
    (over_a_constant, linear(), [6]),
    (times_a_row, linear(), []),
]
REFUSED = [
    (lambda net, x: net.rnn(net.a(x)), recurrent(), "'LSTM'"),
    (lambda net, x: net.rnn(net.a(x))[0], recurrent(), "'LSTM'"),
    (lambda net, x: net.a(x).transpose_(0, 1), linear(), "'transpose_'"),
    (lambda net, x: F.max_pool1d(net.a(x), 2, return_indices=True)[0], linear(), "pool"),
    (lambda net, x: net.a(x).std(False), linear(), "'std'"),
    (
        lambda net, x: torch.matmul(net.a(x), other=net.b.weight @ net.b.weight.T),
        linear(),
        "getattr",
    ),
]


@pytest.mark.parametrize(("forward", "layers", "sizes"), UNDERSTOOD)
def test_arguments_given_in_any_way_give_a_symmetry(forward, layers, sizes, generator):
    model = Net(forward, **layers)
    shape = (3, 4, 4, 4) if isinstance(model.a, nn.Conv2d) else (3, 4)
    inputs = torch.randn(shape, generator=generator)
    spec = tt.permutation_spec(model, inputs)
    assert sorted(spec.sizes.values()) == sizes
    theta = tt.parameters(model)
    out = functional_call(model, dict(theta), (inputs,))
    for _ in range(5):
        pi = tt.Permutation.random(spec, generator)
        moved = functional_call(model, dict(pi(theta)), (inputs,))
        assert (moved - out).norm() <= 1e-5 * out.norm()


@pytest.mark.parametrize(("forward", "layers", "said"), REFUSED)
def test_what_is_not_understood_is_refused_by_name(forward, layers, said):
    with pytest.raises(tt.UntraceableError, match=said):
        tt.permutation_spec(Net(forward, **layers), torch.randn(3, 4))
