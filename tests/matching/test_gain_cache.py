"""What is kept and mended against what is computed anew, by the straightforward way of the benchmarks."""

from __future__ import annotations

import pytest
import torch
from cases import PAPER, SMALL, Case

import trajtransfer as tt
from benchmarks import straightforward
from trajtransfer.matching.gain_cache import CACHES, Pairs


def random_point(like: tt.Params, generator: torch.Generator) -> tt.Params:
    return tt.Params({name: torch.randn(x.shape, generator=generator, dtype=x.dtype) for name, x in like.items()})


def nearby(pi: tt.Permutation, generator: torch.Generator) -> tt.Permutation:
    """Two units of one group exchanged."""
    units = list(pi.spec.sizes)[torch.randint(len(pi.spec.sizes), (), generator=generator)]
    index = pi.indices[units].clone()
    i, j = torch.randperm(len(index), generator=generator)[:2]
    index[i], index[j] = pi.indices[units][j], pi.indices[units][i]
    return pi.replace(units, index)


def prepared(case: Case, generator: torch.Generator) -> tuple[tt.PermutationSpec, tt.Params]:
    model = case.model().double()
    return tt.permutation_spec(model, case.inputs(generator).double()), tt.parameters(model)


@pytest.mark.parametrize("case", SMALL, ids=lambda c: c.name)
def test_gains_and_objective_are_those_of_all_pairs_at_any_permutation(case: Case, generator):
    """Pairs come and permutations wander, home, near and far, in any order; nothing kept may go stale."""
    spec, theta = prepared(case, generator)
    pairs, home = Pairs(spec), tt.Permutation.identity(spec)
    pi = home
    for step in range(60):
        if step % 7 == 0:
            pairs.append((random_point(theta, generator), random_point(theta, generator)))
        pi = (home, nearby(pi, generator), nearby(pi, generator), tt.Permutation.random(spec, generator))[
            int(torch.randint(4, (), generator=generator))
        ]
        for units in spec.sizes:
            torch.testing.assert_close(pairs.gains(units, pi), straightforward.gains(pairs, pi, units), rtol=1e-10, atol=1e-10)
        assert pairs.objective(pi) == pytest.approx(straightforward.inner(pairs, pi), rel=1e-12, abs=1e-10)


@pytest.mark.parametrize("case", [*SMALL, *PAPER], ids=lambda c: c.name)
def test_a_growing_matching_is_step_by_step_the_straightforward_one(case: Case, generator):
    spec, theta = prepared(case, generator)
    planted, pairs = tt.Permutation.random(spec, generator), Pairs(spec)
    for _ in range(3):
        x = random_point(theta, generator)
        pairs.append((planted(x) + 3.0 * random_point(theta, generator), x))
        orders = [torch.Generator().manual_seed(5) for _ in range(2)]
        kept = tt.match(pairs, spec, max_sweeps=4, generator=orders[0])
        plain = straightforward.match(list(pairs), spec, max_sweeps=4, generator=orders[1])
        assert kept.permutation == plain.permutation
        count = len(kept.objective)  # one sweep is enough without neighbours; the plain way confirms it
        assert count == len(plain.objective) or not any(spec.neighbours.values())
        assert kept.objective == pytest.approx(plain.objective[:count], rel=1e-12)
        assert plain.objective[-1] == pytest.approx(kept.objective[-1], rel=1e-12)


def test_in_single_precision_the_objectives_agree(generator):
    case = PAPER[1]
    model = case.model()
    spec, theta = tt.permutation_spec(model, case.inputs(generator)), tt.parameters(model)
    pairs = Pairs(spec)
    for _ in range(4):
        pairs.append((random_point(theta, generator), random_point(theta, generator)))
        kept, plain = tt.match(pairs, spec), straightforward.match(list(pairs), spec)
        assert kept.objective[-1] == pytest.approx(plain.objective[-1], rel=1e-3)
        assert kept.objective[-1] == pytest.approx(straightforward.inner(pairs, kept.permutation), rel=1e-12)


@pytest.mark.parametrize(("cache", "loss"), [("host", 1e-12), ("half", 1e-4)])
def test_caches_cost_little_of_the_objective(cache, loss, generator):
    spec, theta = prepared(SMALL[1], generator)
    vectors = [(random_point(theta, generator), random_point(theta, generator)) for _ in range(5)]
    exact, cached = tt.match(vectors, spec), tt.match(Pairs(spec, vectors, cache=cache), spec)
    assert straightforward.inner(vectors, cached.permutation) >= exact.objective[-1] - loss * exact.bound
    kept = Pairs(spec, vectors, cache=cache)[0][0]
    assert all(x.dtype == (CACHES[cache].get("dtype") or torch.float64) for x in kept.values())


def test_half_precision_sums_are_exact_for_what_is_kept(generator):
    """Mended sums too, and the caller's precision of products is left alone."""
    model = PAPER[1].model()
    spec, theta = tt.permutation_spec(model, PAPER[1].inputs(generator)), tt.parameters(model)
    pairs, pi = Pairs(spec, cache="half"), tt.Permutation.random(spec, generator)
    before = torch.get_float32_matmul_precision()
    for _ in range(6):
        pairs.append((random_point(theta, generator), random_point(theta, generator)))
        pi = nearby(pi, generator)
        exact = [(y.to(torch.float64), x.to(torch.float64)) for y, x in pairs]
        for units in spec.sizes:
            torch.testing.assert_close(
                pairs.gains(units, pi).double(), straightforward.gains(exact, pi, units), rtol=1e-4, atol=1e-2
            )
    assert torch.get_float32_matmul_precision() == before


def test_an_interrupt_leaves_no_half_sums(generator, monkeypatch):
    spec, theta = prepared(SMALL[0], generator)
    pairs, pi = Pairs(spec, [(theta, theta)]), tt.Permutation.random(spec, generator)
    for units in spec.sizes:
        pairs.gains(units, pi)  # something is kept that the next call changes in place
    pairs.append((random_point(theta, generator), random_point(theta, generator)))
    units, rows = next(iter(spec.sizes)), Pairs._rows
    calls = iter(range(100))

    def interrupted(self, *args):
        if next(calls) == 2:
            raise KeyboardInterrupt
        return rows(self, *args)

    monkeypatch.setattr(Pairs, "_rows", interrupted)
    with pytest.raises(KeyboardInterrupt):
        pairs.gains(units, pi)
    monkeypatch.undo()
    torch.testing.assert_close(pairs.gains(units, pi), straightforward.gains(pairs, pi, units), rtol=1e-10, atol=1e-10)


def test_neighbours_share_a_tensor_on_different_axes(generator):
    spec, _ = prepared(SMALL[0], generator)
    first, second = spec.sizes
    assert spec.neighbours == {first: {second}, second: {first}}
    lone = tt.permutation_spec(torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 2)), torch.zeros(2, 3))
    assert list(lone.neighbours.values()) == [frozenset()]


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
