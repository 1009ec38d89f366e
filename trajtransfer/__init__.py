"""Transfer learning trajectories of neural networks between initialisations (Chijiwa, ICLR 2024).

Names are loaded when they are first asked for, so that a command that refuses its arguments does
not wait for PyTorch.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trajtransfer.algorithms import (
        METHODS,
        Method,
        Step,
        fgmt,
        gmt,
        moved,
        naive,
        oracle,
        rebasin,
    )
    from trajtransfer.forward import own_loss
    from trajtransfer.landscape import interpolate, plane
    from trajtransfer.matching.descent import Matching, match
    from trajtransfer.matching.pairs import Pairs
    from trajtransfer.objective import (
        Score,
        evaluate,
        gradient,
        paired_gradients,
        running_statistics,
    )
    from trajtransfer.one_call import Transfer, transfer
    from trajtransfer.paper.recipe import Recipe
    from trajtransfer.paper.training import Checkpoint, DivergedError, snapshots, train
    from trajtransfer.params import Params, buffers, parameters
    from trajtransfer.permutation import Permutation
    from trajtransfer.schedules import cosine, uniform
    from trajtransfer.specification import Axis, AxisPart, PermutationSpec
    from trajtransfer.tracing.export import UntraceableError
    from trajtransfer.tracing.invariance import check_invariance
    from trajtransfer.tracing.trace import permutation_spec
    from trajtransfer.trajectory import Line

__version__ = version("trajtransfer")

_NAMES = {
    "algorithms": (
        "METHODS",
        "Method",
        "Step",
        "fgmt",
        "gmt",
        "moved",
        "naive",
        "oracle",
        "rebasin",
    ),
    "landscape": ("interpolate", "plane"),
    "matching.descent": ("Matching", "match"),
    "matching.pairs": ("Pairs",),
    "forward": ("own_loss",),
    "objective": ("Score", "evaluate", "gradient", "paired_gradients", "running_statistics"),
    "one_call": ("Transfer", "transfer"),
    "paper.recipe": ("Recipe",),
    "paper.training": ("Checkpoint", "DivergedError", "snapshots", "train"),
    "params": ("Params", "buffers", "parameters"),
    "permutation": ("Permutation",),
    "schedules": ("cosine", "uniform"),
    "specification": ("Axis", "AxisPart", "PermutationSpec"),
    "tracing.invariance": ("check_invariance",),
    "tracing.export": ("UntraceableError",),
    "tracing.trace": ("permutation_spec",),
    "trajectory": ("Line",),
}
_MODULE_OF = {name: module for module, names in _NAMES.items() for name in names}

__all__ = [
    "METHODS",
    "Axis",
    "AxisPart",
    "Checkpoint",
    "DivergedError",
    "Line",
    "Matching",
    "Method",
    "Pairs",
    "Params",
    "Permutation",
    "PermutationSpec",
    "Recipe",
    "Score",
    "Step",
    "Transfer",
    "UntraceableError",
    "buffers",
    "check_invariance",
    "cosine",
    "evaluate",
    "fgmt",
    "gmt",
    "gradient",
    "interpolate",
    "match",
    "moved",
    "naive",
    "oracle",
    "own_loss",
    "paired_gradients",
    "parameters",
    "permutation_spec",
    "plane",
    "rebasin",
    "running_statistics",
    "snapshots",
    "train",
    "transfer",
    "uniform",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"trajtransfer.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
