"""Counted work: samples whose gradient was computed, operations of products, assignments.

Unlike seconds, these do not depend on what else the machine does.
"""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from trajtransfer.algorithms import Step
from trajtransfer.batches import Batch
from trajtransfer.objective import gradient
from trajtransfer.params import parameters

WORK = ("samples", "GFLOP", "assignments")  # what is counted of a step
Row = dict[str, Any]


def step_work(batch_size: int, each: int, step: Step, before: Step | None) -> Row:
    """The work of one step after the one `before`.

    `each` are the operations of the gradient of one of the `batch_size` samples. GFLOP (10^9
    floating-point operations) are those of gradients and of the products that make assignment
    problems. Solving these takes no products: assignments are counted by their number.
    """
    earlier = before.gradient_pairs if before else 0
    samples = 2 * batch_size * (step.gradient_pairs - earlier)
    matching = step.matching
    if before and before.matching is matching:  # Oracle and Git Re-Basin match once, for all steps
        matching = None
    operations = samples * each + (matching.operations if matching else 0)
    return {
        "samples": samples,
        "GFLOP": operations / 1e9,
        "assignments": matching.assignments if matching else 0,
    }


def epoch_work(samples: int, each: int) -> Row:
    """The samples of an epoch of training, and the operations of their gradients in units of 10^9.

    Updates of weights, which are no products, are left out here as in `step_work`.
    """
    return {"samples": samples, "GFLOP": samples * each / 1e9}


def share_of_training(work: Row, training: Row) -> Row:
    """The counted operations of a transfer over those of training."""
    return {"share of training": work["GFLOP"] / training["GFLOP of training"]}


def sample_operations(model: nn.Module, examples: Batch) -> int:
    """The floating-point operations of the gradient of one sample, forward and backward."""
    with _Operations() as counted:
        gradient(model, parameters(model), examples)
    return counted.total // len(examples[1])


class _Operations(TorchDispatchMode):
    """Adds up the floating-point operations of products and convolutions by PyTorch's formulas.

    PyTorch's own `FlopCounterMode` listens to the modules of all threads, and transfers may run in
    several.
    """

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if formula := flop_registry.get(func._overloadpacket):
            self.total += formula(*args, **(kwargs or {}), out_val=out)
        return out
