"""Networks for the laws: what each is called, how to make it, an input, and the group sizes written by hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trajtransfer.paper import architectures
from trajtransfer.paper._torchvision import torchvision


class Case(NamedTuple):
    name: str
    make: Callable[[], nn.Module]
    shape: tuple[int, ...]
    sizes: dict[int, int]  # size of a group -> how many groups have it

    def model(self) -> nn.Module:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return self.make()

    def inputs(self, generator: torch.Generator, n: int = 3) -> Tensor:
        return torch.randn(n, *self.shape, generator=generator)


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 6), nn.Tanh(), nn.Linear(6, 3))


def convolutional() -> nn.Module:
    """Blocks: a feature map of 3x3 pixels flattened into a linear layer."""
    return nn.Sequential(
        nn.Conv2d(2, 6, 3, padding=1), nn.BatchNorm2d(6), nn.GELU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(6 * 9, 8),
        nn.LayerNorm(8), nn.Linear(8, 3),
    )  # fmt: skip


class Residual(nn.Module):
    """A stream that two branches write to, one of them gated."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.inner, self.back = nn.Conv1d(2, 6, 1), nn.Conv1d(6, 5, 3, padding=1), nn.Conv1d(5, 6, 1)
        self.gate, self.head = nn.Linear(6, 6), nn.Linear(6, 3)
        self.squeeze = nn.Linear(6, 4)
        self.gate = nn.Linear(4, 6)
        self.norm = nn.GroupNorm(1, 6)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = x + self.back(torch.relu(self.inner(self.norm(x))))
        x = x * torch.sigmoid(self.gate(F.silu(self.squeeze(x.mean(-1))))).unsqueeze(-1)
        return self.head(x.amax(2))


class Dense(nn.Module):
    """Concatenation: axes of several segments, then a shortcut around them."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(1, 4, 1), nn.Conv2d(1, 5, 1)
        self.norm, self.mix, self.head = nn.BatchNorm2d(9), nn.Conv2d(9, 7, 1), nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        both = torch.cat([self.a(x), self.b(x)], 1)
        mixed = self.mix(F.relu(self.norm(both)))
        return self.head(torch.cat([both, mixed], dim=1).mean((2, 3)))


class AddedConcatenation(nn.Module):
    """A group that has to be split because it meets a concatenation."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c, self.head = nn.Linear(5, 3), nn.Linear(5, 4), nn.Linear(5, 7), nn.Linear(7, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.relu(torch.cat([self.a(x), self.b(x)], -1) + self.c(x)))


class Attention(nn.Module):
    """Heads are blocks of the projections; queries and keys share the units inside them only as a whole."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.q, self.k, self.v = nn.Linear(4, 8), nn.Linear(8, 6), nn.Linear(8, 6), nn.Linear(8, 6)
        self.out, self.head = nn.Linear(6, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        q, k, v = (f(x).view(x.shape[0], x.shape[1], 3, 2).transpose(1, 2) for f in (self.q, self.k, self.v))
        weights = torch.matmul(q, k.transpose(-2, -1)).softmax(-1)
        mixed = torch.matmul(weights, v).transpose(1, 2).flatten(2)
        return self.head((x + self.out(mixed)).mean(1))


def grouped() -> nn.Module:
    """Depthwise, depthwise with multiplier, few large groups, many small ones, and group normalisation."""
    return nn.Sequential(
        nn.Conv2d(2, 6, 1), nn.Conv2d(6, 6, 3, padding=1, groups=6), nn.ReLU(), nn.Conv2d(6, 12, 1, groups=6), nn.ReLU(),
        nn.Conv2d(12, 8, 1), nn.GroupNorm(2, 8), nn.ReLU(), nn.Conv2d(8, 8, 1, groups=2), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(8, 3),
    )  # fmt: skip


class Split(nn.Module):
    """A gate from the two halves of one layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(5, 12), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        a, b = self.first(x).chunk(2, dim=-1)
        return self.second(a * torch.sigmoid(b))


class Shared(nn.Module):
    """One layer used twice: its units meet themselves."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.head = nn.Linear(4, 6), nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.relu(self.embed(x)) + torch.tanh(self.embed(x + 1)))


def torchvision_model(name: str) -> Callable[[], nn.Module]:
    return lambda: getattr(torchvision.models, name)(num_classes=10)


def _resnet50() -> dict[int, int]:
    inner = {64: 3, 128: 4, 256: 6, 512: 3}  # blocks per width: two inner groups each, one stream of four times the width
    groups = Counter({width: 2 * blocks for width, blocks in inner.items()})
    return dict(groups + Counter([64]) + Counter(4 * width for width in inner))


def _mobilenet_v2() -> dict[int, int]:
    stem_and_head = Counter([32, 1280])
    streams = Counter([16, 24, 32, 64, 96, 160, 320])
    expansions = Counter({96: 1, 144: 2, 192: 3, 384: 4, 576: 3, 960: 3})
    return dict(stem_and_head + streams + expansions)


SMALL = [
    Case("mlp", mlp, (5,), {7: 1, 6: 1}),
    Case("convolutional", convolutional, (2, 6, 6), {6: 1, 8: 1}),
    Case("residual", Residual, (2, 9), {6: 1, 5: 1, 4: 1}),
    Case("dense", Dense, (1, 4, 4), {4: 1, 5: 1, 7: 1}),
    Case("added concatenation", AddedConcatenation, (5,), {3: 1, 4: 1}),
    Case("attention", Attention, (7, 4), {8: 1, 3: 1}),
    Case("grouped", grouped, (2, 5, 5), {6: 1, 4: 3}),
    Case("split", Split, (5,), {6: 1}),
    Case("shared", Shared, (4,), {6: 1}),
]
PAPER = [
    Case("2-MLP", lambda: architectures.build("mlp", (1, 28, 28), 10, 64, 0), (1, 28, 28), {64: 1}),
    Case("Conv8", lambda: architectures.build("conv8", (3, 32, 32), 10, 0.25, 0), (3, 32, 32), {16: 2, 32: 2, 64: 4, 128: 2}),
    Case(
        "ResNet-18, 3x3 stem",
        lambda: architectures.build("resnet18", (1, 32, 32), 10, 1, 0),
        (1, 32, 32),
        {64: 3, 128: 3, 256: 3, 512: 3},
    ),
]
TORCHVISION = [
    Case("resnet18", torchvision_model("resnet18"), (3, 64, 64), {64: 3, 128: 3, 256: 3, 512: 3}),
    Case("resnet50", torchvision_model("resnet50"), (3, 64, 64), _resnet50()),
    Case("vgg11", torchvision_model("vgg11"), (3, 32, 32), {64: 1, 128: 1, 256: 2, 512: 4, 4096: 2}),
    Case("vgg16_bn", torchvision_model("vgg16_bn"), (3, 32, 32), {64: 2, 128: 2, 256: 3, 512: 6, 4096: 2}),
    Case("mobilenet_v2", torchvision_model("mobilenet_v2"), (3, 64, 64), _mobilenet_v2()),
    Case("densenet121", torchvision_model("densenet121"), (3, 64, 64), {64: 1, 128: 58 + 1, 32: 58, 256: 1, 512: 1}),
]
