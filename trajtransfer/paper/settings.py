"""The settings of the paper and their counterparts on data that needs no network.

A setting says what is trained (data, network, recipe) and how it is transferred (T, B, B', times). The preset
``paper`` holds the published values, ``released-code`` those of the author's configuration where it differs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from trajtransfer.paper.recipe import Recipe
from trajtransfer.schedules import MOST_STEPS, SCHEDULES

PHOTOGRAPHS = ("imagenet", "cars", "cub")  # data sets that are decoded before they are used


@dataclass(frozen=True)
class Setting:
    """One experiment.

    `size` is the side of an image, `classes` a subset of them, `pretrained` the setting whose trained network
    (with a new head) is the initialisation. `steps` is T, `batch_size` B and `statistics` B' (0: the network
    has no running statistics), all in samples; `schedule` gives the times of the linear trajectory. `fraction` is
    the part of the training split that is used. `next_lr` and `next_epochs` are those of the training that
    follows a transfer (section 4.2; 0: as for the source). `panel` names the panel of the paper's Figure 5 to
    compare with, and `exact` says whether it is the same experiment.
    """

    name: str
    dataset: str
    architecture: str
    width: float
    recipe: Recipe
    steps: int
    batch_size: int
    statistics: int = 0
    schedule: str = "uniform"
    classes: tuple[int, ...] | None = None
    size: int | None = None
    pretrained: Setting | None = None
    fraction: float = 1.0
    next_lr: float = 0.0
    next_epochs: int = 0
    panel: str = "5a"
    exact: bool = False

    def __post_init__(self) -> None:
        if self.schedule not in SCHEDULES:
            raise ValueError(f"unknown schedule {self.schedule!r}; known: {', '.join(SCHEDULES)}")
        if self.steps < 1 or self.batch_size < 1 or not self.width > 0:
            raise ValueError(f"{self.name}: steps, batch_size and width must be positive")
        if self.steps > MOST_STEPS:
            raise ValueError(f"{self.name}: steps={self.steps} cannot be meant; choose at most {MOST_STEPS}")
        if not 0 < self.fraction <= 1:
            raise ValueError(f"{self.name}: fraction must be in (0, 1], got {self.fraction:g}")

    def training(self) -> dict[str, Any]:
        """Everything that decides what the trained networks are: the identity of a cached network."""
        part = {} if self.fraction == 1 else {"fraction": self.fraction}
        return part | {
            "dataset": self.dataset,
            "classes": self.classes,
            "size": self.size,
            "architecture": self.architecture,
            "width": float(self.width),
            "recipe": self.recipe.identity(),
            "pretrained": self.pretrained.training() if self.pretrained else None,
        }

    @property
    def next_recipe(self) -> Recipe:
        """How a transferred network is trained."""
        return replace(self.recipe, lr=self.next_lr or self.recipe.lr, epochs=self.next_epochs or self.recipe.epochs)

    def task(self) -> str:
        """The data in a few words."""
        classes = f" (classes {'/'.join(map(str, self.classes))})" if self.classes else ""
        return self.dataset + classes + (f", {self.fraction:.0%} of it" if self.fraction < 1 else "")

    def route(self) -> str:
        """From which kind of start to which data."""
        return f"{self.pretrained.task() if self.pretrained else 'random'} → {self.task()}"

    def title(self) -> str:
        """Data, network and scenario in a few words."""
        after = f", pre-trained on {self.pretrained.task()}" if self.pretrained else ""
        return f"{self.task()}; {self.architecture}, width {self.width:g}{after}"

    def heading(self) -> str:
        """Network and route in two lines, for the head of a panel."""
        return f"{self.architecture}, width {self.width:g}\n{self.route()}"

    def summary(self) -> dict[str, Any]:
        """The facts a reader needs beside a figure."""
        r = self.recipe
        decay = "" if r.schedule == "constant" else f", {r.schedule}"
        return {
            "setting": self.title(),
            "training": f"SGD, {r.epochs} epochs, lr {r.lr:g}{decay}, batch {r.batch_size}{', bfloat16' * r.fast}",
            "transfer": f"T = {self.steps}, B = {self.batch_size}, {self.schedule} times",
            "the same experiment as the paper's": "yes" if self.exact else "no, a counterpart on other data",
        }

    def next_summary(self) -> dict[str, Any]:
        """How training goes on after a transfer."""
        return {"subsequent training": f"{self.next_recipe.epochs} epochs, lr {self.next_recipe.lr:g}"}

    def facts(self) -> dict[str, Any]:
        """What a reader can change, as it was used."""
        names = ("width", "steps", "batch_size", "schedule")
        return {"setting": self.name} | {name: getattr(self, name) for name in names} | {"fast": self.recipe.fast}

    def with_fast_training(self) -> Setting:
        """The same setting, pre-training included, with layer products in bfloat16 while training, see `Recipe`."""
        parent = self.pretrained and self.pretrained.with_fast_training()
        return replace(self, recipe=replace(self.recipe, fast=True), pretrained=parent)

    def with_source_fraction(self, fraction: float) -> Setting:
        """The same setting pre-trained on a part of the data. Raises ``ValueError`` for one that is not pre-trained."""
        if self.pretrained is None:
            raise ValueError(f"{self.name} starts from random weights; choose a setting that is pre-trained")
        return replace(self, pretrained=replace(self.pretrained, fraction=fraction))

    def with_width(self, width: float) -> Setting:
        """The same setting, pre-training included, at another width."""
        return replace(self, width=width, pretrained=self.pretrained and self.pretrained.with_width(width))


def setting(
    name: str, preset: str = "paper", *, width: float = 0, epochs: int = 0, decay: str = "", fast: bool = False, **changes: Any
) -> Setting:
    """A setting by name; `changes` replace fields, and a change of 0 or ``""`` keeps the setting's own value.

    `epochs` and `decay` (the learning-rate schedule) change the training, `width` and `fast` pre-training too.

    Raises ``ValueError`` for an unknown name or preset.
    """
    if name not in SETTINGS:
        raise ValueError(f"unknown setting {name!r}; known: {', '.join(SETTINGS)}")
    if preset not in ("paper", "released-code"):
        raise ValueError(f"unknown preset {preset!r}; known: paper, released-code")
    chosen = SETTINGS[name]
    if preset == "released-code":
        chosen = _released(chosen)
    if width:
        chosen = chosen.with_width(width)
    if fast:
        chosen = chosen.with_fast_training()
    recipe: dict[str, Any] = {"epochs": epochs, "schedule": decay}
    changes["recipe"] = replace(chosen.recipe, **{field: value for field, value in recipe.items() if value})
    return replace(chosen, **{field: value for field, value in changes.items() if value})


def settings(names: str, preset: str = "paper", *, widths: str = "", **changes: Any) -> list[Setting]:
    """Several settings, such as ``"mnist5k-mlp, fashion-mlp"``, each at all of the `widths` (empty: its own)."""
    listed = [name.strip() for name in names.split(",")]
    if len(set(listed)) < len(listed):
        raise ValueError(f"setting={names!r} names a setting twice")
    chosen = [setting(name, preset, **changes) for name in listed]
    return [one.with_width(width) for one in chosen for width in numbers(widths)] if widths else chosen


def numbers(text: str) -> list[int]:
    """Different whole numbers such as ``"8, 16"``. Raises ``ValueError`` for anything else, below 1 or above a million."""
    try:
        found = [int(item) for item in text.split(",")]
    except ValueError as error:
        raise ValueError(f"{text!r} is not a list of whole numbers such as '8, 16'") from error
    if min(found) < 1:
        raise ValueError(f"{text!r}: the numbers must be positive")
    if max(found) > 10**6:
        raise ValueError(f"{text!r}: {max(found)} cannot be meant")
    if len(set(found)) < len(found):
        raise ValueError(f"{text!r} names a number twice")
    return found


def _released(chosen: Setting) -> Setting:
    """The author's configuration: cosine-like times everywhere, and what `RELEASED` lists."""
    changes = dict(RELEASED.get(chosen.name, {}))
    epochs = changes.pop("epochs", chosen.recipe.epochs)
    return replace(chosen, schedule="cosine", recipe=replace(chosen.recipe, epochs=epochs), **changes)


