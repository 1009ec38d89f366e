"""The paper's networks by name, with PyTorch's default initialisation drawn from a seed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from numbers import Integral, Real

import torch
from torch import nn

Shape = tuple[int, int, int]
WIDEST = 100_000  # hidden units of an mlp: a matrix of gains then has 40 GB
CHANNELS = (64, 128, 256, 512)  # of the stages of Conv8 and the ResNets at width 1
WIDEST_SCALE = 64  # times the channels of a convolutional network: gigabytes of weights


def build(architecture: str, shape: Shape, classes: int, width: float, seed: int) -> nn.Module:
    """An initialised network for images of `shape` (c, h, w).

    ``"mlp"``: one hidden layer of `width` units. ``"conv8"``: eight 3x3 convolutions and three
    linear layers, channels times `width` (those of the largest layer are whole), for images of
    side 32. ``"cnn5"``: three 3x3 convolutions of 64, 128 and 256 channels, times `width`, each
    with max-pooling, and two linear layers, no normalisation. ``"resnet18"``: torchvision's,
    channels times `width`; up to side 64 with a 3x3 stem and no max-pooling; ``"resnet10"``: the
    same with one block per stage.
    Weights of all networks are uniform within ``1 / sqrt(fan_in)``, PyTorch's default (torchvision
    draws larger ones for its convolutions, and they transfer worse).
    Raises ``ValueError`` for an unknown name, a shape that is no image, less than two classes, and
    a width that is not positive and finite, leaves a layer without units, or leaves a fraction of
    a unit.
    """
    if architecture not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise ValueError(f"unknown architecture {architecture!r}; known: {known}")
    _require_shape(shape)
    _require_classes(classes)
    _require_width(width)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return ARCHITECTURES[architecture](shape, classes, width)


def reset_head(model: nn.Module, classes: int, seed: int) -> nn.Module:
    """Replace the last linear layer of `model` by a fresh one, drawn from `seed`.

    It has `classes` outputs.
    """
    _require_classes(classes)
    layers = [(n, m) for n, m in model.named_modules() if isinstance(m, nn.Linear)]
    if not layers or not layers[-1][0]:
        wrong = f"{type(model).__name__} has no linear layer inside to replace"
        raise ValueError(f"{wrong}; wrap it in nn.Sequential")
    name, head = layers[-1]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = nn.Linear(head.in_features, classes, bias=head.bias is not None)
    parent, _, child = name.rpartition(".")
    setattr(model.get_submodule(parent), child, fresh.to(head.weight.device))
    return model


def _require_shape(shape: Shape) -> None:
    if not isinstance(shape, Sequence) or len(shape) != 3 or not all(map(_positive, shape)):
        wrong = f"shape={shape!r} is no shape of images"
        raise ValueError(f"{wrong}; pass (channels, height, width), e.g. (1, 28, 28)")


def _require_classes(classes: int) -> None:
    if not _positive(classes) or classes < 2:
        wrong = f"classes={classes!r} leaves nothing to tell apart"
        raise ValueError(f"{wrong}; pass a whole number, 2 or more")


def _require_width(width: float) -> None:
    if not isinstance(width, Real) or isinstance(width, bool):
        raise TypeError(f"width={width!r} is not a number; pass 1, for example")
    if not 0 < width <= WIDEST:
        wrong = f"width={width} is not within 0..{WIDEST:,}"
        raise ValueError(f"{wrong}; choose a positive width that fits into memory")


def _require_sizes(name: str, width: float, channels: Sequence[int]) -> None:
    """Raise unless layers of so many channels, times `width`, are layers that fit into memory.

    Two widths that round to the same numbers of channels would be two names of one network, so the
    largest layer has to be whole.
    """
    smallest = min(channels)
    largest = max(channels)
    if width > WIDEST_SCALE:
        wrong = f"{name} at width={width:g} does not fit into memory"
        raise ValueError(f"{wrong}; choose at most {WIDEST_SCALE}")
    if int(smallest * width) < 1:
        wrong = f"{name} at width={width:g} has no channels left"
        raise ValueError(f"{wrong}; choose at least {1 / smallest:g}")
    if largest * width != int(largest * width):
        whole = max(1, round(largest * width)) / largest
        wrong = f"{name} at width={width:g} has a fraction of a channel in its largest layer"
        raise ValueError(f"{wrong}; choose {whole!r}")


def _positive(number: object) -> bool:
    return isinstance(number, Integral) and not isinstance(number, bool) and int(number) >= 1


def _mlp(shape: Shape, classes: int, width: float) -> nn.Module:
    c, h, w = shape
    if width < 1:
        wrong = f"an mlp needs at least one hidden unit, got width={width:g}"
        raise ValueError(f"{wrong}; choose 1 or more")
    if width != int(width):
        wrong = f"an mlp has a whole number of hidden units, got width={width:g}"
        raise ValueError(f"{wrong}; choose {int(width)}")
    layers = OrderedDict(
        flatten=nn.Flatten(),
        hidden=nn.Linear(c * h * w, int(width)),
        relu=nn.ReLU(),
        head=nn.Linear(int(width), classes),
    )
    return nn.Sequential(layers)


def _conv8(shape: Shape, classes: int, width: float) -> nn.Module:
    if shape[1:] != (32, 32):
        wrong = f"conv8 needs images of side 32, got {shape[1:]}"
        raise ValueError(f"{wrong}; load the task with size=32")
    _require_sizes("conv8", width, CHANNELS)
    hidden = int(256 * width)
    features = nn.Sequential(*_conv8_features(shape[0], width))  # drawn before the classifier
    classifier = nn.Sequential(
        nn.Flatten(),
        nn.Linear(int(CHANNELS[-1] * width), hidden),
        nn.ReLU(),
        nn.Linear(hidden, hidden),
        nn.ReLU(),
        nn.Linear(hidden, classes),
    )
    return nn.Sequential(OrderedDict(features=features, classifier=classifier))


def _conv8_features(channels: int, width: float) -> Iterator[nn.Module]:
    """Two convolutions for each size of an image; the last pooling leaves one pixel."""
    for full, pool in zip(CHANNELS, (2, 2, 2, 4), strict=True):
        out = int(full * width)
        yield nn.Conv2d(channels, out, 3, padding=1)
        yield nn.ReLU()
        yield nn.Conv2d(out, out, 3, padding=1)
        yield nn.ReLU()
        yield nn.MaxPool2d(pool)
        channels = out


def _cnn5(shape: Shape, classes: int, width: float) -> nn.Module:
    channels, *sides = shape
    if min(sides) < 8:
        wrong = f"cnn5 halves its images three times, and these are of side {min(sides)}"
        raise ValueError(f"{wrong}; load the task with size=8 or more")
    _require_sizes("cnn5", width, CHANNELS[:3])
    features: list[nn.Module] = []
    for full in CHANNELS[:3]:
        out = int(full * width)
        features += [nn.Conv2d(channels, out, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        channels = out
    inputs = channels * (sides[0] // 8) * (sides[1] // 8)
    classifier = nn.Sequential(
        nn.Flatten(),
        nn.Linear(inputs, channels),
        nn.ReLU(),
        nn.Linear(channels, classes),
    )
    return nn.Sequential(OrderedDict(features=nn.Sequential(*features), classifier=classifier))


def _resnet(
    name: str, blocks: Sequence[int], shape: Shape, classes: int, width: float
) -> nn.Module:
    _require_sizes(name, width, CHANNELS)
    from trajtransfer.paper.resnet import ResNet  # loads torchvision, see `_torchvision`

    model = ResNet(blocks, classes, width)
    if shape[1] <= 64:
        model.conv1 = nn.Conv2d(shape[0], model.conv1.out_channels, 3, padding=1, bias=False)
        model.maxpool = nn.Identity()
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            module.reset_parameters()
    return model


ARCHITECTURES: dict[str, Callable[[Shape, int, float], nn.Module]] = {
    "mlp": _mlp,
    "cnn5": _cnn5,
    "conv8": _conv8,
    "resnet10": partial(_resnet, "resnet10", (1, 1, 1, 1)),
    "resnet18": partial(_resnet, "resnet18", (2, 2, 2, 2)),
}
