"""One function per kind of figure: it draws a frame of a record on an `Axes`."""

from trajtransfer.paper.figures.accuracy import (
    accuracy_curves,
    by_disagreement,
    curves,
    points,
    reported_curves,
    scaling,
)
from trajtransfer.paper.figures.landscape import (
    loss_profiles,
    network_diagram,
    plane,
    segments,
    trajectories,
)
from trajtransfer.paper.figures.updates import (
    agreement,
    drift,
    gradient_distances,
    layers,
    unit_cosines,
    update_cosines,
)

__all__ = [
    "accuracy_curves",
    "agreement",
    "by_disagreement",
    "curves",
    "drift",
    "gradient_distances",
    "layers",
    "loss_profiles",
    "network_diagram",
    "plane",
    "points",
    "reported_curves",
    "scaling",
    "segments",
    "trajectories",
    "unit_cosines",
    "update_cosines",
]
