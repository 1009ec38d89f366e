"""What a setting is: data, network and training of an experiment, and how it is transferred."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from trajtransfer.paper.recipe import Recipe
from trajtransfer.schedules import MOST_STEPS, SCHEDULES

PHOTOGRAPHS = ("imagenet", "cars", "cub")  # data sets that are decoded before they are used


@dataclass(frozen=True)
class Setting:
    """One experiment.

    `size` is the side of an image, `pool` the side of the squares of pixels that were made one
    before (1: none), `classes` a subset of them, `pretrained` the setting whose
    trained network (with a new head) is the initialisation. `steps` is T, `batch_size` B and
    `statistics` B' (0: the network has no running statistics), all in samples; `schedule` gives the
    times of the linear trajectory. `fraction` is the part of the training split that is used.
    `next_lr` and `next_epochs` are those of the training that follows a transfer (section 4.2; 0:
    as for the source). `panel` names the panel of the paper's Figure 5 to compare with, and `exact`
    says whether it is the same experiment.
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
    pool: int = 1
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
            wrong = f"{self.name}: steps={self.steps} cannot be meant"
            raise ValueError(f"{wrong}; choose at most {MOST_STEPS}")
        if not 0 < self.fraction <= 1:
            raise ValueError(f"{self.name}: fraction must be in (0, 1], got {self.fraction:g}")

    def training(self) -> dict[str, Any]:
        """Everything that decides what the trained networks are.

        It is the identity of a cached network.
        """
        identity = {
            "dataset": self.dataset,
            "classes": self.classes,
            "size": self.size,
            "pool": self.pool,
            "architecture": self.architecture,
            "width": float(self.width),
            "recipe": self.recipe.identity(),
            "pretrained": self.pretrained and self.pretrained.training(),
        }
        if self.fraction == 1:
            return identity
        return {"fraction": self.fraction} | identity

    def identity(self) -> dict[str, Any]:
        """Everything that decides the numbers of an experiment: the training and the transfer."""
        return self.training() | {
            "steps": self.steps,
            "batch_size": self.batch_size,
            "statistics": self.statistics,
            "schedule": self.schedule,
            "next recipe": self.next_recipe.identity(),
        }

    @property
    def next_recipe(self) -> Recipe:
        """How a transferred network is trained."""
        return replace(
            self.recipe,
            lr=self.next_lr or self.recipe.lr,
            epochs=self.next_epochs or self.recipe.epochs,
        )

    def task(self) -> str:
        """The data in a few words."""
        words = self.dataset
        if self.classes:
            words += f" (classes {'/'.join(map(str, self.classes))})"
        if self.pool > 1:
            words += f", pooled {self.pool} × {self.pool}"
        if self.fraction < 1:
            words += f", {self.fraction:.0%} of it"
        return words

    def route(self) -> str:
        """From which kind of start to which data."""
        start = self.pretrained.task() if self.pretrained else "random"
        return f"{start} → {self.task()}"

    def title(self) -> str:
        """Data, network and scenario in a few words."""
        title = f"{self.task()}; {self.architecture}, width {self.width:g}"
        if self.pretrained:
            title += f", pre-trained on {self.pretrained.task()}"
        return title

    def heading(self) -> str:
        """Network and route in two lines, for the head of a panel."""
        return f"{self.architecture}, width {self.width:g}\n{self.route()}"

    def summary(self) -> dict[str, Any]:
        """The facts a reader needs beside a figure."""
        training = f"SGD, {self.recipe.epochs} epochs, lr {self.recipe.lr:g}"
        if self.recipe.schedule != "constant":
            training += f", {self.recipe.schedule}"
        training += f", batch {self.recipe.batch_size}"
        if self.recipe.fast:
            training += ", bfloat16"
        same = "yes" if self.exact else "no, a counterpart on other data"
        return {
            "setting": self.title(),
            "training": training,
            "transfer": f"T = {self.steps}, B = {self.batch_size}, {self.schedule} times",
            "the same experiment as the paper's": same,
        }

    def next_summary(self) -> dict[str, Any]:
        """How training goes on after a transfer."""
        recipe = self.next_recipe
        return {"subsequent training": f"{recipe.epochs} epochs, lr {recipe.lr:g}"}

    def facts(self) -> dict[str, Any]:
        """What a reader can change, as it was used."""
        names = ("width", "steps", "batch_size", "schedule")
        chosen = {name: getattr(self, name) for name in names}
        return {"setting": self.name} | chosen | {"fast": self.recipe.fast}

    def with_fast_training(self) -> Setting:
        """The same setting, pre-training included, with layer products in bfloat16 while training.

        See `Recipe`.
        """
        recipe = replace(self.recipe, fast=True)
        pretrained = self.pretrained and self.pretrained.with_fast_training()
        return replace(self, recipe=recipe, pretrained=pretrained)

    def with_source_fraction(self, fraction: float) -> Setting:
        """The same setting pre-trained on a part of the data.

        Raises ``ValueError`` for one that is not pre-trained.
        """
        if self.pretrained is None:
            wrong = f"{self.name} starts from random weights"
            raise ValueError(f"{wrong}; choose a setting that is pre-trained")
        return replace(self, pretrained=replace(self.pretrained, fraction=fraction))

    def with_width(self, width: float) -> Setting:
        """The same setting, pre-training included, at another width."""
        pretrained = self.pretrained and self.pretrained.with_width(width)
        return replace(self, width=width, pretrained=pretrained)
