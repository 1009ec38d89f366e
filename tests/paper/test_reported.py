"""The paper's own curves: every digitised point is there, as a frame like ours."""

from __future__ import annotations

import subprocess
import sys

import pytest

from trajtransfer.paper import reported
from trajtransfer.paper.reported import panels

FRAMES = {
    "3a": reported.update_cosines,
    "4": reported.trajectory_accuracies,
    **{f"6{letter}": reported.training_accuracies for letter in "abcd"},
}
COLUMNS = {
    "3": {"width", "order", "iteration", "cosine"},
    "4": {"trajectory", "method", "pair", "accuracy", "selection_accuracy"},
    "6": {"method", "pair", "epoch", "accuracy"},
}

TASKS = sorted(panels()["ensemble-table"].keys() - {"columns"})


def curves_of(panel: str) -> list[dict]:
    return panels()[panel]["curves"]


def test_the_panels_are_there():
    assert {"3a", "4", "5a", "5f", "6d", "9f", "ensemble-table"} <= panels().keys()
    for panel in panels().keys() - {"ensemble-table"}:
        assert reported.title_of(panel) and curves_of(panel)


@pytest.mark.parametrize("panel", sorted(panels().keys() - {"ensemble-table"}))
def test_curves_have_one_mean_for_each_place(panel):
    for curve in curves_of(panel):
        assert len(curve["x"]) == len(curve["mean"]) > 0
        assert curve["x"] == sorted(set(curve["x"]))
        assert len(curve["std"] or curve["x"]) == len(curve["x"])


@pytest.mark.parametrize("panel", FRAMES)
def test_no_point_of_a_panel_is_lost(panel):
    frame = FRAMES[panel](panel)
    points = [
        (curve["label"], x, y)
        for curve in curves_of(panel)
        for x, y in zip(curve["x"], curve["mean"], strict=True)
    ]
    assert list(zip(frame["label"], frame["x"], frame["y"], strict=True)) == points
    assert COLUMNS[panel[0]] <= set(frame)
    assert not frame.isna().any().any()


@pytest.mark.parametrize("panel", [f"6{letter}" for letter in "abcd"])
def test_the_methods_of_training_are_those_of_ours(panel):
    frame = reported.training_accuracies(panel)
    assert set(frame["method"]) == {"standard", "naive", "oracle", "gmt", "fgmt"}
    assert frame["accuracy"].between(0, 1).all()
    assert frame["epoch"].min() == 1


def test_the_kinds_of_trajectories_are_those_of_ours():
    frame = reported.trajectory_accuracies("4")
    assert set(frame["trajectory"]) == {"recorded", "linear, uniform"}
    assert set(frame["method"]) == {"gmt"}
    assert frame["accuracy"].between(0, 1).all()


def test_the_orders_of_updates_are_those_of_ours():
    frame = reported.update_cosines("3a")
    assert {"permuted", "identity"} <= set(frame["order"])
    assert set(frame["width"]) == {int(curve["label"].split()[1]) for curve in curves_of("3a")}
    assert frame["cosine"].between(-1, 1).all()


@pytest.mark.parametrize("panel", ["8a", "8b"])
def test_a_gap_stands_beside_the_accuracy_of_its_run_and_epoch(panel):
    frame = reported.generalization_curves(panel)
    found = {(row["method"], row["epoch"]): row for row in frame.to_dict("records")}
    for what in ("accuracy", "gap"):
        for curve in curves_of(f"{panel}-{what}"):
            method = reported.RUNS_OF_FIGURE_8[curve["label"].lower()]
            for x, y in zip(curve["x"], curve["mean"], strict=True):
                assert found[method, x][what] == y / 100
    assert len(found) == len(frame)


@pytest.mark.parametrize("task", TASKS)
def test_the_row_of_a_task_has_one_line_per_ensemble(task):
    table = reported.ensembles_table(task)
    assert {row["ensemble"] for row in table} >= {"Full", "GMT", "FGMT"}
    for row in table:
        expected = panels()["ensemble-table"][task][row["ensemble"]]
        assert [row["accuracy (%)"], row["epochs per member"]] == expected
        assert row["paper"] == task


def test_the_names_of_panels_do_not_wait_for_frames():
    """Whoever checks a parameter lists the panels, and draws none of them."""
    code = (
        "import sys\n"
        "from trajtransfer.paper.reported import panels\n"
        "panels()\n"
        "assert 'pandas' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
