"""The guard: it lets right specifications pass and says what is wrong with others."""

from __future__ import annotations

import pytest
import torch
from cases import SMALL
from small_networks import Net, mlp
from torch import nn
from torch.nn import functional as F

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


def with_a_second_head(net, x):
    """The logits, and in training those of another head."""
    hidden = net.a(x).relu()
    return (net.head(hidden), net.other(hidden)) if net.training else net.head(hidden)


def test_what_is_wrong_in_training_alone_is_seen(generator):
    layers = {"a": nn.Linear(4, 6), "head": nn.Linear(6, 2), "other": nn.Linear(6, 3)}
    model = Net(with_a_second_head, **layers)
    inputs = torch.randn(3, 4, generator=generator)
    right = tt.permutation_spec(model, inputs)
    tt.check_invariance(model, right, inputs, generator)
    rows, _ = right.axes["other.weight"]
    axes = {**right.axes, "other.weight": (rows, (tt.AxisPart(None, 6),))}
    still = tt.PermutationSpec(right.sizes, axes)
    with pytest.raises(ValueError, match="changes the output of Net in training"):
        tt.check_invariance(model, still, inputs, generator)


def test_a_network_that_draws_in_evaluation_is_told_apart(generator):
    layers = {"a": nn.Linear(4, 6), "head": nn.Linear(6, 2)}
    model = Net(lambda net, x: net.head(F.dropout(net.a(x))), **layers)
    inputs = torch.randn(3, 4, generator=generator)
    spec = tt.permutation_spec(model, inputs)
    with pytest.raises(ValueError, match="Net gives two outputs for one input"):
        tt.check_invariance(model, spec, inputs, generator)


def dropped(net, x):
    return net.head(F.dropout(net.a(x).relu(), training=net.training))


def noisy(net, x):
    return net.head(net.a(x) + torch.randn(6, dtype=x.dtype) * net.training)


def needs_targets(net, x, targets=None):
    assert not net.training or targets is not None
    return net.head(net.a(x).relu())


@pytest.mark.parametrize("forward", [dropped, noisy, needs_targets])
def test_what_training_draws_or_lacks_is_no_fault(forward, generator):
    layers = {"a": nn.Linear(4, 6), "head": nn.Linear(6, 2)}
    model = Net(forward, **layers)
    inputs = torch.randn(3, 4, generator=generator)
    tt.check_invariance(model, tt.permutation_spec(model, inputs), inputs, generator)


def test_running_statistics_stay_while_training_is_checked(generator):
    model = SMALL[1].model().train()
    before = {name: x.clone() for name, x in model.state_dict().items()}
    inputs = SMALL[1].inputs(generator)
    tt.check_invariance(model, tt.permutation_spec(model, inputs), inputs, generator)
    assert model.training
    assert all(torch.equal(x, before[name]) for name, x in model.state_dict().items())
