"""Transfer learning trajectories of neural networks between initialisations (Chijiwa, ICLR 2024)."""

from importlib.metadata import version

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
from trajtransfer.transfer import Step, fgmt, gmt, moved, naive, oracle, rebasin

__version__ = version("trajtransfer")

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
