"""What the structure of a network decides: read off and checked once, then kept as data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from typing import Any, NamedTuple

import torch
from torch import Tensor

from trajtransfer.paper import architectures
from trajtransfer.paper.provenance import circumstances
from trajtransfer.paper.units import kept
from trajtransfer.paper.work import sample_operations
from trajtransfer.specification import Axis, AxisPart, PermutationSpec
from trajtransfer.tracing.invariance import check_invariance
from trajtransfer.tracing.trace import permutation_spec

Content = Mapping[str, Any]


class Analysis(NamedTuple):
    """The specification of a network, and the operations of the gradient of one sample."""

    spec: PermutationSpec
    sample_operations: int


def analysed(structure: Content, examples: tuple[Tensor, Tensor]) -> Analysis:
    """The analysis of the network that `architectures.build` makes of a `structure`.

    Its specification is checked for invariance on the `examples`, two images (2, c, h, w) with
    their labels (2,). It is kept: the machinery of PyTorch that it needs takes longer to load than
    a figure to draw. Raises as `permutation_spec` and `check_invariance`.
    """
    address = {"structure": structure, **circumstances(__name__, str(examples[0].device))}
    name = f"analysed-{structure['architecture']}-w{structure['width']:g}"
    found = kept(name, address, lambda: _made(structure, examples)).content
    return Analysis(read(found["specification"]), found["sample operations"])


def _made(structure: Content, examples: tuple[Tensor, Tensor]) -> Content:
    model = architectures.build(**structure, seed=0).to(examples[0].device)
    spec = permutation_spec(model, examples[0])
    check_invariance(model, spec, examples[0], torch.Generator().manual_seed(0))
    operations = sample_operations(model, examples)
    return {"specification": written(spec), "sample operations": operations}


def digest(analysis: Analysis) -> str:
    """A digest of all of an analysis that decides numbers, the order of groups included."""
    spec = replace(analysis.spec, pinned=())  # words for the reader
    about = {**written(spec), "sample operations": analysis.sample_operations}
    return sha256(json.dumps(about).encode()).hexdigest()[:16]


def written(spec: PermutationSpec) -> Content:
    """A specification as JSON; groups of units keep their order, which matching depends on."""
    return {
        "sizes": dict(spec.sizes),
        "axes": dict(spec.axes),
        "buffers": sorted(spec.buffers),
        "pinned": list(spec.pinned),
        # Said where there is something to say, so that other digests are what they were.
        **({"inside": dict(spec.inside)} if spec.inside else {}),
    }


def read(content: Content) -> PermutationSpec:
    """The specification that was `written`."""
    axes = {name: tuple(map(_axis, found)) for name, found in content["axes"].items()}
    buffers = frozenset(content["buffers"])
    pinned = tuple(content["pinned"])
    return PermutationSpec(content["sizes"], axes, buffers, pinned, content.get("inside", {}))


def _axis(parts: list[list[Any]]) -> Axis:
    return tuple(AxisPart(*part) for part in parts)
