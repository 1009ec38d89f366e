"""The guard: it lets right specifications pass and says what is wrong with others."""

from __future__ import annotations

import pytest
import torch
from cases import SMALL
from small_networks import Net, mlp
from torch import nn

import trajtransfer as tt


def test_it_names_the_tensor_and_axis_of_a_wrong_specification(generator):
    model = mlp()
    right = tt.permutation_spec(model, torch.zeros(2, 5))
    rows, _ = right.axes["2.weight"]
    axes = {**right.axes, "2.weight": (rows, (tt.AxisPart(None, 7),))}
    forgotten = tt.PermutationSpec(right.sizes, axes)
    message = r"units '0' changes the output.*axis 0 of '0\.weight'.*axis 0 of '0\.bias'"
    with pytest.raises(ValueError, match=message):
        tt.check_invariance(model, forgotten, torch.zeros(2, 5), generator)


def test_it_sees_running_statistics(generator):
    """Fresh statistics are all equal; unless they are perturbed, it is not seen that they move."""
    model = SMALL[1].model()
    inputs = SMALL[1].inputs(generator)
    right = tt.permutation_spec(model, inputs)
    axes = {**right.axes, "1.running_var": ((tt.AxisPart(None, 6),),)}
    still = tt.PermutationSpec(right.sizes, axes)
    with pytest.raises(ValueError, match="changes the output"):
        tt.check_invariance(model, still, inputs, generator)


def test_it_does_not_pass_on_outputs_that_say_nothing(generator):
    layers = {"a": nn.Linear(4, 6), "head": nn.Linear(6, 2)}
    model = Net(lambda net, x: net.head(torch.log(net.a(x))), **layers)
    inputs = torch.randn(3, 4, generator=generator)
    spec = tt.permutation_spec(model, inputs)
    with pytest.raises(ValueError, match="cannot be checked: its outputs are not finite"):
        tt.check_invariance(model, spec, inputs, generator)


def test_inputs_that_do_not_fit_are_described(generator):
    model = mlp()
    spec = tt.permutation_spec(model, torch.zeros(2, 5))
    message = r"Sequential in float64 fails on inputs of shape \(2, 3\) and torch.float64"
    with pytest.raises(ValueError, match=message):
        tt.check_invariance(model, spec, torch.zeros(2, 3), generator)
