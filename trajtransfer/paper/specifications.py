"""Specifications of the networks of settings: read off and checked once, then kept as data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import torch
from torch import Tensor

from trajtransfer.paper import architectures
from trajtransfer.paper.provenance import circumstances
from trajtransfer.paper.units import kept
from trajtransfer.specification import Axis, AxisPart, PermutationSpec
from trajtransfer.tracing.invariance import check_invariance
from trajtransfer.tracing.trace import permutation_spec

Content = Mapping[str, Any]


def specification(structure: Content, examples: Tensor) -> PermutationSpec:
    """The specification of the network that `architectures.build` makes of a `structure`.

    It is checked for invariance on the `examples`, and kept: the machinery of ``torch.export``
    takes longer to load than a figure to draw.
    """
    address = {"structure": structure, **circumstances(__name__, str(examples.device))}
    name = f"specification-{structure['architecture']}-w{structure['width']:g}"
    return read(kept(name, address, lambda: _derived(structure, examples)).content)


def _derived(structure: Content, examples: Tensor) -> Content:
    model = architectures.build(**structure, seed=0).to(examples.device)
    spec = permutation_spec(model, examples)
    check_invariance(model, spec, examples, torch.Generator().manual_seed(0))
    return written(spec)


def written(spec: PermutationSpec) -> Content:
    """A specification as JSON; groups of units keep their order, which matching depends on."""
    return {
        "sizes": dict(spec.sizes),
        "axes": dict(spec.axes),
        "buffers": sorted(spec.buffers),
        "pinned": list(spec.pinned),
    }


def read(content: Content) -> PermutationSpec:
    """The specification that was `written`."""
    axes = {name: tuple(map(_axis, found)) for name, found in content["axes"].items()}
    buffers = frozenset(content["buffers"])
    return PermutationSpec(content["sizes"], axes, buffers, tuple(content["pinned"]))


def digest(spec: PermutationSpec) -> str:
    """A digest of all that a specification says, the order of its groups included."""
    return sha256(json.dumps(written(spec)).encode()).hexdigest()[:16]


def _axis(parts: list[list[Any]]) -> Axis:
    return tuple(AxisPart(*part) for part in parts)
