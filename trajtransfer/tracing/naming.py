"""A specification read off the labels of weights: groups of units get their names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import nn

from trajtransfer.specification import Axis, AxisPart, PermutationSpec
from trajtransfer.tracing.axis_labels import Label, Piece, Units, fixed, resolve, settle_inside
from trajtransfer.tracing.registry import Traced


def specification(
    model: nn.Module, weights: Mapping[str, Traced], pinned: Iterable[str]
) -> PermutationSpec:
    """The specification of a model; tensors that were never used do not move."""
    tensors = dict((*model.named_parameters(), *model.named_buffers()))
    axes = {}
    for name, x in tensors.items():
        axes[name] = weights[name].axes if name in weights else tuple(map(fixed, x.shape))
    for own in axes.values():
        for axis in own:
            settle_inside(axis)
    labels = {name: [resolve(axis) for axis in own] for name, own in axes.items()}
    names = _names_of_units(labels)
    inside = {}
    for units, name in names.items():
        if units.inside is not None:
            (larger,) = _axis(units.larger(), names)
            inside[name] = str(larger.units)
    named = {name: tuple(_axis(label, names) for label in own) for name, own in labels.items()}
    sizes = {name: units.size for units, name in names.items()}
    buffers = frozenset(name for name, _ in model.named_buffers())
    unread = tuple(dict.fromkeys(pinned))
    return PermutationSpec(sizes, named, buffers, unread, inside)


def _axis(label: Label, names: dict[Units, str]) -> Axis:
    """A label with the names of its units."""
    parts = []
    for units, size, block in label:
        name = None if units is None else names[units]
        parts.append(AxisPart(name, size, block))
    return tuple(parts)


def _names_of_units(labels: dict[str, list[Label]]) -> dict[Units, str]:
    """Each group by the layer whose output axis it is, or else by the first that uses it."""
    names: dict[Units, str] = {}
    for tensor, axes in labels.items():
        for axis in axes[:1]:
            _name_units(names, axis, tensor.rpartition(".")[0] or tensor)
    for tensor, axes in labels.items():
        for axis in axes:
            _name_units(names, axis, tensor.rpartition(".")[0] or tensor)
    for units, name in [*names.items()]:
        if units.inside is not None:
            _name_units(names, units.larger(), f"{name} (whole)")
    return names


def _name_units(names: dict[Units, str], axis: Iterable[Piece], layer: str) -> None:
    """Name the groups of an axis that have no name yet after a layer, numbered if several."""
    found = dict.fromkeys(piece.units for piece in axis if piece.units is not None)
    new = [units for units in found if units not in names]
    taken = set(names.values())
    for number, units in enumerate(new):
        name = layer if len(new) == 1 else f"{layer}[{number}]"
        while name in taken:
            name += "'"
        names[units] = name
        taken.add(name)
