"""A setting whose networks are trained in a moment."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from trajtransfer.paper import checkpoints, networks
from trajtransfer.paper.settings import Setting, setting


def small() -> Setting:
    """A narrow perceptron, trained for four epochs."""
    chosen = setting("mnist5k-mlp", width=24)
    return replace(chosen, recipe=replace(chosen.recipe, epochs=4))


def trained(chosen: Setting) -> list[str]:
    """Checksums of a trajectory and a network, trained or read."""
    points = networks.recorded(chosen, 1)
    ends = [*points, networks.network(chosen, 2).end]
    return [checkpoints.checksum(point) for point in ends]


def forget(root: Path) -> None:
    """Remove all trained networks of a project."""
    shutil.rmtree(root / "runs" / "networks", ignore_errors=True)
