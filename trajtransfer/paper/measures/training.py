"""Measures of training from transferred weights (Figures 6 and 8), and of ensembles."""

from __future__ import annotations

from typing import Any

import pandas as pd

from trajtransfer.paper.measures.measure import (
    POINTS,
    Measure,
    Measures,
    apart,
    measure,
    sampling_error,
)
from trajtransfer.paper.subsequent import STANDARD

SHARES = (0.9, 0.95, 0.99)


def epochs_to_reach(training: pd.DataFrame) -> pd.DataFrame:
    """Epochs until a share of the final accuracy of standard training is reached, and epochs saved.

    One row per pair, share and method. 0 means before any training. A run that never gets there
    counts as one epoch more than it was trained for.
    """
    rows = []
    for pair, mine in training.groupby("pair", sort=False):
        runs = {str(method): run for method, run in mine.groupby("method", sort=False)}
        for share in SHARES:
            goal = share * runs[STANDARD]["accuracy"].iloc[-1]
            needed = {method: _first_epoch(run, goal) for method, run in runs.items()}
            for method, epochs in needed.items():
                saved = needed[STANDARD] - epochs
                about = {"method": method, "pair": pair, "share": share}
                rows.append(about | {"epochs": epochs, "saved": saved})
    return pd.DataFrame(rows)


def _first_epoch(run: pd.DataFrame, goal: float) -> Any:
    reached = run.loc[run["accuracy"] >= goal, "epoch"]
    return reached.iloc[0] if len(reached) else run["epoch"].iloc[-1] + 1


def of_training(training: pd.DataFrame, images: int = 0) -> Measures:
    """Of each method, per pair: epochs saved at each share, and its lead after one epoch.

    `standard-later-gain` is what standard training still gains after its first epoch, so what
    there is to save. Accuracies are those on so many `images`.
    """
    measures: Measures = {}
    reached = epochs_to_reach(training)
    for (method, share), mine in reached.groupby(["method", "share"], sort=False):
        name = f"{method}-saved-{100 * share:.0f}"
        measures[name] = measure(mine["saved"], text="{:.1f}")
    first = _accuracies(training[training["epoch"] == 1])
    for method in first:
        for other in (STANDARD, "naive"):
            if other in first and other != method:
                lead = apart(first[method], first[other])
                error = sampling_error(images, first[method], first[other])
                measures[f"{method}-lead-over-{other}"] = measure(lead, text=POINTS, error=error)
    standard = training[training["method"] == STANDARD].sort_values("epoch")
    last = _accuracies(standard.drop_duplicates("pair", keep="last"))
    later = apart(last[STANDARD], first[STANDARD])
    error = sampling_error(images, last[STANDARD], first[STANDARD])
    measures["standard-later-gain"] = measure(later, text=POINTS, error=error)
    return measures


def _accuracies(rows: pd.DataFrame) -> dict[str, pd.Series]:
    """The accuracy of each method by pair, of rows that have one of each."""
    return {
        str(method): mine.set_index("pair")["accuracy"]
        for method, mine in rows.groupby("method", sort=False)
    }


def of_generalization(training: pd.DataFrame, images: int = 0) -> Measures:
    """Per pair, the transfer from a poor source to a good target against the others, at the end.

    `all-minus-part` is the premise: what standard training gains by a good pre-training. Accuracies
    are those on so many `images`.
    """
    last = training[training["epoch"] == training["epoch"].max()]
    final = {name: mine.set_index("pair") for name, mine in last.groupby("method", sort=False)}
    ours = final["FGMT, part → all"]
    names = {
        "FGMT, part → part": "fgmt-part",
        "standard, all": "standard-all",
        "standard, part": "standard-part",
        "Naive, part → all": "naive-all",  # ours alone
    }
    measures: Measures = {}
    for name, short in names.items():
        if name not in final:
            continue
        measures[f"accuracy-minus-{short}"] = _gain(ours, final[name], images)
        measures[f"gap-minus-{short}"] = _gap(ours, final[name], images)
    premise = _gain(final["standard, all"], final["standard, part"], images)
    return measures | {"all-minus-part": premise}


def _gap(ours: pd.DataFrame, theirs: pd.DataFrame, images: int) -> Measure:
    """The differences of generalisation gaps, each one of two accuracies on as many images."""
    seen = [rows["accuracy"] for rows in (ours, theirs)]
    trained_on = [rows["accuracy"] + rows["gap"] for rows in (ours, theirs)]
    error = sampling_error(images, *seen, *trained_on)
    return measure(apart(ours["gap"], theirs["gap"]), text=POINTS, error=error)


def _gain(ours: pd.DataFrame, theirs: pd.DataFrame, images: int) -> Measure:
    """The differences of accuracies, per pair."""
    accuracies = [rows["accuracy"] for rows in (ours, theirs)]
    error = sampling_error(images, *accuracies)
    return measure(apart(*accuracies), text=POINTS, error=error)


def of_ensembles(ensembles: pd.DataFrame, images: int = 0) -> Measures:
    """Accuracy of the ensembles of each method minus that of the full one, per group of members.

    It is measured on so many `images`.
    """
    by_method = {
        str(method): mine.set_index("group")["accuracy"]
        for method, mine in ensembles.groupby("method", sort=False)
    }
    full = by_method.pop("full")
    measures: Measures = {}
    for method, mine in by_method.items():
        error = sampling_error(images, mine, full)
        more = apart(mine, full)
        measures[f"{method}-minus-full"] = measure(more, "ensembles", POINTS, error)
    return measures
