"""Matching against brute force, a planted permutation, and its own promises about the objective."""

from __future__ import annotations

from itertools import pairwise, permutations

import pytest
import torch
from cases import SMALL, Case, prepared, random_pair, random_point
from small_networks import mlp

import trajtransfer as tt
from trajtransfer.paper._torchvision import torchvision


def tiny(*sizes: int) -> tuple[tt.Params, tt.PermutationSpec]:
    layers = [torch.nn.Linear(a, b) for a, b in pairwise(sizes)]
    model = torch.nn.Sequential(*layers)
    return tt.parameters(model), tt.permutation_spec(model, torch.zeros(2, sizes[0]))


def every_permutation(spec: tt.PermutationSpec) -> list[tt.Permutation]:
    found = [tt.Permutation.identity(spec)]
    for units, size in spec.sizes.items():
        factors = [torch.tensor(p) for p in permutations(range(size))]
        found = [pi.replace(units, factor) for pi in found for factor in factors]
    return found


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("pairs", [1, 3])
def test_one_group_reaches_the_best_of_all_permutations(seed, pairs):
    g = torch.Generator().manual_seed(seed)
    theta, spec = tiny(3, 5, 2)
    vectors = [random_pair(theta, g) for _ in range(pairs)]
    matching = tt.match(vectors, spec)
    best = max(sum(y @ pi(x) for y, x in vectors) for pi in every_permutation(spec))
    assert matching.objective[-1] == pytest.approx(best, rel=1e-6)


@pytest.mark.parametrize("seed", range(10))
def test_several_groups_reach_an_optimum_of_each_group(seed):
    """Coordinate descent promises that no change of a single group gains anything."""
    g = torch.Generator().manual_seed(seed)
    theta, spec = tiny(3, 4, 4, 2)
    y, x = random_pair(theta, g)
    matching = tt.match([(y, x)], spec, generator=g)
    most = matching.objective[-1] + 1e-5 * matching.bound
    for units, size in spec.sizes.items():
        for p in permutations(range(size)):
            other = matching.permutation.replace(units, torch.tensor(p))
            assert y @ other(x) <= most


@pytest.mark.parametrize("case", SMALL, ids=lambda c: c.name)
def test_a_planted_permutation_is_recovered(case: Case, generator):
    spec, theta = prepared(case, generator, torch.float32)
    x = random_point(theta, generator)
    planted = tt.Permutation.random(spec, generator)
    orders = [torch.Generator().manual_seed(i) for i in range(20)]
    found = [tt.match([(planted(x), x)], spec, generator=order) for order in orders]
    best = max(found, key=lambda m: m.objective[-1])  # a descent may stop early from one order
    assert best.permutation == planted
    assert best.objective[-1] == pytest.approx(best.bound)


def test_the_objective_is_exact_and_never_falls(generator):
    model = torchvision.models.resnet18(num_classes=4)
    spec = tt.permutation_spec(model, torch.zeros(2, 3, 32, 32))
    theta = tt.parameters(model)
    pairs = [random_pair(theta, generator) for _ in range(2)]
    matching = tt.match(pairs, spec, max_sweeps=4, generator=generator)
    objective = matching.objective
    assert len(objective) == 5
    assert all(a <= b for a, b in pairwise(objective))
    assert objective[0] == pytest.approx(sum(y @ x for y, x in pairs), rel=1e-12)
    agreement = sum(y @ matching.permutation(x) for y, x in pairs)
    assert objective[-1] == pytest.approx(agreement, rel=1e-12)
    assert objective[-1] <= matching.bound
    assert matching.gap == 0


@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_scale_does_not_matter(scale, generator):
    """An absolute tolerance would stop early on small gradients."""
    theta, spec = tiny(4, 12, 12, 12, 3)
    y, x = random_pair(theta, generator)
    reference = tt.match([(y, x)], spec)
    scaled = tt.match([(scale * y, x)], spec)
    assert scaled.permutation == reference.permutation


def test_matching_commutes_with_relabelling_the_source(generator):
    theta, spec = tiny(4, 9, 3)
    y, x = random_pair(theta, generator)
    rho = tt.Permutation.random(spec, generator)
    direct = tt.match([(y, x)], spec)
    through = tt.match([(y, rho(x))], spec)
    assert through.permutation @ rho == direct.permutation


def test_minimising_the_distance_is_the_same_problem(generator):
    theta, spec = tiny(2, 4, 2)
    y, x = random_pair(theta, generator)
    nearest = min(every_permutation(spec), key=lambda pi: (y - pi(x)).norm())
    assert tt.match([(y, x)], spec).permutation == nearest


def test_buffers_never_enter_the_objective(generator):
    case = next(c for c in SMALL if c.name == "convolutional")
    model = case.model()
    spec = tt.permutation_spec(model, case.inputs(generator))
    buffers = tt.buffers(model)
    y, x = random_pair(tt.parameters(model), generator)
    plain = tt.match([(y, x)], spec)
    whole = {name: b for name, b in buffers.items() if not b.is_floating_point()}
    counts = tt.Params(whole)
    assert tt.match([(counts | y, counts | x)], spec).objective == plain.objective  # integers first
    noise = 100.0 * random_point(buffers.to(torch.float32), generator)
    full = tt.match([(y | noise, x | buffers)], spec)
    assert plain.objective == full.objective
    assert plain.permutation == full.permutation


def test_start_and_seed(generator):
    theta, spec = tiny(3, 8, 8, 2)
    pair = random_pair(theta, generator)
    done = tt.match([pair], spec)
    again = tt.match([pair], spec, start=done.permutation)
    assert again.permutation == done.permutation
    assert again.objective[0] == done.objective[-1]
    orders = [torch.Generator().manual_seed(5) for _ in range(2)]
    first, second = (tt.match([pair], spec, generator=order) for order in orders)
    assert first.permutation == second.permutation


def test_bad_input_is_refused():
    model = mlp()
    theta = tt.parameters(model)
    spec = tt.permutation_spec(model, torch.zeros(2, 5))
    with pytest.raises(ValueError, match="at least one"):
        tt.match([], spec)
    spoiled = theta | tt.Params({"0.bias": torch.full((7,), float("nan"))})
    with pytest.raises(ValueError, match=r"'0\.bias' holds NaN"):
        tt.match([(theta, spoiled)], spec)
    with pytest.raises(ValueError, match="does not know the tensor 'extra'"):
        tt.match([(theta | tt.Params({"extra": torch.zeros(1)}), theta)], spec)
