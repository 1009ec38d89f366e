"""The paper's networks by name, with PyTorch's default initialisation drawn from a seed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

import torch
from torch import nn

from trajtransfer._torchvision import torchvision

Shape = tuple[int, int, int]


def build(architecture: str, shape: Shape, classes: int, width: float, seed: int) -> nn.Module:
    """An initialised network for images of `shape` (c, h, w).

    ``"mlp"``: one hidden layer of `width` units. ``"conv8"``: eight 3x3 convolutions and three linear layers,
    channels times `width`, for images of side 32. ``"resnet18"``: torchvision's, channels times `width`; up to side 64
    with a 3x3 stem and no max-pooling. Weights of all networks are uniform within ``1 / sqrt(fan_in)``, PyTorch's default
    (torchvision draws larger ones for its convolutions, and they transfer worse).
    Raises ``ValueError`` for an unknown name.
    """
    if architecture not in ARCHITECTURES:
        raise ValueError(f"unknown architecture {architecture!r}; known: {', '.join(ARCHITECTURES)}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return ARCHITECTURES[architecture](shape, classes, width)


def reset_head(model: nn.Module, classes: int, seed: int) -> nn.Module:
    """Replace the last linear layer of `model` by a fresh one with `classes` outputs, drawn from `seed`."""
    name, head = [(n, m) for n, m in model.named_modules() if isinstance(m, nn.Linear)][-1]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = nn.Linear(head.in_features, classes, bias=head.bias is not None)
    parent, _, child = name.rpartition(".")
    setattr(model.get_submodule(parent), child, fresh.to(head.weight.device))
    return model


def _mlp(shape: Shape, classes: int, width: float) -> nn.Module:
    c, h, w = shape
    if width < 1:
        raise ValueError(f"an mlp needs at least one hidden unit, got width={width:g}")
    return nn.Sequential(
        OrderedDict(
            flatten=nn.Flatten(),
            hidden=nn.Linear(c * h * w, int(width)),
            relu=nn.ReLU(),
            head=nn.Linear(int(width), classes),
        )
    )


def _conv8(shape: Shape, classes: int, width: float) -> nn.Module:
    if shape[1:] != (32, 32):
        raise ValueError(f"conv8 needs images of side 32, got {shape[1:]}; load the task with size=32")
    layers, channels = [], shape[0]
    for out, pool in ((64, 2), (128, 2), (256, 2), (512, 4)):
        out = int(out * width)
        layers += [*_convolution(channels, out), *_convolution(out, out), nn.MaxPool2d(pool)]
        channels = out
    hidden = int(256 * width)
    head = [
        nn.Flatten(),
        nn.Linear(channels, hidden),
        nn.ReLU(),
        nn.Linear(hidden, hidden),
        nn.ReLU(),
        nn.Linear(hidden, classes),
    ]
    return nn.Sequential(OrderedDict(features=nn.Sequential(*layers), classifier=nn.Sequential(*head)))


def _convolution(channels: int, out: int) -> Iterator[nn.Module]:
    yield nn.Conv2d(channels, out, 3, padding=1)
    yield nn.ReLU()


class _ResNet18(torchvision.models.ResNet):
    """torchvision's ResNet-18 with all channels times `width`."""

    def __init__(self, classes: int, width: float):
        self.scale = width
        super().__init__(torchvision.models.resnet.BasicBlock, [2, 2, 2, 2], num_classes=classes)
        self.fc = nn.Linear(self.inplanes, classes)

    def _make_layer(self, block: type, planes: int, *arguments: int, **options: int) -> nn.Sequential:
        if planes == 64:  # the first stage: what enters it is scaled too
            self.inplanes = int(64 * self.scale)
            self.conv1 = nn.Conv2d(3, self.inplanes, 7, stride=2, padding=3, bias=False)
            self.bn1 = nn.BatchNorm2d(self.inplanes)
        return super()._make_layer(block, int(planes * self.scale), *arguments, **options)


def _resnet18(shape: Shape, classes: int, width: float) -> nn.Module:
    if int(64 * width) < 1:
        raise ValueError(f"resnet18 at width={width:g} has no channels left; choose at least {1 / 64:g}")
    model = torchvision.models.resnet18(num_classes=classes) if width == 1 else _ResNet18(classes, width)
    if shape[1] <= 64:
        model.conv1 = nn.Conv2d(shape[0], model.conv1.out_channels, 3, padding=1, bias=False)
        model.maxpool = nn.Identity()
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            module.reset_parameters()
    return model


ARCHITECTURES = {"mlp": _mlp, "conv8": _conv8, "resnet18": _resnet18}
