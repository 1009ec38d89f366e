"""Tables as a reader sees them: they show the numbers that claims are decided by."""

from __future__ import annotations

import random
from statistics import fmean

import pandas as pd
import pytest

from trajtransfer.paper import measures, reported, tables
from trajtransfer.paper.measures import Curve
from trajtransfer.paper.measures.reported import of_panel
from trajtransfer.paper.presentation import MISSING, mean_text, percent

LIMIT = "sweeps per match at most"
PAIRS = ("1-2", "3-4", "5-6")
ORDERS = ("permuted", "identity", "random")


@pytest.fixture
def chance() -> random.Random:
    return random.Random(0)


def drawn_curves(chance: random.Random, methods=("naive", "gmt", "fgmt")) -> dict[str, list[Curve]]:
    return {
        method: [
            Curve(
                tuple(chance.random() for _ in range(5)),
                tuple(chance.random() for _ in range(5)),
            )
            for _ in PAIRS
        ]
        for method in methods
    }


def steps_of(curves: dict[str, list[Curve]], kind: str) -> list[dict]:
    rows = []
    for method, by_pair in curves.items():
        for pair, curve in zip(PAIRS, by_pair, strict=True):
            both = zip(curve.accuracy, curve.selection, strict=True)
            for t, (accuracy, selection) in enumerate(both, 1):
                about = {"trajectory": kind, "method": method, "pair": pair, "t": t}
                rows.append(about | {"accuracy": accuracy, "selection_accuracy": selection})
    return rows


def training(chance: random.Random) -> pd.DataFrame:
    return pd.DataFrame(
        {"method": method, "pair": pair, "epoch": epoch, "accuracy": chance.random()}
        for method in ("standard", "naive", "fgmt")
        for pair in PAIRS
        for epoch in range(6)
    )


def cosines(chance: random.Random) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "series": f"mlp {width}",
            "width": width,
            "pair": pair,
            "order": order,
            "iteration": iteration,
            "cosine": chance.random(),
        }
        for width in (8, 16)
        for pair in PAIRS
        for order in ORDERS
        for iteration in (10, 20, 30)
    )


# What a table shows is what is measured


def test_the_table_of_methods_shows_the_measures_of_transfers(chance):
    curves = drawn_curves(chance)
    theirs = measures.reported_curves("5a")
    found = measures.of_transfer(curves)
    paper = of_panel("5a")
    table = tables.methods(curves, theirs)
    assert [row["method"] for row in table] == list(curves)
    for row in table:
        for shown, name in (("first", "first"), ("best", "peak"), ("last", "final")):
            measure = f"{row['method']}-{name}"
            assert row[f"{shown} step"] == percent(found[measure].values)
            assert row[f"{shown}, paper"] == percent(paper[measure].values)


def test_a_method_that_the_paper_does_not_report_has_dashes_there(chance):
    curves = drawn_curves(chance, ["rebasin"])
    (row,) = tables.methods(curves, measures.reported_curves("5a"))
    assert [row[f"{name}, paper"] for name in ("first", "best", "last")] == ["–"] * 3


def test_the_table_of_trajectories_shows_their_measures(chance):
    rows = []
    for kind in ("recorded", "linear, uniform", "linear, cosine"):
        rows += steps_of(drawn_curves(chance), kind)
    found = measures.of_trajectories(pd.DataFrame(rows))
    table = tables.trajectories(found)
    assert [row["method"] for row in table] == ["gmt", "fgmt"]
    for row in table:
        method = row["method"]
        assert row["gain of linear"] == percent(found[f"{method}-linear-gain"].values)
        assert row["deepest fall, recorded"] == percent(found[f"{method}-recorded-drop"].values)
        assert row["deepest fall, linear"] == percent(found[f"{method}-linear-drop"].values)
        assert row["gain of cosine times"] == percent(found[f"{method}-cosine-gain"].values)


def test_a_trajectory_that_was_not_run_has_a_dash():
    (row,) = tables.trajectories(of_panel("4"))
    assert row["method"] == "gmt"
    assert row["gain of cosine times"] == "–" and row["gain of linear"] != "–"


