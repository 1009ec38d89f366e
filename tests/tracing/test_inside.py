"""Units inside heads move where nothing but sums sees them, and heads where nothing tells them."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import trajtransfer as tt

HEADS = 2
INNER = 3


class Heads(nn.Module):
    """Attention of two heads of three units, as `forward` computes it."""

    def __init__(self, forward, last):
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(4, HEADS * INNER) for _ in range(3))
        self.scale = nn.Parameter(torch.rand(HEADS, 1, 1))
        self.gate = nn.Parameter(torch.rand(INNER))
        self.mix = nn.Linear(HEADS, HEADS)
        self.last = nn.Linear(last, 2)
        self.compute = forward

    def forward(self, x):
        return self.last(self.compute(self, x)).mean(1)


def heads(x, count=HEADS):
    return x.unflatten(-1, (count, -1)).transpose(1, 2)


def parts(net, x):
    return heads(net.q(x)), heads(net.k(x)), heads(net.v(x))


def beside(x):
    return x.transpose(1, 2).flatten(2)


def weights(q, k):
    return (q @ k.transpose(-1, -2)).softmax(-1)


def plain(net, x):
    q, k, v = parts(net, x)
    return beside(weights(q, k) @ v)


def fused(net, x):
    return beside(F.scaled_dot_product_attention(*parts(net, x), is_causal=True))


def with_a_batch(net, x):
    """Heads of all examples in one axis, as in ``nn.MultiheadAttention``."""
    q, k, v = (part.flatten(0, 1) for part in parts(net, x))
    found = torch.bmm(torch.bmm(q, k.transpose(1, 2)).softmax(-1), v)
    return beside(found.unflatten(0, (-1, HEADS)))


def taken_apart_again(net, x):
    q, k, v = (part.flatten(0, 1).unflatten(0, (-1, HEADS)) for part in parts(net, x))
    return beside(F.scaled_dot_product_attention(q, k, v))


def of_one_projection(net, x):
    """What keys and values would be is computed, too, and used for nothing."""
    q, _, _ = parts(net, x)
    return beside(weights(q, q) @ q)


def scaled_heads(net, x):
    q, k, v = parts(net, x)
    return beside(weights(q * net.scale, k) @ v)


def scaled_weights(net, x):
    q, k, v = parts(net, x)
    return beside(weights(q, k) * net.scale @ v)


def mean_of_heads(net, x):
    q, k, v = parts(net, x)
    return (weights(q, k) @ v).mean(1)


def gated_values(net, x):
    """All heads share the gate of each unit."""
    q, k, v = parts(net, x)
    return beside(weights(q, k) @ (v * net.gate))


def gated_results(net, x):
    return beside(plain_results(net, x) * net.gate)


def plain_results(net, x):
    q, k, v = parts(net, x)
    return weights(q, k) @ v


def rolled_queries(net, x):
    q, k, v = parts(net, x)
    return beside(weights(q.roll(1, -1), k) @ v)


def first_head(net, x):
    return plain_results(net, x)[:, 0]


def one_head_of_weights(net, x):
    """The weights of the first head for all: its place is known, that of the others is not."""
    q, k, v = parts(net, x)
    return beside(weights(q, k)[:, :1] @ v)


def values_of_one_head(net, x):
    """Those of the first head for all."""
    q, k, v = parts(net, x)
    return beside(weights(q, k) @ v[:, :1])


def one_by_one(net, x):
    """Heads computed one after another."""
    q, k, v = (part.chunk(HEADS, 1) for part in parts(net, x))
    found = [weights(a, b) @ c for a, b, c in zip(q, k, v, strict=True)]
    return beside(torch.cat(found, 1))


def mixed_weights(net, x):
    q, k, v = parts(net, x)
    mixed = net.mix(weights(q, k).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    return beside(mixed @ v)


def other_heads(net, x):
    """The same queries in two heads of three and in three of two."""
    q, k, v = parts(net, x)
    again = weights(heads(net.q(x), 3), heads(net.k(x), 3)) @ heads(net.v(x), 3)
    return beside(weights(q, k) @ v) + beside(again)


def heads_beside_queries(net, x):
    """What is added to queries entry by entry moves with them."""
    q, k, v = parts(net, x)
    return beside(weights(q, k) @ v) + net.q(x)


def values_of_queries(net, x):
    """Queries are a part of the result, of heads in the wrong order."""
    q, k, v = parts(net, x)
    return beside(weights(q, k) @ v + q.flip(1))


def halves_of_heads(net, x):
    """Only a part of each head is summed over."""
    q, k, v = parts(net, x)
    return beside(weights(q[..., :2], k[..., 1:]) @ v)


def over_the_wrong_axis(net, x):
    """Heads of queries meet units of keys."""
    q, k, v = parts(net, x)
    found = q.mean(2) @ k.mean(2).transpose(1, 2) @ v.mean(2)
    return found.flatten(1)[:, None]


FOUND = [
    (plain, 6, {2: 1, 6: 2}, 2),
    (fused, 6, {2: 1, 6: 2}, 2),
    (taken_apart_again, 6, {2: 1, 6: 2}, 2),
    (with_a_batch, 6, {2: 1}, 0),
    (of_one_projection, 6, {2: 1, 6: 3}, 1),
    (scaled_heads, 6, {2: 1, 6: 1}, 1),
    (scaled_weights, 6, {2: 1, 6: 2}, 2),
    (mean_of_heads, 3, {2: 1, 6: 1}, 1),
    (gated_values, 6, {2: 1, 6: 1}, 1),
    (gated_results, 6, {2: 1, 6: 1}, 1),
    (rolled_queries, 6, {2: 1, 6: 1}, 1),
    (first_head, 3, {3: 2}, 0),
    (one_head_of_weights, 6, {3: 2, 2: 1, 6: 1}, 1),
    (values_of_one_head, 6, {3: 3}, 0),
    (one_by_one, 6, {3: 3}, 0),
    (mixed_weights, 6, {2: 2, 6: 2}, 2),
    (other_heads, 6, {}, 0),
    (heads_beside_queries, 6, {2: 1, 6: 1}, 1),
    (values_of_queries, 6, {}, 0),
    (halves_of_heads, 6, {2: 1, 6: 1}, 1),
    (over_the_wrong_axis, 6, {2: 2}, 0),
]


@pytest.mark.parametrize(("forward", "last", "sizes", "inside"), FOUND)
def test_units_inside_heads_are_found_where_they_move(forward, last, sizes, inside, generator):
    model = Heads(forward, last)
    x = torch.randn(3, 5, 4, generator=generator)
    spec = tt.permutation_spec(model, x, strict=True)
    for _ in range(3):
        tt.check_invariance(model, spec, x, generator)
    assert (dict(Counter(spec.sizes.values())), len(spec.inside)) == (sizes, inside)


def test_the_report_says_where_units_lie():
    spec = tt.permutation_spec(Heads(plain, 6), torch.zeros(3, 5, 4))
    assert spec.inside == {"q": "q (whole)", "v": "q (whole)"}
    assert (
        "'q': 6 (inside 'q (whole)'), 'v': 6 (inside 'q (whole)'), 'q (whole)': 2" in spec.report()
    )