_MLP = Recipe(epochs=15, lr=0.01)
_CIFAR10 = Setting(
    "cifar10-conv8", "cifar-10", "conv8", 1, Recipe(60, 0.05, weight_decay=1e-4, schedule="cosine"), 30, 256,
    next_lr=0.01, panel="5b", exact=True,
)  # fmt: skip
_IMAGENET = Setting(
    "imagenet-resnet18", "imagenet", "resnet18", 1,
    Recipe(100, 0.1, weight_decay=1e-4, schedule="cosine", warmup_epochs=5), 40, 12_800, 2_560, size=224,
    panel="5c", exact=True,
)  # fmt: skip
_FINE_TUNE = Recipe(30, 0.1, weight_decay=1e-4, schedule="cosine")
_CIFAR100 = Setting(
    "cifar100-conv8", "cifar-100", "conv8", 1, Recipe(30, 0.05, weight_decay=1e-4, schedule="cosine"), 15, 256,
    pretrained=_CIFAR10, next_epochs=60, panel="5f", exact=True,
)  # fmt: skip
_CUB = Setting(
    "cub-resnet18", "cub", "resnet18", 1, _FINE_TUNE, 15, 640, 256, size=224, pretrained=_IMAGENET, next_lr=0.01,
    panel="5e", exact=True,
)  # fmt: skip
_DIGITS_0_TO_4 = Setting("digits04-mlp", "mnist-5k", "mlp", 512, _MLP, 15, 256, classes=(0, 1, 2, 3, 4), panel="5a")
_DIGITS_5_TO_9 = replace(_DIGITS_0_TO_4, name="digits59-mlp", classes=(5, 6, 7, 8, 9), pretrained=_DIGITS_0_TO_4, panel="5f")
_FASHION = Setting("fashion-mlp", "fashion-mnist", "mlp", 1024, _MLP, 5, 128, panel="5a")
_FASHION_CONV8 = replace(_CIFAR10, name="fashion-conv8", dataset="fashion-mnist", size=32, exact=False)
_FASHION_RESNET18 = Setting(
    "fashion-resnet18", "fashion-mnist", "resnet18", 1, _FINE_TUNE, 30, 1_280, 2_560, size=32, panel="5c",
)  # fmt: skip
_CONV8_SMALL = Setting(
    "fashion-conv8-small", "fashion-mnist", "conv8", 0.25, Recipe(8, 0.05, weight_decay=1e-4, schedule="cosine"), 15, 256,
    size=32, next_lr=0.01, next_epochs=2, panel="5b",
)  # fmt: skip
_RESNET18_SMALL = Setting(
    "fashion-resnet18-small", "fashion-mnist", "resnet18", 0.25,
    Recipe(4, 0.1, weight_decay=1e-4, schedule="cosine", warmup_epochs=1), 10, 256, 640, panel="5c",
)  # fmt: skip
_DIGITS_0_TO_4_TINY = Setting(
    "digits04-resnet18-tiny", "mnist-5k", "resnet18", 0.125, replace(_RESNET18_SMALL.recipe, epochs=5), 5, 256, 256,
    classes=(0, 1, 2, 3, 4), panel="5c",
)  # fmt: skip

