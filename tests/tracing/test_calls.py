"""Operations called in any way: the specification is right, and what it does not know is pinned."""

from __future__ import annotations

import math

import pytest
import torch
from small_networks import Net
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F

import trajtransfer as tt


def linear(head: int = 6) -> dict[str, nn.Module]:
    return {"a": nn.Linear(4, 6), "b": nn.Linear(4, 6), "head": nn.Linear(head, 2)}


def images(head: int = 6) -> dict[str, nn.Module]:
    return {"a": nn.Conv2d(4, 6, 1), "head": nn.Linear(head, 2)}


def projections(rows: int = 24) -> dict[str, nn.Module]:
    return {"qkv": nn.Linear(4, rows), "out": nn.Linear(8, 5), "head": nn.Linear(5, 2)}


def recurrent(layer: nn.Module, head: int = 3) -> dict[str, nn.Module]:
    """Its inputs are sequences of one step."""
    return {"a": nn.Linear(4, 6), "rnn": layer, "head": nn.Linear(head, 2)}


def looped() -> dict[str, nn.Module]:
    return linear() | {"loop": nn.Linear(6, 6)}


def mean_of_pixels(net, x):
    return net.head(net.a(x).flatten(2).mean(axis=-1, keepdims=True).squeeze(-1))


def concatenated(net, x):
    return net.head(torch.cat(tensors=[net.a(x), net.b(x)], axis=-1))


def over_a_constant(net, x):
    return net.head(F.relu(net.a(x) / torch.sqrt(torch.tensor(8.0))))


def times_a_row(net, x):
    return net.head(net.a(x) * torch.arange(6.0, dtype=x.dtype))


def in_a_view(net, x):
    """Written into the middle of zeros."""
    room = x.new_zeros(3, 8)
    room[:, 1:7] = net.a(x)
    return net.head(room)


def written_through_a_view(net, x):
    """Zeros that an operation without a rule makes differ, through a view of them."""
    scales = torch.zeros(2, 6, dtype=x.dtype)
    row = scales[0]
    row.index_put_((torch.tensor([1]),), torch.ones(1, dtype=x.dtype))
    return net.head(net.a(x) * scales[0])


def state_of_zeros(net, x):
    """A recurrence by hand, without weights of its own."""
    state = torch.zeros(3, 6, dtype=x.dtype)
    for _ in range(3):
        state = torch.tanh(net.a(x) + state)
    return net.head(state)


def without_gradient(net, x):
    with torch.no_grad():
        middle = net.a(x).mean(1, keepdim=True)
    return net.head(net.a(x) - middle)


def fused_attention(net, x):
    """Rows of queries, keys and values in one matrix, two heads of four."""
    q, k, v = net.qkv(x).reshape(3, 4, 3, 2, 4).permute(2, 0, 3, 1, 4).unbind(0)
    found = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(3, 4, 8)
    return net.head(torch.tanh(net.out(found)))


def attention_by_hand(net, x):
    q, k, v = (part.view(3, 4, 2, 4).transpose(1, 2) for part in net.qkv(x).chunk(3, dim=-1))
    weights = ((q / math.sqrt(4)) @ k.transpose(-2, -1)).softmax(-1)
    return net.head(torch.tanh(net.out((weights @ v).transpose(1, 2).flatten(2))))


def shared_heads(net, x):
    """Two heads of queries for one of keys and values."""
    q, k, v = net.qkv(x).split([8, 4, 4], dim=-1)
    q, k, v = (part.unflatten(-1, (-1, 2)).transpose(1, 2) for part in (q, k, v))
    found = F.scaled_dot_product_attention(q, k, v, enable_gqa=True)
    return net.head(torch.tanh(net.out(found.transpose(1, 2).flatten(2))))


def shuffled(net, x):
    """Channels of two groups trade places, as in ShuffleNet."""
    h = net.a(x).view(3, 2, 3, 4, 4).transpose(1, 2).reshape(3, 6, 4, 4)
    return net.head(h.mean((2, 3)))


def padded_shortcut(net, x):
    """A shortcut without weights: every second pixel, and channels of zeros."""
    return net.head((net.a(x) + F.pad(x, (0, 0, 0, 0, 1, 1))).mean((2, 3)))


def standardised(net, x):
    """A normalisation by hand."""
    h = net.a(x)
    return net.head((h - h.mean(0)) / (h.var(0, unbiased=False) + 1e-5).sqrt())


def last_of_both_directions(net, x):
    _, state = net.rnn(net.a(x)[None])
    return net.head(torch.cat([state[-2], state[-1]], -1))


def encoded_and_decoded(net, x):
    """The state of two layers goes where it came from."""
    steps = net.a(x)[None]
    _, state = net.rnn(steps)
    return net.head(net.rnn(steps.flip(0), state)[0])


def step_by_step(net, x):
    state = None
    for _ in range(2):
        state = net.rnn(net.a(x), state)
    return net.head(state[0])


def by_letters(net, x):
    return net.head(torch.einsum("nd,ud->nu", x, net.a.weight) + net.b(x))


