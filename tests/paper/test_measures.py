"""Laws of all measures, each of them by hand on a few rows, and those of the paper's own curves."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from statistics import fmean
from typing import NamedTuple

import pandas as pd
import pytest
from scipy.stats import spearmanr

from trajtransfer.landscape import Interpolation
from trajtransfer.objective import Score
from trajtransfer.paper import measures
from trajtransfer.paper.measures import Curve, Measures
from trajtransfer.paper.measures.reported import of_panel
from trajtransfer.paper.reported import panels

METHODS = ("naive", "oracle", "gmt", "fgmt")
KINDS = ("recorded", "linear, uniform", "linear, cosine")
RUNS = ("FGMT, part → all", "FGMT, part → part", "standard, all", "standard, part")
TASKS = ("CIFAR-10", "CIFAR-100", "Cars", "CUB")
LIMIT = "sweeps per match at most"
# Of these there is one value, however many pairs a run has; of all others one per what is counted.
SINGLE = ("fits", "largest of all", "matches", "ratios of means")
IMAGES = 500


def steps(method: str, pair: str, *accuracies: float, selection=(), **about) -> list[dict]:
    """The steps of one transfer."""
    common = about | {"method": method, "pair": pair}
    both = zip(accuracies, selection or accuracies, strict=True)
    return [
        common | {"t": t, "accuracy": accuracy, "selection_accuracy": chosen}
        for t, (accuracy, chosen) in enumerate(both, 1)
    ]


def training(method: str, pair: str, *accuracies: float, first: int = 0) -> list[dict]:
    """The epochs of one training."""
    common = {"method": method, "pair": pair}
    return [common | {"epoch": e, "accuracy": a} for e, a in enumerate(accuracies, first)]


def cosine(value: float, order: str = "permuted", **about) -> dict:
    common = {"network": "mlp", "width": 8, "start": "random", "data": "digits"}
    row = {"pair": "1-2", "iteration": 10} | common | about
    series = " ".join(str(row[name]) for name in common)
    return row | {"series": series, "order": order, "cosine": value}


def barrier(start: str, end: str, loss: float, accuracy: float = 0.0, pair: str = "1-2") -> dict:
    return {
        "from": start,
        "to": end,
        "pair": pair,
        "barrier": loss,
        "rise": 2 * loss,
        "accuracy barrier": accuracy,
    }


def values(found: Measures) -> dict[str, list[float]]:
    return {name: list(measure.values) for name, measure in found.items()}


def near(*expected: float):
    return pytest.approx(list(expected))


def curve(panel: str, label: str) -> dict:
    """A curve of the paper by its label."""
    (found,) = [c for c in panels()[panel]["curves"] if c["label"].lower() == label.lower()]
    return found


# Frames of so many pairs (or ensembles, networks, …), and how they are measured


class Case(NamedTuple):
    """How to make rows of so many units, and to measure them.

    Rows that share the columns `along` are one curve, whose own order tells something.
    """

    make: Callable[[int, random.Random], list[dict]]
    measure: Callable[[pd.DataFrame], Measures]
    along: tuple[str, ...] = ()


def pair_names(count: int) -> list[str]:
    return [f"{2 * number + 1}-{2 * number + 2}" for number in range(count)]


def transfers(count, chance):
    """Oracle is always better than Naive."""
    limits = {"naive": (0.0, 0.1), "oracle": (0.9, 1.0)}
    rows = []
    for pair in pair_names(count):
        for method in METHODS:
            low, high = limits.get(method, (0.1, 0.9))
            rows += steps(method, pair, *(chance.uniform(low, high) for _ in range(4)))
    return rows


def trajectories(count, chance):
    rows = []
    for kind in KINDS:
        for pair in pair_names(count):
            for method in ("naive", "gmt", "fgmt"):
                accuracies = (chance.random() for _ in range(4))
                rows += steps(method, pair, *accuracies, trajectory=kind)
    return rows


def trainings(count, chance):
    rows = []
    for method in ("standard", "naive", "fgmt"):
        for pair in pair_names(count):
            rows += training(method, pair, *(chance.random() for _ in range(4)))
    return rows


def generalizations(count, chance):
    return [
        row | {"gap": chance.random()}
        for method in RUNS
        for pair in pair_names(count)
        for row in training(method, pair, chance.random(), chance.random(), first=1)
    ]


def updates(count, chance):
    series = (
        {"width": 8},
        {"width": 16},
        {"network": "conv"},
        {"start": "clothes"},
        {"data": "clothes"},
    )
    return [
        cosine(chance.random(), order, pair=pair, iteration=iteration, **about)
        for about in series
        for pair in pair_names(count)
        for order in ("permuted", "identity", "random")
        for iteration in (10, 20)
    ]


def barriers(count, chance):
    return [
        barrier(method, end, chance.uniform(0.1, 1), pair=pair)
        for pair in pair_names(count)
        for method in METHODS
        for end in ("Source*", "trained target")
    ]


def tuned_barriers(count, chance):
    return [
        barrier("trained target", end, chance.random(), chance.random(), pair)
        for pair in pair_names(count)
        for end in ("FGMT+FT", "permuted source", "source as it is")
    ]


def limits(count, chance):
    return [
        {LIMIT: limit, "pair": pair, "accuracy": chance.random()}
        for limit in (1, 5, 100)
        for pair in pair_names(count)
    ]


def ensembles(count, chance):
    return [
        {"method": method, "group": group, "accuracy": chance.random()}
        for method in ("full", "short", "fgmt")
        for group in range(1, count + 1)
    ]


def changes(count, chance):
    return [
        {"permutation": number, "change": 1e-12 * chance.random(), "control": chance.random()}
        for number in range(1, count + 1)
    ]


def drifts(count, chance):
    return [
        {
            "method": method,
            "pair": pair,
            "s": t + 1,
            "t": t,
            "distance": chance.random(),
            "control": chance.uniform(1, 2),
            "relative": chance.random(),
            "gradient_cosine": chance.random(),
        }
        for method in ("gmt", "fgmt")
        for pair in pair_names(count)
        for t in (1, 2)
    ]


def trained(count, chance):
    names = ("source accuracy", "target accuracy", "movement", "cosine")
    return [
        {"pair": pair} | {name: chance.random() for name in names} for pair in pair_names(count)
    ]


def with_tests(count, chance):
    """One step of each transfer has a test accuracy."""
    rows = transfers(count, chance)
    return [row | {"test_accuracy": row["accuracy"] if row["t"] == 2 else None} for row in rows]


def variants(count, chance):
    """Each pair with a movement of its own in each variant, and both methods."""
    return [
        {"pair": pair, "method": method, "varied": "lr", "value": value}
        | {"movement": chance.random(), "accuracy": chance.random()}
        for pair in pair_names(count)
        for value in (0.1, 0.2, 0.3, 0.4)
        for method in ("naive", "fgmt")
    ]


def precisions(count, chance):
    return [
        {"network": "mlp", "width": 8 * width, "products": products, "accuracy": chance.random()}
        for width in range(1, count + 1)
        for products in ("float32", "bfloat16")
    ]


def costs(count, chance):
    return [
        {"method": method, "width": 8, "T": length, "share of training": chance.random()}
        for length in range(1, count + 1)
        for method in ("gmt", "fgmt")
    ]


def solutions(count, chance):
    return [
        {"number": number, "agreement": chance.uniform(0.5, 1), "accuracy": chance.random()}
        for number in range(1, count + 1)
    ]


CASES = {
    "transfers": Case(
        transfers,
        lambda frame: measures.of_transfer(measures.curves_of(frame), IMAGES),
        ("method", "pair"),
    ),
    "tests": Case(with_tests, lambda frame: measures.of_tests(frame, IMAGES), ("method", "pair")),
    "networks": Case(trained, lambda frame: measures.of_networks(frame, IMAGES)),
    "movement": Case(variants, measures.of_movement),
    "trajectories": Case(trajectories, measures.of_trajectories, ("trajectory", "method", "pair")),
    "training": Case(trainings, measures.of_training, ("method", "pair")),
    "generalization": Case(generalizations, measures.of_generalization),
    "updates": Case(updates, measures.of_updates),
    "effects": Case(updates, lambda frame: measures.of_effects(measures.effects(frame))),
    "basins": Case(barriers, measures.of_basins),
    "fine-tuned": Case(tuned_barriers, measures.of_fine_tuned),
    "sweeps": Case(limits, measures.of_sweeps),
    "restarts": Case(solutions, measures.of_restarts),
    "ensembles": Case(ensembles, measures.of_ensembles),
    "symmetry": Case(changes, measures.of_symmetry),
    "drift": Case(drifts, measures.of_drift),
    "precision": Case(precisions, measures.of_precision),
    "costs": Case(costs, measures.of_costs),
}
COUNTED = {
    "transfers": {"pairs"},
    "tests": {"pairs"},
    "networks": {"pairs"},
    "movement": {"pairs"},
    "trajectories": {"pairs"},
    "training": {"pairs"},
    "generalization": {"pairs"},
    "updates": {"pairs"},
    "effects": {"pairs"},
    "basins": {"pairs"},
    "fine-tuned": {"pairs"},
    "sweeps": {"pairs"},
    "restarts": {"matches"},
    "ensembles": {"ensembles"},
    "symmetry": {"permutations"},
    "drift": {"pairs"},
    "precision": {"networks"},
    "costs": {"networks and lengths", "largest of all"},
}
every_case = pytest.mark.parametrize("name", CASES)


def made(name: str, count: int = 3) -> pd.DataFrame:
    return pd.DataFrame(CASES[name].make(count, random.Random(count)))


def as_sets(found: Measures) -> dict:
    """Values in any order, and what else a measure says."""
    return {
        name: (
            pytest.approx(sorted(measure.values)),
            measure.counts,
            measure.text,
            pytest.approx(measure.error),
        )
        for name, measure in found.items()
    }


def sorted_values(found: Measures) -> dict:
    return {
        name: (sorted(measure.values), measure.counts, measure.text, measure.error)
        for name, measure in found.items()
    }


# Laws of all measures


@every_case
@pytest.mark.parametrize("count", [1, 2, 5])
def test_there_are_as_many_values_as_a_measure_says(name, count):
    found = CASES[name].measure(made(name, count))
    assert {measure.counts for measure in found.values()} == COUNTED[name]
    for measure in found.values():
        assert len(measure.values) == (1 if measure.counts in SINGLE else count)


@every_case
def test_values_are_plain_floats_whose_mean_can_be_quoted(name):
    for measure in CASES[name].measure(made(name)).values():
        assert all(type(value) is float and math.isfinite(value) for value in measure.values)
        mean = fmean(measure.values)
        quoted = measure.text.format(mean, points=100 * mean)
        assert any(sign.isdigit() for sign in quoted)


@every_case
def test_names_can_be_quoted_in_prose(name):
    for measure in CASES[name].measure(made(name)):
        assert set(measure) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")


@every_case
def test_measuring_changes_no_frame(name):
    frame = made(name)
    before = frame.copy(deep=True)
    CASES[name].measure(frame)
    pd.testing.assert_frame_equal(frame, before)


@every_case
def test_the_labels_of_rows_do_not_matter(name):
    """A frame that was cut out of another one keeps its labels, and joined ones repeat them."""
    frame = made(name)
    expected = values(CASES[name].measure(frame))
    for labels in (range(7, 7 + len(frame)), [0] * len(frame)):
        assert values(CASES[name].measure(frame.set_axis(list(labels)))) == expected


@every_case
@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_rows_does_not_matter(name, seed):
    """Curves are shuffled as a whole: the order of their own rows is that of steps or epochs."""
    case = CASES[name]
    frame = made(name, 4)
    keys = list(case.along)
    pieces = frame.groupby(keys or frame.index)
    curves = [mine for _, mine in pieces]
    random.Random(seed).shuffle(curves)
    shuffled = pd.concat(curves, ignore_index=True)
    assert sorted_values(case.measure(shuffled)) == as_sets(case.measure(frame))


def test_a_run_of_one_method_can_be_measured():
    """What it cannot tell has no value."""
    for name in ("transfers", "trajectories"):
        frame = made(name)
        assert CASES[name].measure(frame[frame["method"] == "gmt"])
    frame = made("training")
    assert CASES["training"].measure(frame[frame["method"] == "standard"])
    frame = made("ensembles")
    assert CASES["ensembles"].measure(frame[frame["method"] != "fgmt"])
    frame = made("drift")
    found = values(CASES["drift"].measure(frame[frame["method"] == "fgmt"]))
    assert len(found["fgmt-drift-over-step"]) == len(found["fgmt-gradient-cosine"]) == 3


@pytest.mark.parametrize("alone", METHODS)
def test_the_basin_of_one_method_can_be_measured(alone):
    frame = made("basins")
    found = values(measures.of_basins(frame[frame["from"] == alone]))
    assert len(found[f"{alone}-to-source"]) == len(found[f"{alone}-rise-to-target"]) == 3
    assert not [name for name in found if name.endswith("minus-oracle")]


# Transferred trajectories


def test_accuracy_by_movement_is_a_rank_correlation_of_different_runs():
    frame = made("movement")
    found = values(measures.of_movement(frame))
    for method, mine in frame.groupby("method"):
        expected = [
            spearmanr(one["movement"], one["accuracy"]).statistic
            for _, one in mine.groupby("pair", sort=False)
        ]
        assert found[f"{method}-by-movement"] == pytest.approx(expected)
    again = pd.concat([frame, frame.head(2), frame.head(2)])
    assert values(measures.of_movement(again)) == found
    still = frame.assign(accuracy=frame["accuracy"].where(frame["pair"] != frame["pair"][0], 0.1))
    assert values(measures.of_movement(still)) == {name: v[1:] for name, v in found.items()}


def test_a_curve_knows_its_first_last_and_chosen_step():
    found = Curve((0.2, 0.9, 0.6, 0.3), (0.1, 0.2, 0.8, 0.8))
    assert (found.first, found.final) == (0.2, 0.3)
    assert found.peak == 0.6
    assert found.drop == pytest.approx(0.3)
    assert Curve((0.2,), (0.2,)).drop == 0.0
    assert Curve((0.2, 0.5), (0.2, 0.5)).drop == pytest.approx(-0.3)


def test_curves_are_by_method_and_pair():
    rows = (
        steps("gmt", "1-2", 0.1, 0.2) + steps("naive", "1-2", 0.3) + steps("gmt", "3-4", 0.4, 0.5)
    )
    found = measures.curves_of(pd.DataFrame(rows))
    assert list(found) == ["gmt", "naive"]
    assert [one.accuracy for one in found["gmt"]] == [(0.1, 0.2), (0.4, 0.5)]
    assert found["naive"] == [Curve((0.3,), (0.3,), "1-2")]


def test_measures_of_transfers_by_hand():
    curves = {
        "fgmt": [Curve((0.4, 0.8, 0.7), (0.1, 0.9, 0.2)), Curve((0.5, 0.6, 0.9), (0.9, 0.1, 0.2))],
        "naive": [Curve((0.1, 0.2, 0.3), (0, 0, 1)), Curve((0.2, 0.0, 0.1), (0, 1, 0))],
    }
    found = values(measures.of_transfer(curves))
    assert found["fgmt-first"] == [0.4, 0.5]
    assert found["fgmt-final"] == [0.7, 0.9]
    assert found["fgmt-peak"] == [0.8, 0.5]
    assert found["fgmt-rise"] == near(0.3, 0.4)
    assert found["fgmt-fall"] == near(0.1, -0.4)
    assert found["fgmt-first-minus-naive"] == near(0.3, 0.3)
    assert found["fgmt-final-minus-naive"] == near(0.4, 0.8)
    assert found["fgmt-peak-minus-naive"] == near(0.5, 0.5)
    assert found["naive-peak-minus-fgmt"] == near(-0.5, -0.5)
    assert list(found) == sorted(found) and len(found) == 16


def test_the_share_of_the_way_from_naive_to_oracle_by_hand():
    def one(peak: float, pair: str) -> Curve:
        return Curve((peak,), (peak,), pair)

    curves = {
        "naive": [one(0.1, "1-2"), one(0.2, "3-4"), one(0.4, "5-6")],
        "oracle": [one(0.7, "3-4"), one(0.4, "5-6"), one(0.9, "1-2")],
        "gmt": [one(0.3, "1-2"), one(0.1, "3-4"), one(0.3, "5-6")],
    }
    found = measures.of_transfer(curves)
    # In the last pair there is no way to go.
    assert found["gmt-share-of-oracle"].values == near(0.25, -0.2)
    assert not [name for name in found if name.startswith(("naive-share", "oracle-share"))]


def test_finitely_many_images_leave_an_error_that_all_pairs_share():
    curves = {
        "fgmt": [Curve((0.4, 0.8), (0, 1)), Curve((0.6, 0.7), (0, 1))],
        "naive": [Curve((0.1, 0.2), (0, 1)), Curve((0.1, 0.4), (0, 1))],
    }
    found = measures.of_transfer(curves, images=100)
    assert found["fgmt-final"].error == pytest.approx(math.sqrt(0.75 * 0.25 / 100))
    both = math.sqrt((0.75 * 0.25 + 0.3 * 0.7) / 100)
    assert found["fgmt-final-minus-naive"].error == pytest.approx(both)
    assert not any(one.error for one in measures.of_transfer(curves).values())


def test_a_test_accuracy_is_that_of_the_chosen_step():
    rows = steps("gmt", "1-2", 0.1, 0.2) + steps("gmt", "3-4", 0.3, 0.4)
    for row, accuracy in zip(rows, (None, 0.25, 0.5, None), strict=True):
        row["test_accuracy"] = accuracy
    found = measures.of_tests(pd.DataFrame(rows), images=100)
    assert found["gmt-test"].values == (0.25, 0.5)
    assert found["gmt-test"].error == pytest.approx(math.sqrt(0.375 * 0.625 / 100))


def test_methods_of_different_numbers_of_pairs_are_not_compared():
    one = Curve((0.1,), (0.1,))
    with pytest.raises(ValueError, match="other pairs"):
        measures.of_transfer({"gmt": [one], "fgmt": [one, one]})


def test_what_linear_trajectories_gain_and_how_deep_curves_fall():
    rows = [
        *steps("gmt", "1-2", 0.2, 0.9, 0.3, trajectory="recorded"),
        *steps("gmt", "3-4", 0.1, 0.2, 0.4, trajectory="recorded"),
        *steps("gmt", "1-2", 0.5, 0.4, 0.8, trajectory="linear, uniform"),
        *steps("gmt", "3-4", 0.6, 0.3, 0.7, trajectory="linear, uniform"),
        *steps("gmt", "1-2", 0.5, 0.6, 0.9, trajectory="linear, cosine"),
        *steps("gmt", "3-4", 0.5, 0.6, 0.6, trajectory="linear, cosine"),
    ]
    measured = measures.of_trajectories(pd.DataFrame(rows), images=100)
    found = values(measured)
    assert found["gmt-linear-gain"] == near(0.5, 0.3)
    assert found["gmt-cosine-gain"] == near(0.1, -0.1)
    assert found["gmt-recorded-drop"] == near(0.6, -0.1)
    assert found["gmt-linear-drop"] == near(0.1, 0.3)
    assert found["gmt-excess-drop"] == near(0.5, -0.4)
    means = (0.5, 0.25, 0.55, 0.35)  # before and after the deepest falls, of either trajectory
    error = math.sqrt(sum(p * (1 - p) for p in means) / 100)
    assert measured["gmt-excess-drop"].error == pytest.approx(error)
    # Nothing is said of a method without rows.
    assert not any(name.startswith("fgmt") for name in found)


# Training that goes on, and ensembles


def reached(rows: list[dict]) -> dict[tuple, tuple]:
    """Epochs and epochs saved by method and share."""
    found = measures.epochs_to_reach(pd.DataFrame(rows)).to_dict("records")
    return {(row["method"], row["share"]): (row["epochs"], row["saved"]) for row in found}


def test_epochs_to_reach_by_hand():
    found = reached([
        *training("standard", "1-2", 0.0, 0.85, 0.95, 1.0),
        *training("fgmt", "1-2", 0.9, 0.96, 0.98, 0.99),
        *training("naive", "1-2", 0.1, 0.2, 0.3, 0.94),
    ])  # fmt: skip
    shares = (0.9, 0.95, 0.99)
    assert [found["standard", share] for share in shares] == [(2, 0), (2, 0), (3, 0)]
    assert [found["fgmt", share] for share in shares] == [(0, 2), (1, 1), (3, 0)]
    # 4: never in 3 epochs.
    assert [found["naive", share] for share in shares] == [(3, -1), (4, -2), (4, -1)]


def test_the_goal_is_that_of_the_same_pair():
    rows = [
        *training("standard", "1-2", 0.0, 0.5),
        *training("fgmt", "1-2", 0.5, 0.6),
        *training("standard", "3-4", 0.0, 1.0),
        *training("fgmt", "3-4", 0.5, 0.6),
    ]
    table = measures.epochs_to_reach(pd.DataFrame(rows))
    mine = table[(table["method"] == "fgmt") & (table["share"] == 0.9)]
    assert dict(zip(mine["pair"], mine["epochs"], strict=True)) == {"1-2": 0, "3-4": 2}
    found = values(measures.of_training(pd.DataFrame(rows)))
    assert found["fgmt-saved-90"] == [1, -1]
    assert found["fgmt-lead-over-standard"] == near(0.1, -0.4)


def test_epochs_are_counted_as_they_are_numbered():
    """The paper's curves have no epoch 0."""
    rows = training("standard", "1-2", 0.5, 1.0, first=1) + training(
        "gmt", "1-2", 1.0, 1.0, first=1
    )
    assert reached(rows)["gmt", 0.99] == (1, 1)


