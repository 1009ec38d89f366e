"""Whether a setting fits its data and its network, before anything is trained."""

from __future__ import annotations

from functools import lru_cache

import torch

from trajtransfer.paper import architectures
from trajtransfer.paper.networks import task_of
from trajtransfer.paper.setting import PHOTOGRAPHS, Setting


def require_fit(setting: Setting) -> None:
    """Raise ``ValueError`` where a setting asks for what its data or its network cannot give.

    Photographs, which take long to decode, are left to the run. Raises `MissingDataError` without
    the data.
    """
    if setting.dataset in PHOTOGRAPHS:
        return
    data = task_of(setting)
    images = len(data.train)
    sizes = {"batch_size": setting.batch_size, "statistics": setting.statistics}
    for name, size in sizes.items():
        if size > images:
            raise ValueError(
                f"a batch of {size} cannot be drawn from {images} images; "
                f"choose a {name} in 1..{images}"
            )
    require_trainable(setting)
    about = (setting.architecture, data.shape, data.classes, setting.width)
    if _has_statistics(*about) and not setting.statistics:
        raise ValueError(
            f"{setting.name} has running statistics, and statistics=0 would leave those of other "
            "weights; say from how many training images they are estimated"
        )


@lru_cache
def _has_statistics(
    architecture: str, shape: tuple[int, int, int], classes: int, width: float
) -> bool:
    """Whether a network can be built, and has running statistics."""
    with torch.device("meta"):
        model = architectures.build(architecture, shape, classes, width, 0)
    return any(name.endswith("running_mean") for name, _ in model.named_buffers())


def require_trainable(setting: Setting) -> None:
    """Raise ``ValueError`` where a batch of training is larger than the training set."""
    batch = setting.recipe.batch_size
    images = len(task_of(setting).train)
    if batch > images:
        raise ValueError(
            f"the training batch of {batch} is larger than the training set of {images}"
        )
