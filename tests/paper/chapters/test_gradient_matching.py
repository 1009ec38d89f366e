"""The network small enough to draw: what the pictures say of it is so."""

from __future__ import annotations

import torch

from trajtransfer.paper.chapters import gradient_matching
from trajtransfer.paper.settings import setting


def test_a_pocket_network_is_moved_unit_by_unit(project):
    chosen = setting("mnist5k-mlp")
    pi, pocket = gradient_matching.pocket_transfer(chosen, (1, 2), hidden=8, epochs=20, steps=2)
    start, end, target, moved = (pocket[name].params for name in pocket)
    assert (moved - target - pi(end - start)).norm() <= 1e-5 * end.norm()
    for unit, origin in enumerate(pocket["target, transferred"].units):  # a unit moves as the one whose colour it has
        shift = (moved - target)["hidden.weight"][unit]
        assert torch.allclose(shift, (end - start)["hidden.weight"][origin], rtol=0, atol=1e-5 * float(end.norm()))
    assert sorted(pocket["target, untrained"].units) == list(range(8))
    assert pocket["source, trained"].accuracy > pocket["source, untrained"].accuracy
    again = gradient_matching.pocket_transfer(chosen, (1, 2), hidden=8, epochs=20, steps=2)[1]
    assert again["target, transferred"].accuracy == pocket["target, transferred"].accuracy
