"""Import torchvision when something of it is needed, beside any build of PyTorch.

It takes two seconds to import, which most runs can do without. And one that was built for CUDA
fails on import beside a CPU-only torch, because it decorates two operators that its unloadable
extension should have declared. Declaring their schemas makes datasets, transforms and models
usable; nothing here needs the operators themselves. With a matching build the plain import succeeds
and nothing is declared.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from threading import Lock
from types import ModuleType
from typing import Any

import torch

_IMPORTING = Lock()  # the threads that decode photographs may all be the first


class _Torchvision:
    """The package, imported when the first of its modules is asked for."""

    def __getattr__(self, name: str) -> Any:
        return getattr(_imported(), name)


@lru_cache
def _imported() -> ModuleType:
    with _IMPORTING:
        try:
            return import_module("torchvision")
        except RuntimeError as error:
            if "torchvision::nms does not exist" not in str(error):
                raise
        _declare_operators()
        return import_module("torchvision")


@lru_cache
def _declare_operators() -> torch.library.Library:
    """The declarations, which hold as long as this object lives."""
    library = torch.library.Library("torchvision", "DEF")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return library


torchvision = _Torchvision()