def test_leads_are_those_after_one_epoch():
    rows = [
        *training("standard", "1-2", 0.1, 0.4, 0.9),
        *training("naive", "1-2", 0.3, 0.5, 0.9),
        *training("gmt", "1-2", 0.8, 0.7, 0.9),
    ]
    found = values(measures.of_training(pd.DataFrame(rows)))
    assert found["gmt-lead-over-standard"] == near(0.3)
    assert found["gmt-lead-over-naive"] == near(0.2)
    assert found["naive-lead-over-standard"] == near(0.1)
    assert found["standard-lead-over-naive"] == near(-0.1)
    assert "naive-lead-over-naive" not in found
    assert found["gmt-saved-95"] == [0]


def test_what_is_left_to_save_is_what_standard_training_gains_after_its_first_epoch():
    rows = [
        *training("standard", "1-2", 0.1, 0.4, 0.9),
        *training("standard", "3-4", 0.1, 0.8, 0.7),
        *training("gmt", "3-4", 0.8, 0.7, 0.9),
        *training("gmt", "1-2", 0.8, 0.7, 0.9),
    ]
    found = measures.of_training(pd.DataFrame(rows), images=100)["standard-later-gain"]
    assert list(found.values) == near(0.5, -0.1)
    assert [found.error] == near(math.sqrt((0.8 * 0.2 + 0.6 * 0.4) / 100))