SETTINGS = {
    chosen.name: chosen
    for chosen in (
        Setting("mnist-mlp", "mnist", "mlp", 4096, _MLP, 5, 128, panel="5a", exact=True),
        _CIFAR10,
        _IMAGENET,
        Setting("cars-resnet18", "cars", "resnet18", 1, _FINE_TUNE, 15, 640, 256, size=224, pretrained=_IMAGENET,
                next_lr=0.05, panel="5d", exact=True),
        _CUB,
        _CIFAR100,
        replace(_CIFAR100, name="cifar100-random-conv8", pretrained=None, exact=False),
        replace(_CUB, name="cub-random-resnet18", pretrained=None, exact=False),
        replace(_CIFAR100, name="cifar100-subset-conv8", classes=tuple(range(10)), exact=False),
        Setting("mnist5k-mlp", "mnist-5k", "mlp", 1024, _MLP, 5, 128, panel="5a"),
        _FASHION,
        _DIGITS_0_TO_4,
        _DIGITS_5_TO_9,
        replace(_DIGITS_5_TO_9, name="digits59-random-mlp", pretrained=None, panel="5a"),
        Setting("fashion-digits-mlp", "mnist-5k", "mlp", 512, _MLP, 15, 256,
                pretrained=replace(_FASHION, width=512), panel="5f"),
        _FASHION_CONV8,
        Setting("fashion-digits-conv8", "mnist-5k", "conv8", 1, replace(_CIFAR100.recipe, lr=0.01), 15, 256, size=32,
                pretrained=_FASHION_CONV8, panel="5f"),
        _FASHION_RESNET18,
        Setting("fashion-digits-resnet18", "mnist-5k", "resnet18", 1, _FINE_TUNE, 15, 640, 256, size=32,
                pretrained=_FASHION_RESNET18, next_lr=0.01, panel="5e"),
        Setting("fashion59-resnet18", "fashion-mnist", "resnet18", 1, _FINE_TUNE, 15, 640, 256, size=32, classes=(5, 6, 7, 8, 9),
                pretrained=replace(_FASHION_RESNET18, name="fashion04-resnet18", classes=(0, 1, 2, 3, 4)), next_lr=0.01,
                panel="5d"),
        _CONV8_SMALL,
        Setting("fashion-digits-conv8-small", "mnist-5k", "conv8", 0.25, replace(_CONV8_SMALL.recipe, epochs=20, lr=0.01), 15,
                256, size=32, pretrained=_CONV8_SMALL, next_epochs=10, panel="5f"),
        _RESNET18_SMALL,
        replace(_RESNET18_SMALL, name="mnist5k-resnet18-small", dataset="mnist-5k",
                recipe=replace(_RESNET18_SMALL.recipe, epochs=8)),
        replace(_CONV8_SMALL, name="mnist5k-conv8-small", dataset="mnist-5k", recipe=replace(_CONV8_SMALL.recipe, epochs=20)),
        Setting("mnist5k-resnet18-tiny", "mnist-5k", "resnet18", 0.125, replace(_RESNET18_SMALL.recipe, epochs=4), 5, 256, 256,
                panel="5c"),
        _DIGITS_0_TO_4_TINY,
        Setting("digits59-resnet18-tiny", "mnist-5k", "resnet18", 0.125, replace(_RESNET18_SMALL.recipe, epochs=8), 5, 256, 256,
                classes=(5, 6, 7, 8, 9), pretrained=_DIGITS_0_TO_4_TINY, panel="5e"),
        Setting("fashion-digits-resnet18-small", "mnist-5k", "resnet18", 0.25, replace(_FINE_TUNE, epochs=15), 15, 256, 256,
                pretrained=_RESNET18_SMALL, next_lr=0.01, next_epochs=5, panel="5e"),
    )
}  # fmt: skip

RELEASED: dict[str, dict[str, Any]] = {
    "mnist-mlp": {"epochs": 10, "steps": 10},
    "mnist5k-mlp": {"epochs": 10, "steps": 10},
    "fashion-mlp": {"epochs": 10, "steps": 10},
    "cifar100-conv8": {"batch_size": 128},
    "cifar100-subset-conv8": {"batch_size": 128},
    "imagenet-resnet18": {"steps": 30},
    "cars-resnet18": {"batch_size": 1_280},
    "cub-resnet18": {"batch_size": 1_280},
}
