"""Counted work: samples whose gradient was computed, floating-point operations of products, assignments.

Unlike seconds, these do not depend on what else the machine does.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from trajtransfer.algorithms import Step
from trajtransfer.objective import gradient
from trajtransfer.paper.networks import task_of
from trajtransfer.paper.settings import Setting
from trajtransfer.params import parameters

WORK = ("samples", "GFLOP", "assignments")  # what is counted of a step
Row = dict[str, Any]


def step_work(setting: Setting, each: int, step: Step, before: Step | None) -> Row:
    """The work of one step after the one `before`; `each` are the operations of the gradient of one sample.

    GFLOP (10^9 operations) are those of gradients and of the products that make assignment problems. Solving these
    takes no products: assignments are counted by their number.
    """
    samples = 2 * setting.batch_size * (step.gradient_pairs - (before.gradient_pairs if before else 0))
    # Oracle and Git Re-Basin match once, for all steps.
    matching = None if before and step.matching is before.matching else step.matching
    operations = samples * each + (matching.operations if matching else 0)
    return {"samples": samples, "GFLOP": operations / 1e9, "assignments": matching.assignments if matching else 0}


def epoch_work(setting: Setting, model: nn.Module, device: str) -> Row:
    """The samples of an epoch of training, and the operations of their gradients in units of 10^9.

    Updates of weights, which are no products, are left out here as in `step_work`.
    """
    samples = len(task_of(setting, device).train)
    return {"samples": samples, "GFLOP": samples * sample_operations(setting, model, device) / 1e9}


def share_of_training(work: Row, training: Row) -> Row:
    """The counted operations of a transfer over those of training."""
    return {"share of training": work["GFLOP"] / training["GFLOP of training"]}


def sample_operations(setting: Setting, model: nn.Module, device: str) -> int:
    """The floating-point operations of the gradient of one sample: products and convolutions, forward and backward."""
    examples = task_of(setting, device).train.subset(torch.arange(2)).tensors()
    with _Operations() as counted:
        gradient(model, parameters(model), examples)
    return counted.total // 2  # of two samples: BatchNorm refuses one


class _Operations(TorchDispatchMode):
    """Adds up the floating-point operations of products and convolutions by PyTorch's formulas.

    PyTorch's own `FlopCounterMode` listens to the modules of all threads, and transfers may run in several.
    """

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if formula := flop_registry.get(func._overloadpacket):
            self.total += formula(*args, **(kwargs or {}), out_val=out)
        return out