def test_generalisation_compares_the_last_epochs():
    runs = (*RUNS, "Naive, part → all")
    both = ((0.9, 0.05), (0.6, 0.25), (0.8, 0.2), (0.7, 0.3), (0.5, 0.0))  # accuracy and gap
    ends = dict(zip(runs, both, strict=True))
    rows = []
    for method, (accuracy, gap) in ends.items():
        about = {"method": method, "pair": "1-2"}
        rows.append(about | {"epoch": 2, "accuracy": accuracy, "gap": gap})
        rows.append(about | {"epoch": 1, "accuracy": 0.0, "gap": 0.0})
    found = measures.of_generalization(pd.DataFrame(rows), images=100)
    assert values(found) == {
        "all-minus-part": near(0.1),
        "accuracy-minus-fgmt-part": near(0.3),
        "gap-minus-fgmt-part": near(-0.2),
        "accuracy-minus-standard-all": near(0.1),
        "gap-minus-standard-all": near(-0.15),
        "accuracy-minus-standard-part": near(0.2),
        "gap-minus-standard-part": near(-0.25),
        "accuracy-minus-naive-all": near(0.4),
        "gap-minus-naive-all": near(0.05),
    }
    four = (0.9, 0.95, 0.6, 0.85)  # of both networks, on images of either kind
    error = math.sqrt(sum(p * (1 - p) for p in four) / 100)
    assert found["gap-minus-fgmt-part"].error == pytest.approx(error)


