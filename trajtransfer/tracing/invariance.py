"""The check of a specification on its model: ``f(x; pi theta) = f(x; theta)``."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.overrides import TorchFunctionMode

from trajtransfer.forward import forward_pass
from trajtransfer.inputs import Inputs, arguments, of_each, tensors_in
from trajtransfer.params import Params
from trajtransfer.permutation import Permutation
from trajtransfer.specification import PermutationSpec

MADE = (torch.zeros, torch.ones, torch.empty, torch.rand, torch.randn)
ROUNDING = 1e-6  # some networks compute a part in float32, whatever their type


def check_invariance(
    model: nn.Module, spec: PermutationSpec, inputs: Inputs, generator: torch.Generator
) -> None:
    """Raise ``ValueError`` unless ``f(x; pi theta) = f(x; theta)`` for a random `pi` and random
    inputs.

    The check is in float64. Weights and running statistics are perturbed first, so that ones and
    zeros of an initialisation hide nothing. The error names the first group of units that changes
    the output and the tensor axes where it acts.

    Args:
        model: The network; it is left as it was.
        spec: The specification that is checked.
        inputs: Inputs that give the shapes; whole numbers, such as tokens, are used as they are.
        generator: A CPU generator that draws all that is random.
    """
    model = copy.deepcopy(model).cpu().double().eval()
    state = _perturbed_state(model, generator)
    examples = _examples(model, state, inputs, generator)
    pi = Permutation.random(spec, generator)
    if not _changed(model, state, pi(state), examples):
        return
    kind = type(model).__name__
    for units in spec.sizes:
        alone = Permutation.identity(spec).replace(units, pi.indices[units])
        if _changed(model, state, alone(state), examples):
            places = ", ".join(f"axis {axis} of {name!r}" for name, axis in spec.places[units])
            raise ValueError(
                f"permuting the units {units!r} changes the output of {kind}: the specification "
                f"lists {places}; one of these is wrong or one is missing. Correct the "
                "specification"
            )
    raise ValueError(f"the specification changes the output of {kind} for combined permutations")


def _perturbed_state(model: nn.Module, generator: torch.Generator) -> Params:
    """The parameters and buffers of a model, each changed a little."""
    state = {}
    for name, x in (*model.named_parameters(), *model.named_buffers()):
        state[name] = x.detach()
        if x.is_floating_point():
            noise = torch.rand(x.shape, generator=generator, dtype=x.dtype)
            state[name] = x.detach() * (0.9 + 0.2 * noise) + 0.01 * noise
    return Params(state)


def _examples(
    model: nn.Module, state: Params, inputs: Inputs, generator: torch.Generator
) -> Inputs:
    """Random inputs, or the given ones, whichever first gives outputs that can be compared."""
    for candidate in (of_each(lambda x: _drawn(x, generator), inputs), of_each(_precise, inputs)):
        outputs = _outputs(model, state, candidate)
        if outputs and all(x.isfinite().all() and x.any() for x in outputs):
            return candidate
    raise ValueError(
        f"the invariance of {type(model).__name__} cannot be checked: its outputs are not finite, "
        "or zero, at random inputs and at the given ones; pass inputs at which it works"
    )


def _drawn(x: Tensor, generator: torch.Generator) -> Tensor:
    """Random numbers in place of real ones."""
    if not x.is_floating_point():
        return x.cpu()
    return torch.randn(x.shape, generator=generator, dtype=torch.float64)


def _precise(x: Tensor) -> Tensor:
    """Real numbers in float64."""
    if not x.is_floating_point():
        return x.cpu()
    return x.cpu().double()


def _changed(model: nn.Module, before: Params, after: Params, inputs: Inputs) -> bool:
    """Whether outputs differ by more than rounding does."""
    a = _outputs(model, before, inputs)
    b = _outputs(model, after, inputs)
    pairs = zip(a, b, strict=True)
    return not all((x - y).abs().max() <= ROUNDING * x.abs().max() for x, y in pairs)


def _outputs(model: nn.Module, state: Params, inputs: Inputs) -> list[Tensor]:
    with forward_pass(model, "in float64", tensors_in(inputs)), torch.no_grad():
        try:
            output = functional_call(model, dict(state), *arguments(inputs))
        except RuntimeError:  # of two types, most often
            with _Double():
                output = functional_call(model, dict(state), *arguments(inputs))
    return [x for x in tensors_in(output) if x.is_floating_point()]


class _Double(TorchFunctionMode):
    """Lets tensors that a network makes on its way, such as a first state, be of float64 too."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in MADE:
            kwargs = {"dtype": torch.float64} | (kwargs or {})
        return func(*args, **(kwargs or {}))
