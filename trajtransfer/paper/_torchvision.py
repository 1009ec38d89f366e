"""Import torchvision beside a PyTorch build that lacks its compiled operators.

A torchvision built for CUDA beside a CPU-only torch fails on import because it decorates two
operators that its unloadable extension should have declared. Declaring their schemas makes
datasets, transforms and models usable; nothing here needs the operators themselves. With a
matching build the plain import succeeds and nothing is declared.
"""

from __future__ import annotations

import torch

try:
    import torchvision
except RuntimeError as error:
    if "torchvision::nms does not exist" not in str(error):
        raise
    _library = torch.library.Library("torchvision", "DEF")
    _library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    import torchvision

__all__ = ["torchvision"]