def test_ensembles_are_compared_within_their_group():
    rows = [("gmt", 2, 0.9), ("full", 1, 0.5), ("full", 2, 0.8), ("gmt", 1, 0.7)]
    frame = pd.DataFrame(rows, columns=["method", "group", "accuracy"])
    found = values(measures.of_ensembles(frame))
    assert {name: sorted(mine) for name, mine in found.items()} == {
        "gmt-minus-full": near(0.1, 0.2)
    }


# Updates and gradients up to a permutation


def test_only_the_end_of_the_widest_network_counts():
    """The end is the last fifth; the stronger control counts."""
    rows = [
        cosine(0.9, width=8, iteration=20),
        cosine(0.7, "identity", width=8, iteration=20),
        cosine(0.8, width=16, iteration=10),
        cosine(0.0, "identity", width=16, iteration=10),
        cosine(0.6, width=16, iteration=20),
        cosine(0.1, "identity", width=16, iteration=20),
        cosine(0.3, "random", width=16, iteration=20),
        cosine(0.4, width=16, iteration=18),
        cosine(0.2, "identity", width=16, iteration=18),
        cosine(0.0, "random", width=16, iteration=18),
    ]
    found = values(measures.of_updates(pd.DataFrame(rows)))
    expected = {"permuted": near(0.5), "identity": near(0.15), "excess": near(0.25)}
    assert found == expected


