"""The four methods: their formula, their counts, and where they must agree."""

from __future__ import annotations

import pytest
import torch
from cases import SMALL, Case, mlp

import trajtransfer as tt
from trajtransfer.algorithms import METHODS


def setup(generator, case=SMALL[0], steps=3):
    """A model, a planted permutation, a source trajectory, and gradients on one fixed mini-batch."""
    model = case.model().double()
    inputs, labels = case.inputs(generator, 32).double(), torch.randint(0, 2, (32,), generator=generator)
    spec = tt.permutation_spec(model, inputs)
    start = tt.parameters(model)
    end = start - 0.5 * tt.gradient(model, start, (inputs, labels))
    end = end - 0.5 * tt.gradient(model, end, (inputs, labels))

    def gradients(target, source):
        return tuple(tt.gradient(model, x, (inputs, labels)) for x in (target, source))

    return model, spec, tt.Line(start, end, tt.uniform(steps)), gradients


@pytest.mark.parametrize("case", SMALL, ids=lambda c: c.name)
def test_a_permuted_copy_of_the_source_is_transferred_exactly(case: Case, generator):
    """If the target is the source in another order, every step is the source's own step in that order."""
    _, spec, source, gradients = setup(generator, case)
    planted = tt.Permutation.random(spec, generator)
    target = planted(source[0])
    for method in (tt.gmt, tt.fgmt):
        order = torch.Generator().manual_seed(0)
        for step in method(source, target, spec, gradients, generator=order):
            exact = planted(source[step.t])
            assert (step.params - exact).norm() <= 1e-9 * exact.norm(), (method.__name__, step.t)


def test_every_step_is_the_central_formula(generator):
    _, spec, source, gradients = setup(generator)
    target, end = tt.parameters(mlp()).to(torch.float64), source[-1]
    runs = {
        "naive": tt.naive(source, target, spec),
        "oracle": tt.oracle(source, target, spec, end),
        "gmt": tt.gmt(source, target, spec, gradients),
        "fgmt": tt.fgmt(source, target, spec, gradients),
    }
    for steps in runs.values():
        steps = list(steps)
        assert [step.t for step in steps] == [1, 2, 3]
        for step in steps:
            expected = target + step.permutation(source[step.t] - source[0])
            assert (step.params - expected).norm() == 0


def test_naive_does_not_permute_and_oracle_matches_the_whole_movement(generator):
    _, spec, source, _ = setup(generator)
    target = tt.parameters(mlp()).to(torch.float64)
    assert all(step.permutation == tt.Permutation.identity(spec) for step in tt.naive(source, target, spec))
    planted = tt.Permutation.random(spec, generator)
    end = target + planted(source[-1] - source[0])
    assert {step.t for step in tt.oracle(source, target, spec, end) if step.permutation == planted} == {1, 2, 3}


def test_fgmt_is_gmt_for_a_single_step(generator):
    _, spec, source, gradients = setup(generator, steps=1)
    target = tt.parameters(mlp()).to(torch.float64)
    (a,), (b,) = (list(method(source, target, spec, gradients)) for method in (tt.gmt, tt.fgmt))
    assert (a.params - b.params).norm() == 0 and a.permutation == b.permutation and a.gradient_pairs == b.gradient_pairs == 1


def test_gradient_pairs_and_the_points_they_are_taken_at(generator):
    """GMT asks again at all earlier points under the newest permutation; FGMT only at the newest point."""
    _, spec, source, gradients = setup(generator, steps=4)
    target = tt.parameters(mlp()).to(torch.float64)
    asked = []

    def spy(at_target, at_source):
        asked.append((at_target, at_source))
        return gradients(at_target, at_source)

    fast = list(tt.fgmt(source, target, spec, spy))
    assert [step.gradient_pairs for step in fast] == [1, 2, 3, 4] and len(asked) == 4
    for t, (at_target, at_source) in enumerate(asked):
        assert (at_source - source[t]).norm() == 0
        assert (at_target - (fast[t - 1].params if t else target)).norm() == 0
    asked.clear()
    slow = list(tt.gmt(source, target, spec, spy))
    assert [step.gradient_pairs for step in slow] == [1, 3, 6, 10] and len(asked) == 10
    for t, (at_target, at_source) in enumerate(asked[6:]):
        assert (at_source - source[t]).norm() == 0
        assert (at_target - tt.moved(source, target, t, slow[2].permutation)).norm() == 0


def test_a_list_of_points_is_a_trajectory_too(generator):
    _, spec, source, gradients = setup(generator)
    target = tt.parameters(mlp()).to(torch.float64)
    a = list(tt.fgmt(source, target, spec, gradients))
    b = list(tt.fgmt(list(source), target, spec, gradients))
    assert all((x.params - y.params).norm() == 0 for x, y in zip(a, b, strict=True))


def test_the_objective_is_the_agreement_of_the_gradients(generator):
    _model, spec, source, gradients = setup(generator)
    target = tt.parameters(mlp()).to(torch.float64)
    step = next(tt.fgmt(source, target, spec, gradients))
    y, x = gradients(target, source[0])
    assert step.matching.objective[-1] == pytest.approx(y @ step.permutation(x))


def test_every_method_has_a_name_and_one_shape(generator):
    """A fourth argument holds what a method knows besides the trajectory, the target and the symmetry."""
    _, spec, source, gradients = setup(generator)
    target, end = tt.parameters(mlp()).to(torch.float64), source[-1]
    known = {"nothing": (), "end": (end,), "gradients": (gradients,)}
    for name, method in METHODS.items():
        steps = list(method.steps(source, target, spec, *known[method.knows]))
        assert len(steps) == 3 and method.label and name == method.steps.__name__
