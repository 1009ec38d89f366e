"""The graph of a model in ATen operations, by ``torch.export``."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.backends import mha

from trajtransfer.inputs import Inputs, arguments

if TYPE_CHECKING:
    from torch.export import ExportedProgram


class UntraceableError(ValueError):
    """The permutation symmetry of a model cannot be read off; says where, and what to do."""


def exported(model: nn.Module, inputs: Inputs, *, training: bool = False) -> ExportedProgram:
    """The graph of a model on example inputs, in one of its two modes.

    Nothing is computed, and the model is left as it was. Raises `UntraceableError` for control flow
    that depends on numbers, and for inputs that do not fit.
    """
    import torch.export  # its machinery takes seconds to load

    positional, named = arguments(inputs)
    try:
        with _mode(model, training), _plainly(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they are about running the graph, which nobody does
            return torch.export.export(model, positional, named, strict=False)
    except Exception as error:  # torch.export raises many kinds
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UntraceableError(
            f"torch.export cannot trace {type(model).__name__}: {reason}. Remove control flow that "
            "depends on numbers in tensors, pass inputs that the model takes, or write the "
            "PermutationSpec by hand"
        ) from error


@contextmanager
def _mode(model: nn.Module, training: bool) -> Iterator[None]:
    """Set all modules to training or evaluation, and each back in the end."""
    modes = {module: module.training for module in model.modules()}
    model.train(training)
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


@contextmanager
def _plainly() -> Iterator[None]:
    """Without gradients, and without one operation for a whole layer of a transformer."""
    fast = mha.get_fastpath_enabled()
    mha.set_fastpath_enabled(False)
    try:
        with torch.inference_mode(False), torch.no_grad():
            yield
    finally:
        mha.set_fastpath_enabled(fast)
