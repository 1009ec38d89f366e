"""Transfer learning trajectories of neural networks between initialisations (Chijiwa, ICLR 2024).

Names are loaded when they are first asked for, so that a command that refuses its arguments does not wait for PyTorch.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trajtransfer.algorithms import Step, fgmt, gmt, moved, naive, oracle, rebasin
    from trajtransfer.landscape import plane, segment
    from trajtransfer.matching import Matching, match
    from trajtransfer.objective import Score, evaluate, gradient, paired_gradients, running_statistics
    from trajtransfer.one_call import Transfer, transfer
    from trajtransfer.pairs import Pairs
    from trajtransfer.params import Params, buffers, parameters
    from trajtransfer.permutation import Axis, Permutation, PermutationSpec, Segment
    from trajtransfer.tracing import UntraceableError, check_invariance, permutation_spec
    from trajtransfer.training import Checkpoint, DivergedError, Recipe, snapshots, train
    from trajtransfer.trajectory import Line, cosine, uniform

__version__ = version("trajtransfer")

_NAMES = {
    "algorithms": ("Step", "fgmt", "gmt", "moved", "naive", "oracle", "rebasin"),
    "landscape": ("plane", "segment"),
    "matching": ("Matching", "match"),
    "objective": ("Score", "evaluate", "gradient", "paired_gradients", "running_statistics"),
    "one_call": ("Transfer", "transfer"),
    "pairs": ("Pairs",),
    "params": ("Params", "buffers", "parameters"),
    "permutation": ("Axis", "Permutation", "PermutationSpec", "Segment"),
    "tracing": ("UntraceableError", "check_invariance", "permutation_spec"),
    "training": ("Checkpoint", "DivergedError", "Recipe", "snapshots", "train"),
    "trajectory": ("Line", "cosine", "uniform"),
}
_MODULE_OF = {name: module for module, names in _NAMES.items() for name in names}

__all__ = [
    "Axis",
    "Checkpoint",
    "DivergedError",
    "Line",
    "Matching",
    "Pairs",
    "Params",
    "Permutation",
    "PermutationSpec",
    "Recipe",
    "Score",
    "Segment",
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
    "match",
    "moved",
    "naive",
    "oracle",
    "paired_gradients",
    "parameters",
    "permutation_spec",
    "plane",
    "rebasin",
    "running_statistics",
    "segment",
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
