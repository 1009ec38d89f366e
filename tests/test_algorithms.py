"""The methods: their formula, their counts, and where they must agree."""

from __future__ import annotations

import pytest
import torch
from cases import SMALL, Case
from small_networks import mlp

import trajtransfer as tt
from trajtransfer.algorithms import METHODS

PAPER = ("naive", "oracle", "rebasin", "gmt", "fgmt")


def setup(generator, case=SMALL[0], steps=3):
    """A specification, a source trajectory, and gradients on one fixed mini-batch."""
    model = case.model().double()
    inputs = case.inputs(generator, 32, torch.float64)
    labels = torch.randint(0, 2, (32,), generator=generator)
    batch = (inputs, labels)
    spec = tt.permutation_spec(model, inputs)
    start = tt.parameters(model)
    middle = start - 0.5 * tt.gradient(model, start, batch)
    end = middle - 0.5 * tt.gradient(model, middle, batch)

    def gradients(target, source):
        return tt.gradient(model, target, batch), tt.gradient(model, source, batch)

    return spec, tt.Line(start, end, tt.uniform(steps)), gradients


def another_start() -> tt.Params:
    return tt.parameters(mlp()).to(torch.float64)


@pytest.mark.parametrize("method", [tt.gmt, tt.fgmt])
@pytest.mark.parametrize("case", SMALL, ids=lambda c: c.name)
def test_a_permuted_copy_of_the_source_is_transferred_exactly(case: Case, method, generator):
    """If the target is the source in another order, every step is the source's in that order."""
    spec, source, gradients = setup(generator, case)
    planted = tt.Permutation.random(spec, generator)

    def exact(order: int) -> bool:
        drawn = torch.Generator().manual_seed(order)
        steps = method(source, planted(source[0]), spec, gradients, generator=drawn)
        off = [(step.params - planted(source[step.t])).norm() for step in steps]
        return max(off) <= 1e-9 * source[0].norm()

    assert any(exact(order) for order in range(3))  # a descent may stop early from one order


def every_method(source, target, spec, end, gradients):
    """The steps of each method, by its name in the registry."""
    known = {"nothing": (), "end": (end,), "gradients": (gradients,)}
    for name, method in METHODS.items():
        yield name, list(method.steps(source, target, spec, *known[method.knows]))


def test_every_step_of_the_paper_s_methods_is_the_central_formula(generator):
    spec, source, gradients = setup(generator)
    target = another_start()
    for name, steps in every_method(source, target, spec, source[-1], gradients):
        assert [step.t for step in steps] == [1, 2, 3], name
        for step in steps if name in PAPER else ():
            expected = target + step.permutation(source[step.t] - source[0])
            assert (step.params - expected).norm() == 0


def test_every_method_has_a_name_and_says_how_it_found_its_permutation(generator):
    spec, source, gradients = setup(generator)
    for name, steps in every_method(source, another_start(), spec, source[-1], gradients):
        method = METHODS[name]
        assert method.label
        assert name == method.steps.__name__
        assert all((step.matching is None) == (method.knows == "nothing") for step in steps)


def test_naive_does_not_permute(generator):
    spec, source, _ = setup(generator)
    steps = tt.naive(source, another_start(), spec)
    assert all(step.permutation == tt.Permutation.identity(spec) for step in steps)


def test_oracle_matches_the_whole_movement(generator):
    spec, source, _ = setup(generator)
    target = another_start()
    planted = tt.Permutation.random(spec, generator)
    end = target + planted(source[-1] - source[0])
    steps = list(tt.oracle(source, target, spec, end))
    assert len(steps) == 3
    assert all(step.permutation == planted for step in steps)


def test_rebasin_matches_the_ends(generator):
    spec, source, _ = setup(generator)
    planted = tt.Permutation.random(spec, generator)
    steps = tt.rebasin(source, another_start(), spec, planted(source[-1]))
    assert all(step.permutation == planted for step in steps)


def test_fgmt_is_gmt_for_a_single_step(generator):
    spec, source, gradients = setup(generator, steps=1)
    target = another_start()
    (slow,) = tt.gmt(source, target, spec, gradients)
    (fast,) = tt.fgmt(source, target, spec, gradients)
    assert (slow.params - fast.params).norm() == 0
    assert slow.permutation == fast.permutation
    assert slow.gradient_pairs == fast.gradient_pairs == 1


class Spy:
    """Gradients that remember where they were asked for."""

    def __init__(self, gradients):
        self.gradients = gradients
        self.asked = []

    def __call__(self, target, source):
        self.asked.append((target, source))
        return self.gradients(target, source)


def test_fgmt_asks_at_the_newest_point_only(generator):
    spec, source, gradients = setup(generator, steps=4)
    target = another_start()
    spy = Spy(gradients)
    steps = list(tt.fgmt(source, target, spec, spy))
    assert [step.gradient_pairs for step in steps] == [1, 2, 3, 4]
    assert len(spy.asked) == 4
    points = [target, *(step.params for step in steps)]
    for t, (at_target, at_source) in enumerate(spy.asked):
        assert (at_source - source[t]).norm() == 0
        assert (at_target - points[t]).norm() == 0


def test_gmt_asks_again_at_all_earlier_points_under_the_newest_permutation(generator):
    spec, source, gradients = setup(generator, steps=4)
    target = another_start()
    spy = Spy(gradients)
    steps = list(tt.gmt(source, target, spec, spy))
    assert [step.gradient_pairs for step in steps] == [1, 3, 6, 10]
    assert len(spy.asked) == 10
    for t, (at_target, at_source) in enumerate(spy.asked[6:]):
        assert (at_source - source[t]).norm() == 0
        assert (at_target - tt.moved(source, target, t, steps[2].permutation)).norm() == 0


def test_a_list_of_points_is_a_trajectory_too(generator):
    spec, source, gradients = setup(generator)
    target = another_start()
    along_line = tt.fgmt(source, target, spec, gradients)
    along_list = tt.fgmt(list(source), target, spec, gradients)
    for x, y in zip(along_line, along_list, strict=True):
        assert (x.params - y.params).norm() == 0


def test_the_objective_is_the_agreement_of_the_gradients(generator):
    spec, source, gradients = setup(generator)
    target = another_start()
    step = next(tt.fgmt(source, target, spec, gradients))
    y, x = gradients(target, source[0])
    assert step.matching.objective[-1] == pytest.approx(y @ step.permutation(x))