def excess(value: float, **about) -> list[dict]:
    """A cosine with controls, the larger of which is so far below."""
    return [
        cosine(value + 0.1, **about),
        cosine(0.1, "random", **about),
        cosine(-0.2, "identity", **about),
    ]


def test_effects_by_hand():
    """Two networks on two data sets from random weights, and one start of another kind."""
    rows = [
        *excess(0.9, iteration=10),
        *excess(0.7, iteration=20),
        *excess(0.2, data="clothes"),
        *excess(0.4, network="conv"),
        *excess(0.3, network="conv", data="clothes"),
        *excess(0.5, network="conv", data="clothes", start="digits"),
    ]
    twice = rows + [row | {"pair": "3-4"} for row in rows]
    found = measures.effects(pd.DataFrame(twice))
    assert list(found["pair"]) == ["1-2", "3-4"]
    assert list(found["network"]) == near(*[(0.4 + 0.1) / 2] * 2)
    assert list(found["start"]) == near(0.2, 0.2)
    assert list(found["data"]) == near(*[(0.6 + 0.1) / 2] * 2)
    apart = values(measures.of_effects(found))
    assert apart == {"network-minus-data": near(-0.1, -0.1), "start-minus-data": near(-0.15, -0.15)}


def test_there_is_no_effect_of_what_never_differs_alone():
    everything = excess(0.1, network="conv", start="digits", data="clothes")
    # Both are pre-trained: one kind of start.
    starts = [*excess(0.9, start="digits"), *excess(0.1, start="clothes")]
    for rows in ([*excess(0.9), *everything], starts):
        found = measures.effects(pd.DataFrame(rows))
        assert found[["network", "start", "data"]].isna().all(axis=None)
        assert not any(values(measures.of_effects(found)).values())


