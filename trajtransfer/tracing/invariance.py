"""The check of a specification on its model: ``f(x; pi theta) = f(x; theta)``."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.func import functional_call

from trajtransfer.forward import forward_pass
from trajtransfer.inputs import Inputs, arguments, of_each, tensors_in
from trajtransfer.params import Params
from trajtransfer.permutation import Permutation
from trajtransfer.specification import PermutationSpec
from trajtransfer.tracing.modes import MadeInDouble, NothingDropped

ROUNDING = 1e-6  # some networks compute a part in float32, whatever their type


def check_invariance(
    model: nn.Module, spec: PermutationSpec, inputs: Inputs, generator: torch.Generator
) -> None:
    """Raise ``ValueError`` unless ``f(x; pi theta) = f(x; theta)`` for a random `pi` and random
    inputs.

    The check is in float64, in evaluation, and in training as far as a network runs in it on these
    inputs and gives the same outputs twice while its dropout is off. Weights and running statistics
    are perturbed first, so that ones and zeros of an initialisation hide nothing. The error names
    the first group of units that changes the output and the tensor axes where it acts; a network
    that draws random numbers in evaluation is told apart.

    Args:
        model: The network; it is left as it was.
        spec: The specification that is checked.
        inputs: Inputs that give the shapes; whole numbers, such as tokens, are used as they are.
        generator: A CPU generator that draws all that is random.
    """
    model = copy.deepcopy(model).cpu().double().eval()
    state = _perturbed_state(model, generator)
    examples = _examples(model, state, inputs, generator)
    if _changed(model, state, state, examples):
        raise ValueError(
            f"{type(model).__name__} gives two outputs for one input: it draws random numbers in "
            "evaluation, too, and no symmetry of it can be checked. Turn that off (dropout takes "
            "training=self.training)"
        )
    pi = Permutation.random(spec, generator)
    _require_unchanged(model, state, pi, examples)
    model.train()
    with NothingDropped():
        if _repeats(model, state, examples):
            _require_unchanged(model, state, pi, examples)


def _repeats(model: nn.Module, state: Params, examples: Inputs) -> bool:
    """Whether a network runs at all, and to the same finite outputs twice.

    Some take other inputs in training than in evaluation, or draw random numbers there.
    """
    try:
        outputs = _outputs(model, state, examples)
    except Exception:  # whatever it lacks there, such as targets
        return False
    finite = bool(outputs) and all(x.isfinite().all() for x in outputs)
    return finite and not _changed(model, state, state, examples)


def _require_unchanged(model: nn.Module, state: Params, pi: Permutation, examples: Inputs) -> None:
    """Raise ``ValueError`` where a permutation changes the outputs, and name what is wrong."""
    if not _changed(model, state, pi(state), examples):
        return
    mode = "in training" if model.training else "in evaluation"
    kind = f"{type(model).__name__} {mode}"
    spec = pi.spec
    for family in spec.families:
        factors = {one: pi.indices[one] for one in family}
        alone = Permutation.identity(spec).replace_family(factors)
        if _changed(model, state, alone(state), examples):
            found = [place for one in family for place in spec.places[one]]
            places = ", ".join(f"axis {axis} of {name!r}" for name, axis in found)
            groups = ", ".join(map(repr, family))
            raise ValueError(
                f"permuting the units {groups} changes the output of {kind}: the specification "
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
    """The floating-point outputs, with the weights and buffers left as they are."""
    at = {name: x.clone() for name, x in state.items()}  # training moves running statistics
    with forward_pass(model, "in float64", tensors_in(inputs)), torch.no_grad():
        try:
            output = functional_call(model, at, *arguments(inputs))
        except RuntimeError:  # of two types, most often
            with MadeInDouble():
                output = functional_call(model, at, *arguments(inputs))
    return [x for x in tensors_in(output) if x.is_floating_point()]
