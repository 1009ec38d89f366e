"""The plain gains against the objective they are gains of."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from cases import SMALL, Case, prepared, random_pair

import trajtransfer as tt
from trajtransfer.matching.gains import gains, objective, unit_rows


@pytest.mark.parametrize("case", SMALL, ids=lambda c: c.name)
def test_gains_say_how_the_objective_changes_with_one_group(case: Case, generator):
    """From the identity of a group to any permutation of it, all other groups where they are."""
    spec, theta = prepared(case, generator)
    spec = replace(spec, inside={})  # gains do not know that some units lie inside others
    pairs = [random_pair(theta, generator) for _ in range(3)]
    pi = tt.Permutation.random(spec, generator)
    linear = [units for units in spec.sizes if units not in spec.neighbours[units]]
    for units in linear:
        size = spec.sizes[units]
        matrix = gains(pairs, pi, units)
        still = pi.replace(units, torch.arange(size))
        for _ in range(3):
            columns = torch.randperm(size, generator=generator)
            chosen = matrix[torch.arange(size), columns].sum() - matrix.trace()
            change = objective(pairs, pi.replace(units, columns)) - objective(pairs, still)
            assert abs(change - float(chosen)) <= 1e-12 * sum(y.norm() * x.norm() for y, x in pairs)


def test_gains_of_units_on_two_axes_are_the_derivative_of_the_objective(generator):
    """By automatic differentiation, at a permutation as a matrix."""
    part = (tt.AxisPart("a", 4),)
    fed_back = (tt.AxisPart("a", 4), tt.AxisPart("a", 4))
    spec = tt.PermutationSpec({"a": 4}, {"w": (fed_back, part), "b": (part,)})
    like = tt.Params({"w": torch.zeros(8, 4).double(), "b": torch.zeros(4).double()})
    pairs = [random_pair(like, generator) for _ in range(3)]
    pi = tt.Permutation.random(spec, generator)
    matrix = torch.eye(4, dtype=torch.float64)[pi.indices["a"]].requires_grad_()
    total = torch.zeros(())
    for y, x in pairs:
        for gate in (slice(0, 4), slice(4, 8)):
            total = total + (y["w"][gate] * (matrix @ x["w"][gate] @ matrix.T)).sum()
        total = total + y["b"] @ (matrix @ x["b"])
    assert total.item() == pytest.approx(objective(pairs, pi))
    (expected,) = torch.autograd.grad(total, matrix)
    torch.testing.assert_close(gains(pairs, pi, "a"), expected)


def test_the_objective_is_the_sum_over_pairs_of_what_they_agree_in(generator):
    spec, theta = prepared(SMALL[0], generator)
    pairs = [random_pair(theta, generator) for _ in range(2)]
    pi = tt.Permutation.random(spec, generator)
    by_hand = 0.0
    for y, x in pairs:
        moved = pi(x)
        by_hand += sum(float((y[name] * moved[name]).sum()) for name in y)
    assert objective(pairs, pi) == pytest.approx(by_hand, rel=1e-12)


def test_rows_of_units_are_their_entries():
    """A linear layer behind a concatenation with a feature map: parts, one of them in blocks."""
    axis = (tt.AxisPart("a", 4, 2), tt.AxisPart(None, 1), tt.AxisPart("a", 2))
    x = torch.arange(14).view(2, 7)
    assert unit_rows(x, 1, axis, "a").tolist() == [[0, 7, 1, 8, 5, 12], [2, 9, 3, 10, 6, 13]]
    assert unit_rows(x, 0, (tt.AxisPart("b", 2),), "b").tolist() == x.tolist()
