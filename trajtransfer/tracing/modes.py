"""What a network is made to do otherwise while its symmetry is checked."""

from __future__ import annotations

from typing import Any

import torch
from torch.overrides import TorchFunctionMode

MADE = (torch.zeros, torch.ones, torch.empty, torch.rand, torch.randn)


class MadeInDouble(TorchFunctionMode):
    """Lets tensors that a network makes on its way, such as a first state, be of float64 too."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in MADE:
            kwargs = {"dtype": torch.float64} | (kwargs or {})
        return func(*args, **(kwargs or {}))


class NothingDropped(TorchFunctionMode):
    """Lets functions drop nothing, whatever the mode of the network."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        name = getattr(func, "__name__", "")
        if "dropout" in name:
            return args[0] if args else kwargs["input"]
        if name == "scaled_dot_product_attention":
            kwargs["dropout_p"] = 0.0
            args = args[:4]
        return func(*args, **kwargs)
