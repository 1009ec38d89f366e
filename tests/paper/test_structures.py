"""What is read back of a structure is what was read off it, and any change is seen."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from trajtransfer.paper import structures
from trajtransfer.paper.structures import Analysis, analysed, digest, read, written
from trajtransfer.specification import AxisPart, PermutationSpec

STRUCTURE = {"architecture": "mlp", "shape": (1, 4, 4), "classes": 3, "width": 5}
BLOCKS = (AxisPart("a", 6, 3), AxisPart(None, 1), AxisPart("b", 3))
SPEC = PermutationSpec(
    {"b": 3, "a": 2}, {"x": (BLOCKS, (AxisPart(None, 4),)), "mean": ()}, frozenset({"mean"}), ("y",)
)


def images():
    return torch.zeros(2, 1, 4, 4), torch.tensor([0, 2])


def test_json_and_back_is_the_identity():
    found = read(json.loads(json.dumps(written(SPEC))))
    assert found == SPEC and list(found.sizes) == ["b", "a"]
    assert found.axes["x"][0][1] == AxisPart(None, 1)
    nested = PermutationSpec({"heads": 2, "queries": 6}, {}, inside={"queries": "heads"})
    assert read(json.loads(json.dumps(written(nested)))) == nested


@pytest.mark.parametrize(
    "change",
    [
        {"sizes": {"a": 2, "b": 3}},  # matching draws the order of its sweeps
        {"axes": SPEC.axes | {"z": ()}},
        {"buffers": frozenset()},
        {"sizes": {"b": 4, "a": 2}, "axes": {}, "buffers": frozenset(), "inside": {"b": "a"}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_any_change_is_another_digest(change):
    own = Analysis(SPEC, 7)
    assert digest(Analysis(replace(SPEC, **change), 7)) != digest(own)
    assert digest(Analysis(read(written(SPEC)), 7)) == digest(own) != digest(Analysis(SPEC, 8))
    assert digest(Analysis(replace(SPEC, pinned=()), 7)) == digest(own)  # words for the reader


def test_what_is_kept_is_not_read_off_again(project, monkeypatch):
    first = analysed(STRUCTURE, images())
    monkeypatch.setattr(structures, "permutation_spec", None)
    assert analysed(STRUCTURE, images()) == first
    with pytest.raises(TypeError):
        analysed(STRUCTURE | {"width": 6}, images())


def test_a_specification_that_changes_the_outputs_is_not_kept(project, monkeypatch):
    wrong = PermutationSpec({"hidden": 5}, {"hidden.weight": ((AxisPart("hidden", 5),),)})
    monkeypatch.setattr(structures, "permutation_spec", lambda *_: wrong)
    with pytest.raises(ValueError):
        analysed(STRUCTURE, images())
    assert not list(project.rglob("table.json"))
