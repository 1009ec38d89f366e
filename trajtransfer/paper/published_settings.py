"""The settings of the paper, and what the author's configuration has otherwise."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from trajtransfer.paper.recipe import Recipe
from trajtransfer.paper.setting import Setting

MLP = Recipe(epochs=15, lr=0.01)
CONV8 = Recipe(epochs=60, lr=0.05, weight_decay=1e-4, schedule="cosine")
RESNET18 = Recipe(epochs=100, lr=0.1, weight_decay=1e-4, schedule="cosine", warmup_epochs=5)
FINE_TUNING = Recipe(epochs=30, lr=0.1, weight_decay=1e-4, schedule="cosine")
MNIST = Setting(
    name="mnist-mlp",
    dataset="mnist",
    architecture="mlp",
    width=4096,
    recipe=MLP,
    steps=5,
    batch_size=128,
    panel="5a",
    exact=True,
)
CIFAR10 = Setting(
    name="cifar10-conv8",
    dataset="cifar-10",
    architecture="conv8",
    width=1,
    recipe=CONV8,
    steps=30,
    batch_size=256,
    next_lr=0.01,
    panel="5b",
    exact=True,
)
IMAGENET = Setting(
    name="imagenet-resnet18",
    dataset="imagenet",
    architecture="resnet18",
    width=1,
    recipe=RESNET18,
    steps=40,
    batch_size=12_800,
    statistics=2_560,
    size=224,
    panel="5c",
    exact=True,
)
CARS = Setting(
    name="cars-resnet18",
    dataset="cars",
    architecture="resnet18",
    width=1,
    recipe=FINE_TUNING,
    steps=15,
    batch_size=640,
    statistics=256,
    size=224,
    pretrained=IMAGENET,
    next_lr=0.05,
    panel="5d",
    exact=True,
)
CUB = replace(CARS, name="cub-resnet18", dataset="cub", next_lr=0.01, panel="5e")
CIFAR100 = Setting(
    name="cifar100-conv8",
    dataset="cifar-100",
    architecture="conv8",
    width=1,
    recipe=replace(CONV8, epochs=30),
    steps=15,
    batch_size=256,
    pretrained=CIFAR10,
    next_epochs=60,
    panel="5f",
    exact=True,
)

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
