"""Measures by hand on a few rows, and of the paper's panels from its digitised curves."""

from __future__ import annotations

import math

import pytest

from trajtransfer.paper import measures
from trajtransfer.paper.reported import panels


def transfer(trajectory: str, method: str, pair: str, *accuracies: float) -> list[dict]:
    about = {"trajectory": trajectory, "method": method, "pair": pair}
    return [about | {"t": t, "accuracy": a, "selection_accuracy": a} for t, a in enumerate(accuracies, 1)]


def training(method: str, pair: str, *accuracies: float, first: int = 0) -> list[dict]:
    return [{"method": method, "pair": pair, "epoch": e, "accuracy": a} for e, a in enumerate(accuracies, first)]


def cosine(value: float, order: str = "permuted", **about) -> dict:
    common = {"network": "mlp", "width": 8, "start": "random", "data": "digits", "iteration": 10}
    return common | about | {"order": order, "cosine": value}


def curve(panel: str, label: str) -> dict:
    (found,) = [c for c in panels()[panel]["curves"] if c["label"].lower() == label.lower()]
    return found


def test_what_linear_trajectories_gain_and_how_deep_curves_fall():
    rows = [
        *transfer("recorded", "gmt", "1-2", 0.2, 0.9, 0.3), *transfer("recorded", "gmt", "3-4", 0.1, 0.2, 0.4),
        *transfer("linear, uniform", "gmt", "1-2", 0.5, 0.4, 0.8), *transfer("linear, uniform", "gmt", "3-4", 0.6, 0.3, 0.7),
        *transfer("linear, cosine", "gmt", "1-2", 0.5, 0.6, 0.9), *transfer("linear, cosine", "gmt", "3-4", 0.5, 0.6, 0.6),
    ]  # fmt: skip
    found = measures.trajectory_measures(rows)
    assert found["gmt-linear-gain"] == pytest.approx([0.5, 0.3]) and found["gmt-cosine-gain"] == pytest.approx([0.1, -0.1])
    assert found["gmt-recorded-drop"] == pytest.approx([0.6, -0.1]) and found["gmt-linear-drop"] == pytest.approx([0.1, 0.3])
    assert found["gmt-excess-drop"] == pytest.approx([0.5, -0.4])
    assert not any(name.startswith("fgmt") for name in found)  # nothing is said of a method without rows


def test_epochs_to_reach_by_hand():
    rows = [
        *training("standard", "1-2", 0.0, 0.85, 0.95, 1.0), *training("fgmt", "1-2", 0.9, 0.96, 0.98, 0.99),
        *training("naive", "1-2", 0.1, 0.2, 0.3, 0.94),
    ]  # fmt: skip
    found = {(r["method"], r["share"]): (r["epochs"], r["saved"]) for r in measures.epochs_to_reach(rows)}
    assert [found["standard", share] for share in (0.9, 0.95, 0.99)] == [(2, 0), (2, 0), (3, 0)]
    assert [found["fgmt", share] for share in (0.9, 0.95, 0.99)] == [(0, 2), (1, 1), (3, 0)]
    assert [found["naive", share] for share in (0.9, 0.95, 0.99)] == [(3, -1), (4, -2), (4, -1)]  # 4: never in 3 epochs


def test_the_goal_is_that_of_the_same_pair():
    rows = [
        *training("standard", "1-2", 0.0, 0.5), *training("fgmt", "1-2", 0.5, 0.6),
        *training("standard", "3-4", 0.0, 1.0), *training("fgmt", "3-4", 0.5, 0.6),
    ]  # fmt: skip
    reached = measures.epochs_to_reach(rows)
    assert [r["epochs"] for r in reached if (r["method"], r["share"]) == ("fgmt", 0.9)] == [0, 2]
    lines = measures.epochs_table(reached)
    assert [line["method"] for line in lines] == ["standard", "fgmt"]
    assert lines[0]["epochs to 99 %"] == "1.0 ± 0.0" and lines[1]["epochs to 90 %"] == "1.0 ± 1.4"
    found = measures.training_measures(rows)
    assert found["fgmt-saved-90"] == [1, -1] and found["fgmt-lead-over-standard"] == pytest.approx([0.1, -0.4])


def test_leads_are_those_after_one_epoch():
    rows = [*training("standard", "1-2", 0.1, 0.4, 0.9), *training("naive", "1-2", 0.3, 0.5, 0.9)]
    found = measures.training_measures(rows + training("gmt", "1-2", 0.8, 0.7, 0.9))
    assert found["gmt-lead-over-standard"] == pytest.approx([0.3]) and found["gmt-lead-over-naive"] == pytest.approx([0.2])
    assert found["naive-lead-over-standard"] == pytest.approx([0.1]) and found["standard-lead-over-naive"] == pytest.approx(
        [-0.1]
    )
    assert "naive-lead-over-naive" not in found and found["gmt-saved-95"] == [0]


def test_generalisation_compares_the_last_epochs():
    values = {"FGMT, part → all": (0.9, 0.1), "FGMT, part → part": (0.6, 0.25), "standard, all": (0.8, 0.2),
              "standard, part": (0.7, 0.3)}  # fmt: skip
    ends = [{"method": m, "epoch": 2, "accuracy": a, "gap": g} for m, (a, g) in values.items()]
    found = measures.generalization_measures([row | {"epoch": 1, "accuracy": 0.0, "gap": 0.0} for row in ends] + ends)
    assert found == {
        "accuracy-minus-fgmt-part": pytest.approx([0.3]), "gap-minus-fgmt-part": pytest.approx([-0.15]),
        "accuracy-minus-standard-all": pytest.approx([0.1]), "gap-minus-standard-all": pytest.approx([-0.1]),
        "accuracy-minus-standard-part": pytest.approx([0.2]), "gap-minus-standard-part": pytest.approx([-0.2]),
    }  # fmt: skip


