"""The settings of the paper and their counterparts on data that needs no network.

A setting says what is trained (data, network, recipe) and how it is transferred (T, B, B', times).
The preset ``paper`` holds the published values, ``released-code`` those of the author's
configuration where it differs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from trajtransfer.paper.counterparts import (
    CNN5,
    CONV8_SMALL,
    DIGITS,
    DIGITS_CNN5,
    DIGITS_CONV8_SMALL,
    DIGITS_HIGH,
    DIGITS_LOW,
    DIGITS_RESNET10,
    DIGITS_RESNET18_SMALL,
    FAR_RESNET10,
    FASHION,
    FASHION14,
    FASHION_CONV8,
    FASHION_DIGITS,
    FASHION_DIGITS_CNN5,
    FASHION_DIGITS_CONV8,
    FASHION_DIGITS_RESNET10,
    FASHION_DIGITS_RESNET18,
    FASHION_HALVES_RESNET10,
    FASHION_HIGH_RESNET18,
    FASHION_RESNET18,
    HIGH_RESNET18_TINY,
    LOW_RESNET18_TINY,
    RESNET10,
    RESNET18_TINY,
)
from trajtransfer.paper.published_settings import (
    CARS,
    CIFAR10,
    CIFAR100,
    CUB,
    IMAGENET,
    MNIST,
    RELEASED,
)
from trajtransfer.paper.setting import Setting

PRESETS = ("paper", "released-code")


def setting(
    name: str,
    preset: str = "paper",
    *,
    width: float = 0,
    epochs: int = 0,
    decay: str = "",
    fast: bool = False,
    **changes: Any,
) -> Setting:
    """A setting by name; `changes` replace fields, and 0 or ``""`` keeps the setting's own value.

    `epochs` and `decay` (the learning-rate schedule) change the training, `width` and `fast`
    pre-training too. Raises ``ValueError`` for an unknown name or preset.
    """
    if name not in SETTINGS:
        raise ValueError(f"unknown setting {name!r}; known: {', '.join(SETTINGS)}")
    if preset not in PRESETS:
        raise ValueError(f"unknown preset {preset!r}; known: {', '.join(PRESETS)}")
    chosen = SETTINGS[name]
    if preset == "released-code":
        chosen = _released(chosen)
    if width:
        chosen = chosen.with_width(width)
    if fast:
        chosen = chosen.with_fast_training()
    recipe = replace(chosen.recipe, **_given(epochs=epochs, schedule=decay))
    return replace(chosen, recipe=recipe, **_given(**changes))


def settings(names: Sequence[str], widths: Sequence[float] = (), **changes: Any) -> list[Setting]:
    """Several settings, each at all of the `widths` (none: its own)."""
    return [setting(name, width=width, **changes) for name in names for width in widths or [0]]


def _given(**changes: Any) -> dict[str, Any]:
    return {field: value for field, value in changes.items() if value}


def _released(chosen: Setting) -> Setting:
    """The author's configuration: cosine-like times everywhere, and what `RELEASED` lists."""
    changes = dict(RELEASED.get(chosen.name, {}))
    epochs = changes.pop("epochs", chosen.recipe.epochs)
    recipe = replace(chosen.recipe, epochs=epochs)
    return replace(chosen, schedule="cosine", recipe=recipe, **changes)


SETTINGS = {
    chosen.name: chosen
    for chosen in (
        MNIST,
        CIFAR10,
        IMAGENET,
        CARS,
        CUB,
        CIFAR100,
        replace(CIFAR100, name="cifar100-random-conv8", pretrained=None, exact=False),
        replace(CUB, name="cub-random-resnet18", pretrained=None, exact=False),
        replace(CIFAR100, name="cifar100-subset-conv8", classes=tuple(range(10)), exact=False),
        DIGITS,
        FASHION,
        DIGITS_LOW,
        DIGITS_HIGH,
        replace(DIGITS_HIGH, name="digits59-random-mlp", pretrained=None, panel="5a"),
        FASHION_DIGITS,
        FASHION_CONV8,
        FASHION_DIGITS_CONV8,
        FASHION_RESNET18,
        FASHION_DIGITS_RESNET18,
        FASHION_HIGH_RESNET18,
        CONV8_SMALL,
        DIGITS_CONV8_SMALL,
        DIGITS_RESNET18_SMALL,
        RESNET18_TINY,
        LOW_RESNET18_TINY,
        HIGH_RESNET18_TINY,
        FASHION14,
        CNN5,
        DIGITS_CNN5,
        FASHION_DIGITS_CNN5,
        RESNET10,
        FAR_RESNET10,
        DIGITS_RESNET10,
        FASHION_DIGITS_RESNET10,
        FASHION_HALVES_RESNET10,
    )
}
