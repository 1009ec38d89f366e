"""Models of others: a few of those that ``python -m benchmarks.zoo`` tries."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import trajtransfer as tt
from benchmarks.zoo import LIBRARIES, changed, tried

TORCHVISION = """
    efficientnet_b0 googlenet mnasnet0_5 mobilenet_v3_small regnet_y_400mf shufflenet_v2_x0_5
    squeezenet1_1 swin_t
""".split()


@pytest.mark.slow
@pytest.mark.parametrize("name", TORCHVISION)
def test_a_symmetry_is_found_and_is_one(name):
    make = dict(LIBRARIES["torchvision"]())[name]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        kind, words = tried(*make())
    assert kind == "found", words


def test_the_check_sees_what_is_no_symmetry():
    model = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2))
    right = tt.permutation_spec(model, torch.zeros(2, 3))
    axes = {**right.axes, "0.bias": ((tt.AxisPart(None, 5),),)}
    wrong = tt.PermutationSpec(right.sizes, axes)
    inputs = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    assert changed(model, right, inputs) < 1e-12 < 1e-3 < changed(model, wrong, inputs)