def test_ensembles_are_compared_within_their_group():
    values = [("gmt", 2, 0.9), ("full", 1, 0.5), ("full", 2, 0.8), ("gmt", 1, 0.7)]
    found = measures.ensemble_measures([{"method": m, "group": g, "accuracy": a} for m, g, a in values])
    assert found == {"gmt-minus-full": pytest.approx([0.1, 0.2])}


def test_only_the_last_iteration_of_the_widest_network_counts():
    last = [cosine(0.6, width=16, iteration=20), cosine(0.1, "identity", width=16, iteration=20)]
    others = [cosine(0.9, width=8, iteration=20), cosine(0.8, width=16, iteration=10), cosine(0.7, "identity", width=8)]
    found = measures.at_the_end([*others, *last, cosine(0.3, "random", width=16, iteration=20)])
    assert found == {"permuted": [0.6], "identity": [0.1], "excess": [0.5]}


def test_effects_by_hand():
    """Two networks on two data sets from random weights, and one start of another kind."""
    rows = [
        cosine(0.9), cosine(0.7), cosine(0.2, data="clothes"), cosine(0.4, network="conv"),
        cosine(0.3, network="conv", data="clothes"), cosine(0.5, network="conv", data="clothes", start="digits"),
        cosine(99.0, "identity"), cosine(99.0, "random"),
    ]  # fmt: skip
    found = measures.effects(rows)
    assert found["network"] == pytest.approx((0.4 + 0.1) / 2) and found["start"] == pytest.approx(0.2)
    assert found["data"] == pytest.approx((0.6 + 0.1) / 2)


def test_there_is_no_effect_of_what_never_differs_alone():
    everything = cosine(0.1, network="conv", start="digits", data="clothes")
    starts = [cosine(0.9, start="digits"), cosine(0.1, start="clothes")]  # both are pre-trained: one kind of start
    for rows in ([cosine(0.9), everything], starts):
        assert all(math.isnan(effect) for effect in measures.effects(rows).values())


def test_the_paper_s_cosines_are_those_of_its_widest_network():
    found = measures.reported_measures("3a")
    permuted, identity = (curve("3a", f"width 128 {order}")["mean"][-1] for order in ("permuted", "identity"))
    assert found == {"permuted": [permuted], "identity": [identity], "excess": [permuted - identity]}


def test_the_paper_s_linear_trajectory_gains():
    found, linear, actual = measures.reported_measures("4"), curve("4", "linear")["mean"], curve("4", "actual")["mean"]
    assert found["gmt-linear-gain"] == pytest.approx([(linear[-1] - actual[-1]) / 100])
    deepest = [max(y[i] - y[i + 1] for i in range(59)) / 100 for y in (actual, linear)]
    assert [found["gmt-recorded-drop"], found["gmt-linear-drop"]] == [pytest.approx([x]) for x in deepest]


@pytest.mark.parametrize("panel", ["6a", "6b", "6c", "6d"])
def test_the_paper_s_epochs(panel):
    found, standard = measures.reported_measures(panel), curve(panel, "standard training")
    for method in ("gmt", "fgmt", "oracle", "naive"):
        ours = curve(panel, method)
        assert found[f"{method}-lead-over-standard"] == pytest.approx([(ours["mean"][0] - standard["mean"][0]) / 100])
        for share in (90, 95, 99):
            goal = share / 100 * standard["mean"][-1]
            first = [min([x for x, y in zip(c["x"], c["mean"], strict=True) if y >= goal]) for c in (ours, standard)]
            assert found[f"{method}-saved-{share}"] == [first[1] - first[0]]


@pytest.mark.parametrize("panel", ["8a", "8b"])
@pytest.mark.parametrize(
    ("short", "label"),
    [
        ("fgmt-part", "FGMT (ImageNet-10% -> ImageNet-10%)"),
        ("standard-all", "Standard (ImageNet-full pre-trained)"),
        ("standard-part", "Standard (ImageNet-10% pre-trained)"),
    ],
)
def test_the_paper_s_generalisation(panel, short, label):
    found = measures.reported_measures(panel)
    for what in ("accuracy", "gap"):
        ours, other = (curve(f"{panel}-{what}", x)["mean"][-1] for x in ("FGMT (ImageNet-10% -> ImageNet-full)", label))
        assert found[f"{what}-minus-{short}"] == pytest.approx([(ours - other) / 100])


def test_the_paper_s_ensembles():
    found, table = measures.reported_measures("ensemble CUB"), panels()["ensemble-table"]["CUB"]
    assert found["gmt-minus-full"] == pytest.approx([(table["GMT"][0] - table["Full"][0]) / 100])
    assert found["fgmt-minus-full"] == pytest.approx([(table["FGMT"][0] - table["Full"][0]) / 100])


def test_means_are_written_with_their_spread():
    assert measures.mean_text([1, 3], 2) == "2.00 ± 1.41" and measures.mean_text([0.126], 2) == "0.13"
    assert measures.percent([0.1, 0.3]) == "20.0 ± 14.1" and measures.percent([]) == "–" and measures.percent([-0.5]) == "-50.0"
    assert measures.percent_row({"method": "gmt", "gain": [0.5]}) == {"method": "gmt", "gain": "50.0"}
    assert measures.mean_columns([{"a": 1, "b": 7}, {"a": 3, "b": 7}], ["a"]) == {"a": "2.000 ± 1.414"}
