"""What is kept and mended against the plain gains and the straightforward descent, step by step."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from cases import PAPER, SMALL, Case, paper_case, prepared, random_pair

import trajtransfer as tt
from benchmarks import straightforward
from trajtransfer.matching.gain_cache import GainCache
from trajtransfer.matching.gains import gains, objective
from trajtransfer.matching.pairs import Pairs

ROUNDING = {torch.float64: 1e-13, torch.float32: 1e-5}
IN_DOUBLE = [(case, torch.float64) for case in SMALL]
RESNET = paper_case("narrow ResNet-18", "resnet18", (1, 32, 32), 0.25, {})
IN_SINGLE = [(case, torch.float32) for case in [*SMALL, *PAPER[:2], RESNET]]


def named(value: Case | torch.dtype) -> str:
    return value.name if isinstance(value, Case) else str(value)


def nearby(pi: tt.Permutation, generator: torch.Generator) -> tt.Permutation:
    """Two units of one group exchanged."""
    groups = list(pi.spec.sizes)
    units = groups[torch.randint(len(groups), (), generator=generator)]
    index = pi.indices[units].clone()
    two = torch.randperm(len(index), generator=generator)[:2]
    index[two] = index[two.flip(0)]
    return pi.replace(units, index)


def wander(pi: tt.Permutation, generator: torch.Generator) -> tt.Permutation:
    """Home, near or far."""
    kind = int(torch.randint(4, (), generator=generator))
    if kind == 0:
        return tt.Permutation.identity(pi.spec)
    if kind == 3:
        return tt.Permutation.random(pi.spec, generator)
    return nearby(pi, generator)


def assert_same_gains(pairs: Pairs, pi: tt.Permutation, rounding: float) -> None:
    """Those of each group, up to a share of their norm, and the objective."""
    for units in pi.spec.sizes:
        plain = gains(pairs, pi, units)
        assert (pairs.gains(units, pi) - plain).norm() <= rounding * plain.norm()
    exact = objective(pairs, pi)
    assert abs(pairs.objective(pi) - exact) <= 1e-14 * pairs.bound


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("case", SMALL, ids=lambda c: c.name)
def test_gains_and_objective_are_the_plain_ones_at_any_permutation(case: Case, dtype, generator):
    """Pairs come and permutations wander in any order; nothing kept may go stale."""
    spec, theta = prepared(case, generator, dtype)
    spec = replace(spec, inside={})  # gains do not know that some units lie inside others
    pairs = Pairs(spec)
    pi = tt.Permutation.identity(spec)
    for step in range(30):
        if step % 7 == 0:
            pairs.append(random_pair(theta, generator))
        pi = wander(pi, generator)
        assert_same_gains(pairs, pi, ROUNDING[dtype])


@pytest.mark.parametrize(("case", "dtype"), [*IN_DOUBLE, *IN_SINGLE], ids=named)
def test_a_growing_matching_is_step_by_step_the_plain_one(case: Case, dtype, generator):
    spec, theta = prepared(case, generator, dtype)
    planted = tt.Permutation.random(spec, generator)
    pairs = Pairs(spec)
    for _ in range(3):
        noise, x = random_pair(theta, generator)
        pairs.append((planted(x) + 3.0 * noise, x))
        orders = [torch.Generator().manual_seed(5) for _ in range(2)]
        kept = tt.match(pairs, spec, max_sweeps=4, generator=orders[0])
        plain = straightforward.match(list(pairs), spec, max_sweeps=4, generator=orders[1])
        assert kept.permutation == plain.permutation
        count = len(
            kept.objective
        )  # without neighbours one sweep is enough; the plain way confirms
        assert count == len(plain.objective) or not any(spec.neighbours.values())
        assert kept.objective == pytest.approx(plain.objective[:count], rel=1e-12)
        assert plain.objective[-1] == pytest.approx(kept.objective[-1], rel=1e-12)
        assert_same_gains(pairs, kept.permutation, ROUNDING[dtype])


def test_in_single_precision_the_objectives_agree(generator):
    """Where nothing is planted, rounding may lead to another optimum of the same value."""
    spec, theta = prepared(PAPER[1], generator, torch.float32)
    pairs = Pairs(spec)
    for _ in range(4):
        pairs.append(random_pair(theta, generator))
        kept = tt.match(pairs, spec)
        plain = straightforward.match(list(pairs), spec)
        assert kept.objective[-1] == pytest.approx(plain.objective[-1], rel=1e-3)
        assert kept.objective[-1] == pytest.approx(objective(pairs, kept.permutation), rel=1e-12)


def test_half_precision_sums_are_exact_for_what_is_kept(generator):
    """Mended sums too, and the caller's precision of products is left alone."""
    spec, theta = prepared(PAPER[1], generator, torch.float32)
    pairs = Pairs(spec, cache="half")
    pi = tt.Permutation.random(spec, generator)
    before = torch.get_float32_matmul_precision()
    for _ in range(6):
        pairs.append(random_pair(theta, generator))
        pi = nearby(pi, generator)
        exact = [(y.to(torch.float64), x.to(torch.float64)) for y, x in pairs]
        for units in spec.sizes:
            plain = gains(exact, pi, units)
            assert (pairs.gains(units, pi).double() - plain).norm() <= 1e-5 * plain.norm()
    assert torch.get_float32_matmul_precision() == before


def test_an_interrupt_leaves_no_half_sums(generator, monkeypatch):
    spec, theta = prepared(SMALL[0], generator)
    pairs = Pairs(spec, [(theta, theta)])
    pi = tt.Permutation.random(spec, generator)
    for units in spec.sizes:
        pairs.gains(units, pi)  # something is kept that the next call changes in place
    pairs.append(random_pair(theta, generator))
    units = next(iter(spec.sizes))
    rows = GainCache._rows
    calls = iter(range(100))

    def interrupted(self, *args):
        if next(calls) == 2:
            raise KeyboardInterrupt
        return rows(self, *args)

    monkeypatch.setattr(GainCache, "_rows", interrupted)
    with pytest.raises(KeyboardInterrupt):
        pairs.gains(units, pi)
    monkeypatch.undo()
    assert_same_gains(pairs, pi, ROUNDING[torch.float64])