def test_the_table_of_epochs_shows_the_epochs_behind_those_saved(chance):
    frame = training(chance)
    reached = measures.epochs_to_reach(frame)
    found = measures.of_training(frame)
    table = tables.epochs(frame)
    assert [row["method"] for row in table] == ["standard", "naive", "fgmt"]
    for row in table:
        for share in (90, 95, 99):
            name = f"{row['method']}-saved-{share}"
            at = reached[reached["share"] == share / 100].set_index("pair")
            standard = at.loc[at["method"] == "standard", "epochs"]
            saved = dict(zip(PAIRS, found[name].values, strict=True))
            epochs = [standard[pair] - saved[pair] for pair in PAIRS]
            assert row[f"epochs to {share} %"] == mean_text(epochs, 1)


def test_epochs_by_hand():
    accuracies = {
        ("standard", "1-2"): (0.0, 0.5),
        ("fgmt", "1-2"): (0.5, 0.6),
        ("standard", "3-4"): (0.0, 1.0),
        ("fgmt", "3-4"): (0.5, 0.6),
    }
    rows = [
        {"method": method, "pair": pair, "epoch": epoch, "accuracy": accuracy}
        for (method, pair), found in accuracies.items()
        for epoch, accuracy in enumerate(found)
    ]
    first, second = tables.epochs(pd.DataFrame(rows))
    assert (first["method"], second["method"]) == ("standard", "fgmt")
    assert first["epochs to 99 %"] == "1.0 ± 0.0"
    assert second["epochs to 90 %"] == "1.0 ± 1.4"


def test_the_paper_s_epochs_are_shown_without_a_spread():
    for row in tables.epochs(reported.training_accuracies("6a")):
        for share in (90, 95, 99):
            assert float(row[f"epochs to {share} %"]) >= 1


def test_differences_show_ours_beside_the_paper_s(chance):
    names = ["FGMT, part → all", "FGMT, part → part", "standard, all", "standard, part"]
    names.append("Naive, part → all")  # which the paper does not have
    frame = pd.DataFrame(
        {"method": method, "pair": pair, "epoch": 1, "accuracy": chance.random(), "gap": 0.1}
        for method in names
        for pair in PAIRS
    )
    found = measures.of_generalization(frame)
    paper = of_panel("8a")
    table = tables.differences(found, paper)
    assert len(table) == len(found) == 9
    for row, (name, measure) in zip(table, found.items(), strict=True):
        assert row["difference"] == name.replace("-", " ")
        assert row["ours (points)"] == percent(measure.values)
        assert row["paper"] == (percent(paper[name].values) if name in paper else MISSING)


def test_series_are_averaged_over_their_pairs_and_iterations(chance):
    frame = cosines(chance)
    found = measures.of_updates(frame)
    table = tables.series(frame)
    assert [row["series"] for row in table] == ["mlp 8", "mlp 16"]
    for row in table:
        mine = frame[frame["series"] == row["series"]]
        for order in ORDERS:
            own = mine[mine["order"] == order]
            last = own[own["iteration"] == 30]
            assert row[f"{order}, mean"] == pytest.approx(fmean(own["cosine"]))
            assert row[f"{order}, last"] == pytest.approx(fmean(last["cosine"]))
    # The claims are about the last iteration of the widest network.
    for order in ("permuted", "identity"):
        assert table[-1][f"{order}, last"] == pytest.approx(fmean(found[order].values))


def test_barriers_are_shown_as_they_are_measured(chance):
    frame = pd.DataFrame(
        {
            "from": method,
            "to": end,
            "pair": pair,
            "barrier": chance.random(),
            "rise": chance.random(),
            "accuracy barrier": chance.random(),
        }
        for pair in PAIRS
        for method in ("oracle", "fgmt")
        for end in ("Source*", "trained target")
    )
    found = measures.of_basins(frame)
    table = {(row["from"], row["to"]): row for row in tables.barriers(frame)}
    assert len(table) == 4
    for method in ("oracle", "fgmt"):
        for end, name in (("Source*", "source"), ("trained target", "target")):
            row = table[method, end]
            assert row["barrier (nats)"] == mean_text(found[f"{method}-to-{name}"].values, 3)
            rise = mean_text(found[f"{method}-rise-to-{name}"].values, 3)
            assert row["rise above the end (nats)"] == rise