UNDERSTOOD = [
    (lambda net, x: net.head(torch.add(net.a(x), other=net.b(x))), linear(), [6]),
    (lambda net, x: net.head(torch.mul(input=net.a(x), other=net.b(x))), linear(), [6]),
    (lambda net, x: net.head(torch.flatten(input=net.a(x), start_dim=1)), linear(), [6]),
    (lambda net, x: net.head(F.avg_pool1d(net.a(x), 3, 1, 1)), linear(), []),
    (lambda net, x: net.head(net.a(x)[:, 1:5]), linear(head=4), [4]),
    (lambda net, x: net.head(net.a(x).sum(dim=()) + net.b(x)), linear(), [6, 6]),
    (lambda net, x: net.head(F.max_pool2d(net.a(x), 2).mean(axis=(2, 3))), images(), [6]),
    (lambda net, x: net.a(x.unsqueeze(1)).mean(axis=1), {"a": nn.Linear(4, 6)}, []),
    (lambda net, x: net.a(x).transpose_(0, 1).T.cumsum(0), linear(), []),
    (lambda net, x: net.head(net.a(x)).std(False), linear(), [2, 6]),
    (lambda net, x: net.head(net.a(x) * net.b(x).amax(1, True)), linear(), [6, 6]),
    (lambda net, x: net.head(torch.where(x[:, :1] > 0, net.a(x), 0)), linear(), [6]),
    (lambda net, x: net.head(F.normalize(net.a(x))), linear(), [6]),
    (lambda net, x: net.head(torch.stack([net.a(x), net.b(x)]).sum(0)), linear(), [6]),
    (lambda net, x: net.head(net.a(x)[None, ..., :][0]), linear(), [6]),
    (lambda net, x: net.head(net.a(x)[torch.tensor([2, 0])]), linear(), [6]),
    (lambda net, x: net.head(torch.addmm(net.a.bias, x, net.a.weight.t())), linear(), [6]),
    (lambda net, x: net.head(net.a(x).expand(2, 3, 6)), linear(), [6]),
    (lambda net, x: net.head(net.a(x).repeat(1, 2)), linear(head=12), [6]),
    (lambda net, x: net.head(net.a(x).repeat_interleave(2, 1)), linear(head=12), [6]),
    (lambda net, x: net.head(F.interpolate(net.a(x), scale_factor=2).mean((2, 3))), images(), [6]),
    (lambda net, x: net.head(F.adaptive_max_pool2d(net.a(x), 1).flatten(1)), images(), [6]),
    (concatenated, linear(head=12), [6, 6]),
    (mean_of_pixels, images(), [6]),
    (over_a_constant, linear(), [6]),
    (times_a_row, linear(), []),
    (in_a_view, linear(head=8), [6]),
    (written_through_a_view, linear(), []),
    (state_of_zeros, linear(), [6]),
    (without_gradient, linear(), [6]),
    (fused_attention, projections(), [2, 5, 8, 8]),
    (attention_by_hand, projections(), [2, 5, 8, 8]),
    (shared_heads, projections(16), [2, 5]),
    (shuffled, images(), [2]),
    (padded_shortcut, images(), []),
    (standardised, linear(), [6]),
    (by_letters, linear(), [6]),
    (lambda net, x: net.head(net.a(x) + F.relu(net.loop(net.a(x)))), looped(), [6]),
    (lambda net, x: net.head(net.rnn(net.a(x))[0]), recurrent(nn.LSTM(6, 3)), [3, 6]),
    (lambda net, x: net.head(net.rnn(net.a(x))[1][-1]), recurrent(nn.GRU(6, 3, 2)), [3, 3, 6]),
    (last_of_both_directions, recurrent(nn.GRU(6, 3, bidirectional=True), 6), [3, 3, 6]),
    (encoded_and_decoded, recurrent(nn.LSTM(6, 3, 2)), [3, 3, 6]),
    (lambda net, x: net.head(net.rnn(net.a(x))), recurrent(nn.RNNCell(6, 3)), [3, 6]),
    (step_by_step, recurrent(nn.LSTMCell(6, 3)), [3, 6]),
]
PINNED = [
    (lambda net, x: net.head(torch.fft.rfft(net.a(x)).real), linear(head=4), "fft_rfft"),
    (lambda net, x: net.head(torch.cdist(net.a(x), net.b(x))), linear(head=3), "cdist"),
]


def inputs_of(model: nn.Module, generator: torch.Generator) -> torch.Tensor:
    if hasattr(model, "qkv"):
        return torch.randn(3, 4, 4, generator=generator)
    shape = (3, 4, 4, 4) if isinstance(model.a, nn.Conv2d) else (3, 4)
    return torch.randn(shape, generator=generator)


def require_symmetry(model, spec, inputs, generator) -> None:
    theta = tt.parameters(model)
    out = functional_call(model, dict(theta), (inputs,))
    for _ in range(5):
        pi = tt.Permutation.random(spec, generator)
        moved = functional_call(model, dict(pi(theta)), (inputs,))
        assert (moved - out).norm() <= 1e-5 * out.norm()


@pytest.mark.parametrize(("forward", "layers", "sizes"), UNDERSTOOD)
def test_arguments_given_in_any_way_give_a_symmetry(forward, layers, sizes, generator):
    model = Net(forward, **layers)
    inputs = inputs_of(model, generator)
    spec = tt.permutation_spec(model, inputs, strict=True)
    assert sorted(spec.sizes.values()) == sizes
    require_symmetry(model, spec, inputs, generator)


@pytest.mark.parametrize(("forward", "layers", "said"), PINNED)
def test_what_is_not_understood_is_pinned_and_said(forward, layers, said, generator):
    model = Net(forward, **layers)
    inputs = inputs_of(model, generator)
    with pytest.warns(UserWarning, match="do not move") as warned:
        spec = tt.permutation_spec(model, inputs)
    assert said in str(warned[0].message) and len(warned) == 1
    assert any(said in words for words in spec.pinned)
    require_symmetry(model, spec, inputs, generator)
    with pytest.raises(tt.UntraceableError, match="PermutationSpec by hand"):
        tt.permutation_spec(model, inputs, strict=True)
