"""The growing list of pairs: what it takes, how it keeps it, and what that costs."""

from __future__ import annotations

import pytest
import torch
from cases import SMALL, prepared, random_pair

import trajtransfer as tt
from trajtransfer.matching.gains import objective
from trajtransfer.matching.pairs import CACHES, Pairs


def test_it_is_a_list_of_pairs_without_buffers(generator):
    model = SMALL[1].model()
    spec = tt.permutation_spec(model, SMALL[1].inputs(generator))
    theta = tt.parameters(model)
    pairs = Pairs(spec)
    assert len(pairs) == 0 and pairs.bound == 0.0 and pairs.operations == 0
    pairs.append((theta | tt.buffers(model), 2.0 * theta))
    assert len(pairs) == 1 and len(pairs[:]) == 1
    y, x = pairs[0]
    assert y.keys() == x.keys() == theta.keys()
    assert pairs.bound == pytest.approx(2.0 * theta.norm() ** 2, rel=1e-12)


@pytest.mark.parametrize(("cache", "loss"), [("host", 1e-12), ("half", 1e-4)])
def test_caches_cost_little_of_the_objective(cache, loss, generator):
    spec, theta = prepared(SMALL[1], generator)
    vectors = [random_pair(theta, generator) for _ in range(5)]
    exact = tt.match(vectors, spec)
    cached = tt.match(Pairs(spec, vectors, cache=cache), spec)
    assert objective(vectors, cached.permutation) >= exact.objective[-1] - loss * exact.bound


@pytest.mark.parametrize("cache", CACHES)
def test_vectors_are_kept_as_asked(cache, generator):
    spec, theta = prepared(SMALL[1], generator)
    kept, _ = Pairs(spec, [random_pair(theta, generator)], cache=cache)[0]
    dtype = CACHES[cache].get("dtype") or torch.float64
    assert all(x.dtype == dtype for x in kept.values())


def test_wrong_input_is_refused(generator):
    spec, theta = prepared(SMALL[0], generator)
    with pytest.raises(ValueError, match="unknown cache 'disk'; known: device, host, half"):
        Pairs(spec, cache="disk")
    part = tt.Params({name: x for name, x in theta.items() if "weight" in name})
    with pytest.raises(ValueError, match="hold different tensors"):
        Pairs(spec, [(theta, part)])
    with pytest.raises(ValueError, match="hold different tensors"):
        Pairs(spec, [(theta, theta), (part, part)])
    other, point = prepared(SMALL[1], generator)
    with pytest.raises(ValueError, match="these are pairs of another specification"):
        tt.match(Pairs(other, [(point, point)]), spec)
