"""Networks for the laws: how to make each, an input, and the group sizes written by hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import torch
from small_networks import (
    AddedConcatenation,
    Attention,
    Dense,
    Recurrent,
    Residual,
    Shared,
    Split,
    UNet,
    convolutional,
    grouped,
    mlp,
    transformer,
)
from small_transformers import LONGEST, WORDS, Bert, Gpt2, vision_transformer
from torch import Tensor, nn

import trajtransfer as tt
from trajtransfer.paper import architectures
from trajtransfer.paper._torchvision import torchvision


class Case(NamedTuple):
    name: str
    make: Callable[[], nn.Module]
    shape: tuple[int, ...]
    sizes: dict[int, int]  # size of a group -> how many groups have it
    words: int = 0  # of a network that reads words: how many there are

    def model(self) -> nn.Module:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return self.make()

    def inputs(
        self, generator: torch.Generator, n: int = 3, dtype: torch.dtype = torch.float32
    ) -> Tensor:
        if self.words:
            return torch.randint(self.words, (n, *self.shape), generator=generator)
        return torch.randn(n, *self.shape, generator=generator).to(dtype)


def random_point(like: tt.Params, generator: torch.Generator) -> tt.Params:
    """A point with the tensors of another, of normal entries."""
    drawn = {}
    for name, x in like.items():
        drawn[name] = torch.randn(x.shape, generator=generator, dtype=x.dtype)
    return tt.Params(drawn)


def random_pair(like: tt.Params, generator: torch.Generator) -> tuple[tt.Params, tt.Params]:
    return random_point(like, generator), random_point(like, generator)


def prepared(
    case: Case, generator: torch.Generator, dtype: torch.dtype = torch.float64
) -> tuple[tt.PermutationSpec, tt.Params]:
    """The specification of a case and its initial point."""
    model = case.model().to(dtype)
    return tt.permutation_spec(model, case.inputs(generator, dtype=dtype)), tt.parameters(model)


def paper_case(
    name: str, architecture: str, shape: tuple[int, ...], width: float, sizes: dict[int, int]
) -> Case:
    return Case(name, lambda: architectures.build(architecture, shape, 10, width, 0), shape, sizes)


def torchvision_case(name: str, side: int, sizes: dict[int, int]) -> Case:
    def make() -> nn.Module:
        return getattr(torchvision.models, name)(num_classes=10)

    return Case(name, make, (3, side, side), sizes)


def _resnet50() -> dict[int, int]:
    """Two inner groups per block, and per width one stream of four times the width."""
    blocks = {64: 3, 128: 4, 256: 6, 512: 3}
    inner = Counter({width: 2 * count for width, count in blocks.items()})
    streams = Counter(4 * width for width in blocks)
    return dict(inner + Counter([64]) + streams)


def _mobilenet_v2() -> dict[int, int]:
    stem_and_head = Counter([32, 1280])
    streams = Counter([16, 24, 32, 64, 96, 160, 320])
    expansions = Counter({96: 1, 144: 2, 192: 3, 384: 4, 576: 3, 960: 3})
    return dict(stem_and_head + streams + expansions)


def _vgg16_bn() -> nn.Module:
    """That of torchvision with four features of each channel instead of 49: a ninth of the head."""
    model = torchvision.models.vgg16_bn(num_classes=10)
    model.avgpool = nn.AdaptiveAvgPool2d(2)
    model.classifier[0] = nn.Linear(512 * 4, 4096)
    return model


SMALL = [
    Case("mlp", mlp, (5,), {7: 1, 6: 1}),
    Case("convolutional", convolutional, (2, 6, 6), {6: 1, 8: 1}),
    Case("residual", Residual, (2, 9), {6: 1, 5: 1, 4: 1}),
    Case("dense", Dense, (1, 4, 4), {4: 1, 5: 1, 7: 1}),
    Case("added concatenation", AddedConcatenation, (5,), {3: 1, 4: 1}),
    Case("attention", Attention, (7, 4), {8: 1, 6: 2, 3: 1}),
    Case("grouped", grouped, (2, 5, 5), {6: 1, 4: 3}),
    Case("split", Split, (5,), {6: 1}),
    Case("shared", Shared, (4,), {6: 1}),
    Case("transformer", transformer, (5, 4), {8: 3, 2: 1, 6: 1}),
    Case("U-Net", UNet, (1, 4, 4), {4: 1, 6: 1, 5: 1}),
    Case("recurrent", Recurrent, (4, 3), {6: 1, 5: 2}),
    Case("BERT", Bert, (LONGEST,), {24: 6, 3: 2, 32: 2}, WORDS),
    Case("GPT-2", Gpt2, (LONGEST,), {24: 5, 3: 2, 32: 2}, WORDS),
    Case("ViT", vision_transformer, (3, 8, 8), {24: 5, 3: 2, 32: 2}),
]
PAPER = [
    paper_case("2-MLP", "mlp", (1, 28, 28), 64, {64: 1}),
    paper_case("Conv8", "conv8", (3, 32, 32), 0.25, {16: 2, 32: 2, 64: 4, 128: 2}),
    paper_case("ResNet-18, 3x3 stem", "resnet18", (1, 32, 32), 1, {64: 3, 128: 3, 256: 3, 512: 3}),
]
TORCHVISION = [
    torchvision_case("resnet18", 64, {64: 3, 128: 3, 256: 3, 512: 3}),
    torchvision_case("resnet50", 64, _resnet50()),
    Case("vgg16_bn", _vgg16_bn, (3, 32, 32), {64: 2, 128: 2, 256: 3, 512: 6, 4096: 2}),
    torchvision_case("mobilenet_v2", 64, _mobilenet_v2()),
    torchvision_case("densenet121", 64, {64: 1, 128: 58 + 1, 32: 58, 256: 1, 512: 1}),
]
