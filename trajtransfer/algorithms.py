"""Naive, Oracle, Git Re-Basin, GMT and FGMT: move a target along a permuted source trajectory.

All yield `Step` t = 1..T with the point ``target + pi_t(source[t] - source[0])`` (section 3.1) and
differ in where the permutation comes from. Nothing here knows networks or data: gradients come from
a function ``gradients(target_point, source_point)`` that returns both on the same mini-batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch

from trajtransfer.matching.descent import Matching, match
from trajtransfer.matching.gains import VectorPair
from trajtransfer.matching.pairs import Pairs
from trajtransfer.params import Params
from trajtransfer.permutation import Permutation
from trajtransfer.specification import PermutationSpec

Trajectory = Sequence[Params]
Gradients = Callable[[Params, Params], VectorPair]


class Step(NamedTuple):
    """One step of a transferred trajectory.

    `matching` is the solved sub-problem (None for Naive); `gradient_pairs` counts the pairs
    computed so far.
    """

    t: int
    params: Params
    permutation: Permutation
    matching: Matching | None = None
    gradient_pairs: int = 0


def moved(source: Trajectory, target: Params, t: int, pi: Permutation) -> Params:
    """``target + pi(source[t] - source[0])``, the transferred point (:eq:`transferred-trajectory`).

    Raises ``ValueError`` for a step that the source does not have.

    Args:
        source: The trajectory of the source, t = 0..T.
        target: The initialisation to be moved.
        t: The step, 0..T.
        pi: The permutation of the source.
    """
    if not 0 <= t < len(source):
        raise ValueError(f"the source has no step {t}; its steps are 0..{len(source) - 1}")
    return target + pi(source[t] - source[0])


def naive(source: Trajectory, target: Params, spec: PermutationSpec) -> Iterator[Step]:
    """Baseline: no permutation at all, ``target + (source[t] - source[0])``.

    Args:
        source: The trajectory of the source, t = 0..T.
        target: The initialisation to be moved.
        spec: The groups of units, which stay where they are.
    """
    _require_steps(source)
    pi = Permutation.identity(spec)
    for t in range(1, len(source)):
        yield Step(t, moved(source, target, t, pi), pi)


def oracle(
    source: Trajectory,
    target: Params,
    spec: PermutationSpec,
    end: Params,
    *,
    generator: torch.Generator | None = None,
) -> Iterator[Step]:
    """Baseline that knows the answer: weight matching of ``source[T] - source[0]`` to ``end -
    target``.

    Args:
        source: The trajectory of the source, t = 0..T.
        target: The initialisation to be moved.
        spec: The groups of units.
        end: The target as it was really trained from `target`.
        generator: A CPU generator that draws the order of the groups in each sweep.
    """
    _require_steps(source)
    matching = match([(end - target, source[-1] - source[0])], spec, generator=generator)
    yield from _along(source, target, matching)


def rebasin(
    source: Trajectory,
    target: Params,
    spec: PermutationSpec,
    end: Params,
    *,
    generator: torch.Generator | None = None,
) -> Iterator[Step]:
    """Baseline: Git Re-Basin, weight matching of the end points ``source[T]`` and `end` (equation
    2).

    It knows the trained target, as Oracle does, and aligns where both arrived instead of how they
    moved.

    Args:
        source: The trajectory of the source, t = 0..T.
        target: The initialisation to be moved.
        spec: The groups of units.
        end: The target as it was really trained from `target`.
        generator: A CPU generator that draws the order of the groups in each sweep.
    """
    _require_steps(source)
    matching = match([(end, source[-1])], spec, generator=generator)
    yield from _along(source, target, matching)


def _along(source: Trajectory, target: Params, matching: Matching) -> Iterator[Step]:
    """All steps under the one permutation of a matching."""
    pi = matching.permutation
    for t in range(1, len(source)):
        yield Step(t, moved(source, target, t, pi), pi, matching)


def gmt(
    source: Trajectory,
    target: Params,
    spec: PermutationSpec,
    gradients: Gradients,
    *,
    generator: torch.Generator | None = None,
    cache: str = "device",
    max_sweeps: int = 100,
) -> Iterator[Step]:
    """Gradient Matching along Trajectory (Algorithm 1, :eq:`gradient_matching-problem`).

    Step s computes all s pairs of gradients again, on fresh mini-batches, at points moved by the
    permutation of step s - 1: T(T+1)/2 pairs in all.

    Args:
        source: The trajectory of the source, t = 0..T.
        target: The initialisation to be moved.
        spec: The groups of units.
        gradients: A function (target point, source point) -> both gradients on one mini-batch.
        generator: A CPU generator that draws the order of the groups in each sweep.
        cache: Where gradients wait to be matched, see `Pairs`.
        max_sweeps: The most sweeps of each `match`.
    """
    _require_steps(source)
    pi = Permutation.identity(spec)
    count = 0
    for s in range(1, len(source)):
        pairs = Pairs(spec, cache=cache)
        for t in range(1, s + 1):
            pairs.append(gradients(moved(source, target, t - 1, pi), source[t - 1]))
        matching = match(pairs, spec, generator=generator, max_sweeps=max_sweeps)
        pi = matching.permutation
        count += s
        yield Step(s, moved(source, target, s, pi), pi, matching, count)


def fgmt(
    source: Trajectory,
    target: Params,
    spec: PermutationSpec,
    gradients: Gradients,
    *,
    generator: torch.Generator | None = None,
    cache: str = "device",
    max_sweeps: int = 100,
) -> Iterator[Step]:
    """Fast Gradient Matching along Trajectory (Algorithm 2, :eq:`gradient_matching-problem`).

    Earlier pairs of gradients are kept where `cache` says: T pairs in all.

    Args:
        source: The trajectory of the source, t = 0..T.
        target: The initialisation to be moved.
        spec: The groups of units.
        gradients: A function (target point, source point) -> both gradients on one mini-batch.
        generator: A CPU generator that draws the order of the groups in each sweep.
        cache: Where gradients are kept, see `Pairs`.
        max_sweeps: The most sweeps of each `match`.
    """
    _require_steps(source)
    pi = Permutation.identity(spec)
    pairs = Pairs(spec, cache=cache)
    for t in range(1, len(source)):
        pairs.append(gradients(moved(source, target, t - 1, pi), source[t - 1]))
        matching = match(pairs, spec, generator=generator, max_sweeps=max_sweeps)
        pi = matching.permutation
        yield Step(t, moved(source, target, t, pi), pi, matching, t)


def _require_steps(source: Trajectory) -> None:
    if not isinstance(source, Sequence) or len(source) < 2:
        raise ValueError(
            "the source trajectory needs two points at least; pass a Line or a list of Params"
        )


class Method(NamedTuple):
    """A way to move a target along a source trajectory.

    ``steps(source, target, spec)`` yields its `Step`, with a fourth argument for what else it
    `knows`: ``"nothing"``, the ``"end"`` of the target really trained, or ``"gradients"`` of both.
    `label` is its name in figures.
    """

    label: str
    knows: str
    steps: Callable[..., Iterator[Step]]


#: The methods by name; nothing else lists them. To add one, write a function of the shape of those
#: above, which yields a `Step` for each t = 1..T, and enter it here under its name with what it
#: `knows`. One that knows the ``"end"`` takes `generator` too; one that knows the ``"gradients"``
#: takes `generator`, `cache` and `max_sweeps`. All notebooks can then ask for it by name, and
#: `transfer` can, unless it knows the ``"end"``.
METHODS = {
    "naive": Method("Naive", "nothing", naive),
    "oracle": Method("Oracle", "end", oracle),
    "rebasin": Method("Git Re-Basin", "end", rebasin),
    "gmt": Method("GMT", "gradients", gmt),
    "fgmt": Method("FGMT", "gradients", fgmt),
}
