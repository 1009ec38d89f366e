"""The measures of the paper's own curves, by the functions that measure ours."""

from __future__ import annotations

from trajtransfer.paper import reported
from trajtransfer.paper.measures.measure import POINTS, Measures, measure
from trajtransfer.paper.measures.training import of_generalization, of_training
from trajtransfer.paper.measures.transfer import of_trajectories, of_transfer, reported_curves
from trajtransfer.paper.measures.updates import of_updates

_FIGURES = {
    "3": lambda panel: of_updates(reported.update_cosines(panel)),
    "4": lambda panel: of_trajectories(reported.trajectory_accuracies(panel)),
    "5": lambda panel: of_transfer(reported_curves(panel)),
    "6": lambda panel: of_training(reported.training_accuracies(panel)),
    "8": lambda panel: of_generalization(reported.generalization_curves(panel)),
}


def of_panel(panel: str) -> Measures:
    """The measures of a panel of the paper (Figures 3a, 4, 5, 6, 8), or of ``"ensemble TASK"``."""
    if panel.startswith("ensemble"):
        return _of_ensembles(panel.removeprefix("ensemble "))
    return _FIGURES[panel[0]](panel)


def _of_ensembles(task: str) -> Measures:
    accuracy = {
        row["ensemble"]: row["accuracy (%)"] / 100 for row in reported.ensembles_table(task)
    }
    return {
        f"{name.lower()}-minus-full": measure(
            [accuracy[name] - accuracy["Full"]], "ensembles", POINTS
        )
        for name in ("GMT", "FGMT")
    }