def test_an_effect_without_that_of_the_data_tells_nothing():
    found = measures.effects(pd.DataFrame([*excess(0.9), *excess(0.4, network="conv")]))
    assert list(found["network"]) == near(0.5) and found["data"].isna().all()
    assert values(measures.of_effects(found))["network-minus-data"] == []


def fit(condition: str, order: str, slope: float) -> dict:
    return {"condition": condition, "order": order, "slope": slope}


def test_slopes_and_the_ratio_of_widths_by_hand():
    """Each draw has a slope: of a power law it is the power, over all widths or over the upper."""
    rows = [
        {"condition": "labels", "order": "matched", "width": width, "draw": draw}
        | {"distance": width**-0.5 if width < 32 else 32**-0.5 * (width / 32) ** slope}
        for draw, slope in ((1, -0.25), (2, 0.0))
        for width in (8, 16, 32, 64, 128)
    ]
    rows += [row | {"order": "identity", "distance": 9.0} for row in rows]
    fits = [
        fit("labels", "matched", 7.0),
        fit("labels", "identity", -0.1),
        fit("shuffled labels", "matched", -0.2),
        fit("He scale", "matched", -0.3),
    ]
    distances = pd.DataFrame(rows)
    found = values(measures.of_distances(distances, pd.DataFrame(fits)))
    assert found["slope-wide"] == near(-0.25, 0.0)
    assert -0.5 < found["slope"][0] < -0.25 and found["slope"][0] < found["slope"][1] < 0
    together = [found[f"slope-{name}"] for name in ("identity", "shuffled", "he")]
    assert together == [[-0.1], [-0.2], [-0.3]]
    wide = fmean([32**-0.5 * 4**-0.25, 32**-0.5])
    assert found["ratio"] == near(wide / 8**-0.5)


def test_drift_by_hand():
    columns = ["method", "pair", "s", "t", "distance", "control", "relative", "gradient_cosine"]
    rows = [
        ("gmt", "1-2", 2, 1, 1.0, 4.0, 0.5, 0.9),
        ("gmt", "1-2", 3, 1, 3.0, 4.0, 0.25, 0.8),
        ("gmt", "3-4", 2, 1, 1.0, 1.0, 0.5, 0.5),
        ("fgmt", "1-2", 2, 1, 1.0, 2.0, 0.75, 0.1),
    ]
    assert values(measures.of_drift(pd.DataFrame(rows, columns=columns))) == {
        "gmt-drift-over-control": near(0.5, 1.0),
        "gmt-drift-over-step": near(0.375, 0.5),
        "gmt-gradient-cosine": near(0.85, 0.5),
        "fgmt-drift-over-control": near(0.5),
        "fgmt-drift-over-step": near(0.75),
        "fgmt-gradient-cosine": near(0.1),
    }


# The loss landscape


def test_barriers_and_rises_are_by_method_and_end():
    rows = [
        barrier("fgmt", "Source*", 0.1),
        barrier("fgmt", "trained target", 0.5),
        barrier("fgmt", "Source*", 0.3, pair="3-4"),
        barrier("fgmt", "trained target", 0.6, pair="3-4"),
        barrier("oracle", "Source*", 0.7),
        barrier("oracle", "trained target", 0.2, pair="3-4"),
        barrier("oracle", "trained target", 0.1),
    ]
    assert values(measures.of_basins(pd.DataFrame(rows))) == {
        "fgmt-to-source": [0.1, 0.3],
        "fgmt-rise-to-source": [0.2, 0.6],
        "fgmt-to-target": [0.5, 0.6],
        "fgmt-rise-to-target": [1.0, 1.2],
        "oracle-to-source": [0.7],
        "oracle-rise-to-source": [1.4],
        "oracle-to-target": [0.2, 0.1],
        "oracle-rise-to-target": [0.4, 0.2],
        "fgmt-rise-minus-oracle": near(0.8, 0.8),
    }


def test_barriers_after_fine_tuning_are_by_what_lies_at_the_end():
    rows = [
        barrier("trained target", "FGMT+FT", 0.1, 0.01),
        barrier("trained target", "permuted source", 0.2, 0.02),
        barrier("trained target", "source as it is", 0.3, 0.03),
        barrier("trained target", "FGMT+FT", 0.4, 0.04),
    ]
    assert values(measures.of_fine_tuned(pd.DataFrame(rows))) == {
        "tuned-barrier": [0.1, 0.4],
        "tuned-accuracy-barrier": [0.01, 0.04],
        "permuted-barrier": [0.2],
        "permuted-accuracy-barrier": [0.02],
        "plain-barrier": [0.3],
        "plain-accuracy-barrier": [0.03],
    }


def profile(*losses: float) -> Interpolation:
    return Interpolation((0, 0.5, 1), tuple(Score(loss, 0.0) for loss in losses))


def test_matching_is_measured_by_the_barriers_before_and_after():
    profiles = {
        "as trained": profile(0.0, 1.0, 0.0),
        "matched": profile(0.0, 0.25, 0.0),
        "random order": profile(0.0, 9.0, 0.0),
    }
    found = measures.of_matching(profiles)
    assert values(found) == {"barrier-before": [1.0], "barrier-after": [0.25]}
    assert {measure.counts for measure in found.values()} == {"pairs"}


def test_symmetry_by_hand():
    found = values(measures.of_symmetry(made("symmetry", 2)))
    frame = made("symmetry", 2)
    assert found["largest-change"] == list(frame["change"])
    assert found["control-change"] == list(frame["control"])


