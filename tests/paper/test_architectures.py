"""The paper's networks: sizes from its tables, PyTorch's initialisation, seeds, new heads."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import nn

import trajtransfer as tt
from trajtransfer.paper import architectures


def count(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def test_numbers_of_parameters():
    mlp = architectures.build("mlp", (1, 28, 28), 10, 4096, 0)
    assert count(mlp) == 784 * 4096 + 4096 + 4096 * 10 + 10
    conv8 = architectures.build("conv8", (3, 32, 32), 10, 1, 0)
    channels = [3, 64, 64, 128, 128, 256, 256, 512, 512]
    expected = sum(9 * a * b + b for a, b in pairwise(channels))
    assert count(conv8) == expected + (512 * 256 + 256) + (256 * 256 + 256) + (256 * 10 + 10)
    torchvisions = 11_689_512
    assert count(architectures.build("resnet18", (3, 224, 224), 1000, 1, 0)) == torchvisions
    with_small_stem = torchvisions - 64 * 3 * 49 + 64 * 3 * 9
    assert count(architectures.build("resnet18", (3, 32, 32), 1000, 1, 0)) == with_small_stem


@pytest.mark.parametrize(
    ("name", "shape", "width"),
    [
        ("mlp", (1, 28, 28), 32),
        ("cnn5", (1, 16, 16), 0.25),
        ("conv8", (1, 32, 32), 0.25),
        ("resnet10", (1, 14, 14), 0.25),
        ("resnet18", (1, 32, 32), 1),
    ],
)
def test_seeds_decide_the_initialisation_and_leave_the_global_one_alone(name, shape, width):
    state = torch.random.get_rng_state()
    a, b, c = (architectures.build(name, shape, 7, width, seed) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert (tt.parameters(a) - tt.parameters(b)).norm() == 0
    assert (tt.parameters(a) - tt.parameters(c)).norm() > 0
    assert a.eval()(torch.zeros(2, *shape)).shape == (2, 7)


def test_the_small_networks_are_what_their_names_say():
    cnn5 = architectures.build("cnn5", (1, 16, 16), 10, 0.5, 0)
    channels = [1, 32, 64, 128]
    convolutions = sum(9 * a * b + b for a, b in pairwise(channels))
    assert count(cnn5) == convolutions + (4 * 128 * 128 + 128) + (128 * 10 + 10)
    layers = [m for m in cnn5.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len(layers) == 5
    resnet10 = architectures.build("resnet10", (1, 14, 14), 10, 0.25, 0)
    shortcuts = [name for name, _ in resnet10.named_modules() if name.endswith("downsample")]
    layers = [m for m in resnet10.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len(layers) - len(shortcuts) == 10 and len(shortcuts) == 3


def test_width_scales_every_channel_of_resnet18():
    whole = architectures.build("resnet18", (1, 32, 32), 10, 1, 0)
    narrow = architectures.build("resnet18", (1, 32, 32), 10, 0.25, 0)
    scaled = {
        "convolution": [4, 4, 1, 1],
        "stem": [4, 1, 1, 1],
        "vector": [4],
        "head": [1, 4],
        "bias of the head": [1],
    }
    for a, b in zip(whole.parameters(), narrow.parameters(), strict=True):
        ratios = [m // n for m, n in zip(a.shape, b.shape, strict=True)]
        assert ratios in scaled.values()
    assert count(architectures.build("resnet18", (3, 64, 64), 10, 0.25, 0)) < count(whole) / 15


def test_the_initialisation_is_pytorchs():
    """Uniform within 1/sqrt(fan_in), in torchvision's network too."""
    for name, shape in (("conv8", (1, 32, 32)), ("resnet18", (1, 32, 32))):
        model = architectures.build(name, shape, 10, 0.25, 0)
        for layer in model.modules():
            if isinstance(layer, nn.Conv2d):
                fan_in = layer.in_channels * layer.kernel_size[0] ** 2
                assert 0.9 < float(layer.weight.detach().abs().max()) * fan_in**0.5 <= 1 + 1e-6
    weight = architectures.build("mlp", (1, 28, 28), 10, 512, 0).hidden.weight.detach()
    assert float(weight.abs().max()) <= 784**-0.5
    assert float(weight.std()) == pytest.approx((3 * 784) ** -0.5, rel=0.02)


def test_a_new_head_is_seeded_and_the_rest_stays():
    for name, shape in (("mlp", (1, 28, 28)), ("conv8", (1, 32, 32)), ("resnet18", (1, 32, 32))):
        width = 64 if name == "mlp" else 1
        old, new, same = (architectures.build(name, shape, 10, width, 0) for _ in range(3))
        architectures.reset_head(new, 5, seed=3)
        architectures.reset_head(same, 5, seed=3)
        before = tt.parameters(old)
        after = tt.parameters(new)
        heads = {n for n in before if before[n].shape != after[n].shape}
        assert len(heads) == 2
        assert all(torch.equal(before[n], after[n]) for n in before.keys() - heads)
        assert (after - tt.parameters(same)).norm() == 0


def test_what_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="unknown architecture 'vit'; known: mlp, cnn5, conv8, "):
        architectures.build("vit", (1, 28, 28), 10, 1, 0)
    with pytest.raises(ValueError, match=r"conv8 needs images of side 32.*size=32"):
        architectures.build("conv8", (1, 28, 28), 10, 1, 0)
    with pytest.raises(ValueError, match=r"resnet18 at width=0.01 has no channels left"):
        architectures.build("resnet18", (1, 32, 32), 10, 0.01, 0)