def test_fine_tuned_barriers_are_shown_as_they_are_measured(chance):
    names = {"FGMT+FT": "tuned", "permuted source": "permuted", "source as it is": "plain"}
    frame = pd.DataFrame(
        {
            "from": "trained target",
            "to": end,
            "pair": pair,
            "barrier": chance.random(),
            "rise": chance.random(),
            "accuracy barrier": chance.random(),
        }
        for pair in PAIRS
        for end in names
    )
    found = measures.of_fine_tuned(frame)
    for row in tables.barriers(frame):
        name = names[row["to"]]
        shown = row["barrier of accuracy (points)"]
        assert row["barrier (nats)"] == mean_text(found[f"{name}-barrier"].values, 3)
        assert shown == percent(found[f"{name}-accuracy-barrier"].values)


def test_barriers_are_those_of_one_kind_of_segment():
    rows = [
        ("fgmt", "Source*", 1.0, 2.0, 0.1),
        ("fgmt", "trained target", 50.0, 50.0, 0.0),
        ("fgmt", "Source*", 3.0, 4.0, 0.3),
        ("oracle", "Source*", 70.0, 70.0, 0.0),
    ]
    frame = pd.DataFrame(rows, columns=["from", "to", "barrier", "rise", "accuracy barrier"])
    first, *_ = tables.barriers(frame)
    assert first == {
        "from": "fgmt",
        "to": "Source*",
        "barrier (nats)": "2.000 ± 1.414",
        "rise above the end (nats)": "3.000 ± 1.414",
        "barrier of accuracy (points)": "20.0 ± 14.1",
    }


def test_sweeps_are_shown_by_their_limit(chance):
    names = ("sweeps", "agreement", "accuracy", "peak")
    frame = pd.DataFrame(
        {LIMIT: limit, "pair": pair} | {name: chance.random() for name in names}
        for limit in (1, 100)
        for pair in PAIRS
    )
    few, many = tables.sweeps(frame, LIMIT)
    assert (few[LIMIT], many[LIMIT]) == (1, 100)
    (lost,) = (measure.values for measure in measures.of_sweeps(frame).values())
    means = [float(row["accuracy"].partition(" ± ")[0]) for row in (few, many)]
    assert means[1] - means[0] == pytest.approx(fmean(lost), abs=2e-3)
    for row in (few, many):
        mine = frame[frame[LIMIT] == row[LIMIT]]
        for name in names:
            assert row[name] == mean_text(mine[name].tolist(), 3)


def test_variants_are_shown_with_their_networks_and_what_each_method_reached(chance):
    frame = pd.DataFrame(
        {"varied": varied, "value": value, "pair": pair, "method": method, "movement": value}
        | {"source accuracy": value / 2, "target accuracy": 0.5, "accuracy": chance.random()}
        for varied, value in (("lr", 0.1), ("lr", 0.2), ("epochs", 1.0))
        for pair in PAIRS
        for method in ("naive", "fgmt")
    )
    table = tables.variants(frame)
    found = [(row["varied"], row["value"]) for row in table]
    assert found == [("lr", "0.1"), ("lr", "0.2"), ("epochs", "1")]
    for row in table:
        mine = frame[(frame["varied"] == row["varied"]) & (frame["value"] == float(row["value"]))]
        assert row["movement"] == mean_text([float(row["value"])] * 3, 2)
        assert row["source accuracy"] == percent([float(row["value"]) / 2] * 3)
        for method, reached in mine.groupby("method"):
            assert row[method] == percent(reached["accuracy"].tolist())


def test_accuracies_of_networks_are_shown_in_per_cent():
    assert tables.accuracies({"new network": 0.1234, "old network": 1.0}) == [
        {"": "new network", "accuracy (%)": "12.3"},
        {"": "old network", "accuracy (%)": "100.0"},
    ]


def test_costs_are_rounded_to_three_digits_and_counts_are_not():
    frame = pd.DataFrame([
        {"method": "gmt", "T": 1234, "GFLOP": 12.5252, "seconds": 0.0123456},
        {"method": "fgmt", "T": 2, "GFLOP": 1.0, "seconds": 1234.5},
    ])  # fmt: skip
    assert tables.rounded(frame) == [
        {"method": "gmt", "T": 1234, "GFLOP": "12.5", "seconds": "0.0123"},
        {"method": "fgmt", "T": 2, "GFLOP": "1", "seconds": "1.23e+03"},
    ]