def test_accuracies_are_named_after_their_networks():
    found = measures.of_accuracies({"source, trained": 0.5, "new network": 0.25}, "pocket-")
    assert values(found) == {"pocket-source-trained": [0.5], "pocket-new-network": [0.25]}
    assert {measure.counts for measure in found.values()} == {"networks"}
    assert list(measures.of_accuracies({"old network, fine-tuned": 1.0})) == [
        "old-network-fine-tuned"
    ]


# Costs, and how much coordinate descent is needed


def work(method: str, samples: int, operations: float, pair: str = "1-2", **more) -> dict:
    common = {"pair": pair, "method": method, "samples": samples, "GFLOP": operations}
    return common | {"seconds": 0.5} | more


def epochs(*seconds: float, pair: str = "1-2") -> list[dict]:
    return [{"pair": pair, "samples": 10, "GFLOP": 5.0, "seconds": s} for s in seconds]


def test_methods_that_were_not_run_have_no_cost():
    rows = [work(method, 4, 1.0) for method in ("naive", "fgmt", "fgmt")]
    steps = pd.DataFrame(rows)
    standard = pd.DataFrame(epochs(1.0, 9.0, 2.0))
    found = measures.cost_of_transfers(steps, standard)
    assert found.to_dict("records") == [
        {
            "method": "fgmt",
            "samples": 8,
            "GFLOP": 2.0,
            "seconds": 1.0,
            "samples of training": 30,
            "GFLOP of training": 15.0,
            "seconds of training": 6.0,
            "share of training": pytest.approx(2 / 15),
        }
    ]
    assert values(measures.of_transfer_costs(steps, standard)) == {"fgmt-cost": near(2 / 15)}


def test_work_is_the_mean_over_pairs():
    rows = [
        work("gmt", 4, 1.0, assignments=2),
        work("gmt", 6, 2.0, assignments=3),
        work("gmt", 2, 3.0, pair="3-4", assignments=4),
    ]
    standard = epochs(1.0, 1.0) + epochs(1.0, 1.0, pair="3-4")
    frames = pd.DataFrame(rows), pd.DataFrame(standard)
    (found,) = measures.cost_of_transfers(*frames).to_dict("records")
    assert (found["samples"], found["GFLOP"], found["assignments"]) == (6, 3.0, 4.5)
    assert (found["samples of training"], found["GFLOP of training"]) == (20, 10.0)
    assert found["seconds"] == 0.75 and found["seconds of training"] == 2.0
    assert found["share of training"] == pytest.approx(0.3)
    assert values(measures.of_transfer_costs(*frames)) == {"gmt-cost": near(0.3, 0.3)}


def test_a_busy_machine_costs_seconds_and_no_share():
    rows = pd.DataFrame([work("gmt", 4, 1.0), work("fgmt", 2, 0.5)])
    standard = pd.DataFrame(epochs(1.0, 9.0, 2.0))
    later = rows.assign(seconds=3 * rows["seconds"] + 1)
    quiet, busy = (measures.of_transfer_costs(frame, standard) for frame in (rows, later))
    assert values(busy) == values(quiet)
    before, after = (measures.cost_of_transfers(frame, standard) for frame in (rows, later))
    assert (after["seconds"] > before["seconds"]).all()


def test_shares_of_networks_and_lengths_and_the_largest():
    columns = ["method", "share of training"]
    frame = pd.DataFrame([("gmt", 0.2), ("fgmt", 0.1), ("gmt", 0.4)], columns=columns)
    assert values(measures.of_costs(frame)) == {
        "gmt-largest-share": [0.4],
        "gmt-share": [0.2, 0.4],
        "fgmt-largest-share": [0.1],
        "fgmt-share": [0.1],
    }


def test_what_products_in_bfloat16_change_is_by_network():
    columns = ["network", "width", "products", "accuracy"]
    rows = [
        ("mlp", 8, "float32", 0.5),
        ("mlp", 8, "bfloat16", 0.75),
        ("mlp", 16, "bfloat16", 0.25),
        ("mlp", 16, "float32", 0.5),
    ]
    found = measures.of_precision(pd.DataFrame(rows, columns=columns))
    assert values(found) == {"bfloat16-minus-float32": [0.25, -0.25]}


def test_the_loss_of_few_sweeps_by_hand():
    rows = [
        (1, "1-2", 0.5),
        (5, "1-2", 0.6),
        (100, "1-2", 0.75),
        (100, "3-4", 0.4),
        (1, "3-4", 0.5),
    ]
    frame = pd.DataFrame(rows, columns=[LIMIT, "pair", "accuracy"])
    assert values(measures.of_sweeps(frame)) == {"one-sweep-loss": near(0.25, -0.1)}
    # A single limit loses nothing.
    assert values(measures.of_sweeps(frame[:1])) == {"one-sweep-loss": [0]}


def test_optima_lie_as_far_apart_as_the_best_and_the_worst():
    columns = ["agreement", "accuracy"]
    frame = pd.DataFrame([(0.8, 0.5), (0.6, 0.9), (0.7, 0.4)], columns=columns)
    assert values(measures.of_restarts(frame)) == {
        "spread-of-objective": near(0.25),
        "spread-of-accuracy": near(0.5),
    }


# The paper's own curves, by the same functions


def paper_updates(panel: str) -> Measures:
    rows = []
    for found in panels()[panel]["curves"]:
        _, width, order = found["label"].split()
        for x, y in zip(found["x"], found["mean"], strict=True):
            rows.append(cosine(y, order, width=int(width), iteration=x))
    return measures.of_updates(pd.DataFrame(rows))


def paper_trajectories(panel: str) -> Measures:
    kinds = {"linear": "linear, uniform", "actual": "recorded"}
    rows = []
    for found in panels()[panel]["curves"]:
        accuracies = [y / 100 for y in found["mean"]]
        rows += steps("gmt", "mean", *accuracies, trajectory=kinds[found["label"].lower()])
    return measures.of_trajectories(pd.DataFrame(rows))


