"""Matching against brute force, a planted permutation, and its own promises about the objective."""

from __future__ import annotations

from itertools import pairwise, permutations

import pytest
import torch
from cases import SMALL, Case, mlp

import trajtransfer as tt
from trajtransfer.paper._torchvision import torchvision


def random_point(like: tt.Params, generator: torch.Generator) -> tt.Params:
    return tt.Params({name: torch.randn(x.shape, generator=generator, dtype=x.dtype) for name, x in like.items()})


def tiny(*sizes: int) -> tuple[tt.Params, tt.PermutationSpec]:
    layers = [torch.nn.Linear(a, b) for a, b in pairwise(sizes)]
    model = torch.nn.Sequential(*layers)
    return tt.parameters(model), tt.permutation_spec(model, torch.zeros(2, sizes[0]))


def every_permutation(spec: tt.PermutationSpec) -> list[tt.Permutation]:
    found = [tt.Permutation.identity(spec)]
    for units, size in spec.sizes.items():
        found = [pi.replace(units, torch.tensor(p)) for pi in found for p in permutations(range(size))]
    return found


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("pairs", [1, 3])
def test_one_group_reaches_the_best_of_all_permutations(seed, pairs):
    g = torch.Generator().manual_seed(seed)
    theta, spec = tiny(3, 5, 2)
    vectors = [(random_point(theta, g), random_point(theta, g)) for _ in range(pairs)]
    matching = tt.match(vectors, spec)
    best = max(sum(y @ pi(x) for y, x in vectors) for pi in every_permutation(spec))
    assert matching.objective[-1] == pytest.approx(best, rel=1e-6)


@pytest.mark.parametrize("seed", range(10))
def test_several_groups_reach_an_optimum_of_each_group(seed):
    """Coordinate descent promises that no change of a single group gains anything."""
    g = torch.Generator().manual_seed(seed)
    theta, spec = tiny(3, 4, 4, 2)
    pair = random_point(theta, g), random_point(theta, g)
    matching = tt.match([pair], spec, generator=g)
    for units, size in spec.sizes.items():
        for p in permutations(range(size)):
            other = matching.permutation.replace(units, torch.tensor(p))
            assert pair[0] @ other(pair[1]) <= matching.objective[-1] + 1e-5 * matching.bound


@pytest.mark.parametrize("case", SMALL, ids=lambda c: c.name)
def test_a_planted_permutation_is_recovered(case: Case, generator):
    model = case.model()
    spec = tt.permutation_spec(model, case.inputs(generator))
    x = random_point(tt.parameters(model), generator)
    planted = tt.Permutation.random(spec, generator)
    found = [tt.match([(planted(x), x)], spec, generator=torch.Generator().manual_seed(i)) for i in range(20)]
    best = max(found, key=lambda m: m.objective[-1])  # coordinate descent may stop early from one order
    assert best.permutation == planted
    assert best.objective[-1] == pytest.approx(best.bound)


def test_the_objective_is_exact_and_never_falls(generator):
    model = torchvision.models.resnet18(num_classes=4)
    spec = tt.permutation_spec(model, torch.zeros(2, 3, 32, 32))
    theta = tt.parameters(model)
    pairs = [(random_point(theta, generator), random_point(theta, generator)) for _ in range(2)]
    matching = tt.match(pairs, spec, max_sweeps=4, generator=generator)
    assert len(matching.objective) == 5
    assert all(a <= b for a, b in zip(matching.objective, matching.objective[1:], strict=False))
    assert matching.objective[0] == pytest.approx(sum(y @ x for y, x in pairs), rel=1e-12)
    assert matching.objective[-1] == pytest.approx(sum(y @ matching.permutation(x) for y, x in pairs), rel=1e-12)
    assert matching.objective[-1] <= matching.bound and matching.gap == 0


@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_scale_does_not_matter(scale, generator):
    """An absolute tolerance would stop early on small gradients."""
    theta, spec = tiny(4, 12, 12, 12, 3)
    pair = random_point(theta, generator), random_point(theta, generator)
    reference = tt.match([pair], spec)
    scaled = tt.match([(scale * pair[0], pair[1])], spec)
    assert scaled.permutation == reference.permutation


def test_matching_commutes_with_relabelling_the_source(generator):
    theta, spec = tiny(4, 9, 3)
    y, x = random_point(theta, generator), random_point(theta, generator)
    rho = tt.Permutation.random(spec, generator)
    direct, through = tt.match([(y, x)], spec), tt.match([(y, rho(x))], spec)
    assert through.permutation @ rho == direct.permutation


def test_minimising_the_distance_is_the_same_problem(generator):
    theta, spec = tiny(2, 4, 2)
    y, x = random_point(theta, generator), random_point(theta, generator)
    nearest = min(every_permutation(spec), key=lambda pi: (y - pi(x)).norm())
    assert tt.match([(y, x)], spec).permutation == nearest


def test_buffers_never_enter_the_objective(generator):
    case = next(c for c in SMALL if c.name == "convolutional")
    model = case.model()
    spec = tt.permutation_spec(model, case.inputs(generator))
    y, x = (random_point(tt.parameters(model), generator) for _ in range(2))
    counts = tt.Params({name: b for name, b in tt.buffers(model).items() if not b.is_floating_point()})
    assert tt.match([(counts | y, counts | x)], spec).objective == tt.match([(y, x)], spec).objective  # an integer comes first
    with_buffers = [(y | 100.0 * random_point(tt.buffers(model).to(torch.float32), generator), x | tt.buffers(model))]
    plain, full = tt.match([(y, x)], spec), tt.match(with_buffers, spec)
    assert plain.objective == full.objective and plain.permutation == full.permutation


def test_start_and_seed(generator):
    theta, spec = tiny(3, 8, 8, 2)
    pair = random_point(theta, generator), random_point(theta, generator)
    done = tt.match([pair], spec)
    again = tt.match([pair], spec, start=done.permutation)
    assert again.permutation == done.permutation and again.objective[0] == done.objective[-1]
    twice = [tt.match([pair], spec, generator=torch.Generator().manual_seed(5)) for _ in range(2)]
    assert twice[0].permutation == twice[1].permutation


def test_bad_input_is_refused():
    model = mlp()
    theta, spec = tt.parameters(model), tt.permutation_spec(model, torch.zeros(2, 5))
    with pytest.raises(ValueError, match="at least one"):
        tt.match([], spec)
    with pytest.raises(ValueError, match=r"'0\.bias' holds NaN"):
        tt.match([(theta, theta | tt.Params({"0.bias": torch.full((7,), float("nan"))}))], spec)
    with pytest.raises(ValueError, match="does not know the tensor 'extra'"):
        tt.match([(theta | tt.Params({"extra": torch.zeros(1)}), theta)], spec)
