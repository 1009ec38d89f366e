"""Measures: the numbers that claims speak of, by the same functions for us and the paper.

Every function is named after what it takes; the values of each measure say what their number
counts.
"""

from trajtransfer.paper.measures.costs import (
    cost_of_transfers,
    of_costs,
    of_precision,
    of_restarts,
    of_sweeps,
    of_transfer_costs,
)
from trajtransfer.paper.measures.landscape import (
    of_accuracies,
    of_basins,
    of_fine_tuned,
    of_matching,
    of_symmetry,
)
from trajtransfer.paper.measures.measure import Measure, Measures
from trajtransfer.paper.measures.reported import of_panel
from trajtransfer.paper.measures.training import (
    epochs_to_reach,
    of_ensembles,
    of_generalization,
    of_training,
)
from trajtransfer.paper.measures.transfer import (
    Curve,
    curves_of,
    of_movement,
    of_networks,
    of_pairs,
    of_tests,
    of_trajectories,
    of_transfer,
    reported_curves,
)
from trajtransfer.paper.measures.updates import (
    effects,
    of_distances,
    of_drift,
    of_effects,
    of_updates,
)

__all__ = [
    "Curve",
    "Measure",
    "Measures",
    "cost_of_transfers",
    "curves_of",
    "effects",
    "epochs_to_reach",
    "of_accuracies",
    "of_basins",
    "of_costs",
    "of_distances",
    "of_drift",
    "of_effects",
    "of_ensembles",
    "of_fine_tuned",
    "of_generalization",
    "of_matching",
    "of_movement",
    "of_networks",
    "of_pairs",
    "of_panel",
    "of_precision",
    "of_restarts",
    "of_sweeps",
    "of_symmetry",
    "of_tests",
    "of_training",
    "of_trajectories",
    "of_transfer",
    "of_transfer_costs",
    "of_updates",
    "reported_curves",
]