def paper_transfers(panel: str) -> Measures:
    rows = []
    for found in panels()[panel]["curves"]:
        rows += steps(found["label"].lower(), "mean", *(y / 100 for y in found["mean"]))
    return measures.of_transfer(measures.curves_of(pd.DataFrame(rows)))


def paper_training(panel: str) -> Measures:
    rows = []
    for found in panels()[panel]["curves"]:
        method = found["label"].lower().removesuffix(" training")
        accuracies = (y / 100 for y in found["mean"])
        rows += training(method, "mean", *accuracies, first=found["x"][0])
    return measures.of_training(pd.DataFrame(rows))


@pytest.mark.parametrize(
    ("panel", "measured"),
    [
        ("3a", paper_updates),
        ("4", paper_trajectories),
        *((f"5{letter}", paper_transfers) for letter in "abcdef"),
        *((f"6{letter}", paper_training) for letter in "abcd"),
    ],
)
def test_the_paper_s_curves_are_measured_as_ours(panel, measured):
    assert of_panel(panel) == measured(panel)


@pytest.mark.parametrize(
    "panel", ["3a", "4", *(f"5{x}" for x in "abcdef"), *(f"6{x}" for x in "abcd"), "8a", "8b"]
)
def test_the_paper_s_means_are_one_value_each(panel):
    for measure in of_panel(panel).values():
        (value,) = measure.values
        assert math.isfinite(value) and measure.counts == "pairs"


def test_the_paper_s_cosines_are_those_of_its_widest_network():
    found = values(of_panel("3a"))
    permuted, identity = (curve("3a", f"width 128 {x}") for x in ("permuted", "identity"))
    end = [place for place, x in enumerate(permuted["x"]) if x > 0.8 * permuted["x"][-1]]
    means = [fmean(one["mean"][place] for place in end) for one in (permuted, identity)]
    assert found["permuted"] == near(means[0]) and found["identity"] == near(means[1])
    assert found["excess"] == near(means[0] - means[1])


def test_the_paper_s_linear_trajectory_gains():
    found = values(of_panel("4"))
    linear = curve("4", "linear")["mean"]
    actual = curve("4", "actual")["mean"]
    assert found["gmt-linear-gain"] == near((linear[-1] - actual[-1]) / 100)
    deepest = [max(y[i] - y[i + 1] for i in range(59)) / 100 for y in (actual, linear)]
    assert found["gmt-recorded-drop"] == near(deepest[0])
    assert found["gmt-linear-drop"] == near(deepest[1])


@pytest.mark.parametrize("panel", [f"5{letter}" for letter in "abcdef"])
def test_the_paper_s_transfers(panel):
    """The paper chooses the step on the validation split."""
    found = values(of_panel(panel))
    naive = curve(panel, "naive")["mean"]
    for method in ("gmt", "fgmt"):
        ours = curve(panel, method)["mean"]
        assert found[f"{method}-fall"] == near((max(ours) - ours[-1]) / 100)
        assert found[f"{method}-first-minus-naive"] == near((ours[0] - naive[0]) / 100)
        best = max(curve(panel, "oracle")["mean"])
        share = (max(ours) - max(naive)) / (best - max(naive))
        assert found[f"{method}-share-of-oracle"] == (near(share) if best > max(naive) else [])


@pytest.mark.parametrize("panel", ["6a", "6b", "6c", "6d"])
def test_the_paper_s_epochs(panel):
    found = values(of_panel(panel))
    standard = curve(panel, "standard training")
    for method in ("gmt", "fgmt", "oracle", "naive"):
        ours = curve(panel, method)
        lead = (ours["mean"][0] - standard["mean"][0]) / 100
        assert found[f"{method}-lead-over-standard"] == near(lead)
        for share in (90, 95, 99):
            goal = share / 100 * standard["mean"][-1]
            needed = []
            for one in (ours, standard):
                points = zip(one["x"], one["mean"], strict=True)
                needed.append(min(x for x, y in points if y >= goal))
            assert found[f"{method}-saved-{share}"] == [needed[1] - needed[0]]


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
    found = values(of_panel(panel))
    for what in ("accuracy", "gap"):
        ours, other = (
            curve(f"{panel}-{what}", name)["mean"][-1]
            for name in ("FGMT (ImageNet-10% -> ImageNet-full)", label)
        )
        assert found[f"{what}-minus-{short}"] == near((ours - other) / 100)


@pytest.mark.parametrize("task", TASKS)
def test_the_paper_s_ensembles(task):
    found = of_panel(f"ensemble {task}")
    table = panels()["ensemble-table"][task]
    for name in ("GMT", "FGMT"):
        apart = (table[name][0] - table["Full"][0]) / 100
        assert list(found[f"{name.lower()}-minus-full"].values) == near(apart)
    assert {measure.counts for measure in found.values()} == {"ensembles"}


@pytest.mark.parametrize(
    ("panel", "name"),
    [
        ("3a", "updates"),
        ("4", "trajectories"),
        ("5f", "transfers"),
        ("6b", "training"),
        ("8a", "generalization"),
        ("ensemble CUB", "ensembles"),
    ],
)
def test_the_paper_s_measures_have_the_names_of_ours(panel, name):
    """So that a claim compares what means the same thing."""
    ours = CASES[name].measure(made(name))
    common = of_panel(panel).keys() & ours.keys()
    assert common
    for measure in common:
        assert of_panel(panel)[measure].counts == ours[measure].counts
        assert of_panel(panel)[measure].text == ours[measure].text
