"""The settings of the paper and their counterparts on data that needs no network.

A setting says what is trained (data, network, recipe) and how it is transferred (T, B, B', times). The preset
``paper`` holds the published values, ``released-code`` those of the author's configuration where it differs.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from trajtransfer.training import Recipe
from trajtransfer.trajectory import SCHEDULES


@dataclass(frozen=True)
class Setting:
    """One experiment.

    `size` is the side of an image, `classes` a subset of them, `pretrained` the setting whose trained network
    (with a new head) is the initialisation. `steps` is T, `batch_size` B and `statistics` B' (0: the network
    has no running statistics), all in samples; `schedule` gives the times of the linear trajectory. `panel`
    names the panel of the paper's Figure 5 to compare with, and `exact` says whether it is the same experiment.
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
    panel: str = "5a"
    exact: bool = False

    def __post_init__(self) -> None:
        if self.schedule not in SCHEDULES:
            raise ValueError(f"unknown schedule {self.schedule!r}; known: {', '.join(SCHEDULES)}")
        if self.steps < 1 or self.batch_size < 1 or not 0 < self.width < 1e9:
            raise ValueError(f"{self.name}: steps, batch_size and width must be positive")

    def training(self) -> dict[str, Any]:
        """Everything that decides what the trained networks are: the identity of a cached network."""
        return {
            "dataset": self.dataset,
            "classes": self.classes,
            "size": self.size,
            "architecture": self.architecture,
            "width": self.width,
            "recipe": asdict(self.recipe),
            "pretrained": self.pretrained.training() if self.pretrained else None,
        }

    def task(self) -> str:
        """The data in a few words."""
        return f"{self.dataset} (classes {'/'.join(map(str, self.classes))})" if self.classes else self.dataset

    def title(self) -> str:
        """Data, network and scenario in a few words."""
        after = f", pre-trained on {self.pretrained.task()}" if self.pretrained else ""
        return f"{self.task()}; {self.architecture}, width {self.width:g}{after}"

    def summary(self) -> dict[str, Any]:
        """The facts a reader needs beside a figure."""
        r = self.recipe
        decay = "" if r.schedule == "constant" else f", {r.schedule}"
        return {
            "setting": self.title(),
            "training": f"SGD, {r.epochs} epochs, lr {r.lr:g}{decay}, batch {r.batch_size}",
            "transfer": f"T = {self.steps}, B = {self.batch_size}, {self.schedule} times",
            "the same experiment as the paper's": "yes" if self.exact else "no, a counterpart on other data",
        }

    def facts(self) -> dict[str, Any]:
        """What a reader can change, as it was used."""
        names = ("name", "width", "steps", "batch_size", "schedule")
        return {name.replace("name", "setting"): getattr(self, name) for name in names}

    def with_width(self, width: float) -> Setting:
        """The same setting, pre-training included, at another width."""
        return replace(self, width=width, pretrained=self.pretrained and self.pretrained.with_width(width))


def setting(name: str, preset: str = "paper", *, width: float = 0, **changes: Any) -> Setting:
    """A setting by name; `changes` replace fields, and a change of 0 or ``""`` keeps the setting's own value.

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
    return replace(chosen, **{field: value for field, value in changes.items() if value})


def _released(chosen: Setting) -> Setting:
    """The author's configuration: cosine-like times everywhere, and what `RELEASED` lists."""
    changes = dict(RELEASED.get(chosen.name, {}))
    epochs = changes.pop("epochs", chosen.recipe.epochs)
    return replace(chosen, schedule="cosine", recipe=replace(chosen.recipe, epochs=epochs), **changes)


_MLP = Recipe(epochs=15, lr=0.01)
_CIFAR10 = Setting(
    "cifar10-conv8", "cifar-10", "conv8", 1, Recipe(60, 0.05, weight_decay=1e-4, schedule="cosine"), 30, 256,
    panel="5b", exact=True,
)  # fmt: skip
_IMAGENET = Setting(
    "imagenet-resnet18", "imagenet", "resnet18", 1,
    Recipe(100, 0.1, weight_decay=1e-4, schedule="cosine", warmup_epochs=5), 40, 12_800, 2_560, size=224,
    panel="5c", exact=True,
)  # fmt: skip
_FINE_TUNE = Recipe(30, 0.1, weight_decay=1e-4, schedule="cosine")
_CIFAR100 = Setting(
    "cifar100-conv8", "cifar-100", "conv8", 1, Recipe(30, 0.05, weight_decay=1e-4, schedule="cosine"), 15, 256,
    pretrained=_CIFAR10, panel="5f", exact=True,
)  # fmt: skip
_DIGITS_0_TO_4 = Setting("digits04-mlp", "mnist-5k", "mlp", 512, _MLP, 15, 256, classes=(0, 1, 2, 3, 4), panel="5a")
_FASHION = Setting("fashion-mlp", "fashion-mnist", "mlp", 1024, _MLP, 5, 128, panel="5a")

SETTINGS = {
    chosen.name: chosen
    for chosen in (
        Setting("mnist-mlp", "mnist", "mlp", 4096, _MLP, 5, 128, panel="5a", exact=True),
        _CIFAR10,
        _IMAGENET,
        Setting("cars-resnet18", "cars", "resnet18", 1, _FINE_TUNE, 15, 640, 256, size=224, pretrained=_IMAGENET,
                panel="5d", exact=True),
        Setting("cub-resnet18", "cub", "resnet18", 1, _FINE_TUNE, 15, 640, 256, size=224, pretrained=_IMAGENET,
                panel="5e", exact=True),
        _CIFAR100,
        replace(_CIFAR100, name="cifar100-subset-conv8", classes=tuple(range(10)), exact=False),
        Setting("mnist5k-mlp", "mnist-5k", "mlp", 1024, _MLP, 5, 128, panel="5a"),
        _FASHION,
        _DIGITS_0_TO_4,
        Setting("digits59-mlp", "mnist-5k", "mlp", 512, _MLP, 15, 256, classes=(5, 6, 7, 8, 9),
                pretrained=_DIGITS_0_TO_4, panel="5f"),
        Setting("fashion-digits-mlp", "mnist-5k", "mlp", 512, _MLP, 15, 256,
                pretrained=replace(_FASHION, width=512), panel="5f"),
        replace(_CIFAR10, name="fashion-conv8", dataset="fashion-mnist", size=32, exact=False),
        Setting("fashion-resnet18", "fashion-mnist", "resnet18", 1, _FINE_TUNE, 30, 1_280, 2_560, size=32, panel="5c"),
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
