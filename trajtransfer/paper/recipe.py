"""How a network is trained: SGD as the paper uses it."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import Any


@dataclass(frozen=True)
class Recipe:
    """SGD as the paper uses it.

    `schedule` is ``"constant"`` or ``"cosine"`` (annealed to 0 over the iterations left after a
    linear warm-up of `warmup_epochs`); `augmentation` is ``"none"`` or ``"crop+flip"``. `fast`
    computes the products of layers in bfloat16 (weights and sums stay float32): about twice as fast
    where processors can do it.
    """

    epochs: int
    lr: float
    momentum: float = 0.9
    weight_decay: float = 0.0
    batch_size: int = 128
    schedule: str = "constant"
    warmup_epochs: int = 0
    augmentation: str = "none"
    fast: bool = False

    def __post_init__(self) -> None:
        if self.schedule not in ("constant", "cosine"):
            raise ValueError(
                f"unknown learning-rate schedule {self.schedule!r}; known: constant, cosine"
            )
        if self.epochs < 1 or self.lr <= 0 or self.batch_size < 1:
            raise ValueError(f"epochs, lr and batch_size must be positive: {self}")

    def identity(self) -> dict[str, Any]:
        """All fields, real numbers as floats: 1 and 1.0 are one recipe."""
        values = asdict(self)
        for field in fields(self):
            if field.type == "float":
                values[field.name] = float(values[field.name])
        return values

    def learning_rate(self, iteration: int, per_epoch: int) -> float:
        """The learning rate of an iteration (from 0) when an epoch has `per_epoch` iterations."""
        warmup = self.warmup_epochs * per_epoch
        total = self.epochs * per_epoch
        if iteration < warmup:
            return self.lr * (iteration + 1) / warmup
        if self.schedule == "constant":
            return self.lr
        return self.lr * 0.5 * (1 + math.cos(math.pi * (iteration - warmup) / (total - warmup)))
