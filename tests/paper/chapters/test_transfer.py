"""The main job on real digits: the paper's comparison, by the criteria fixed for it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from statistics import fmean

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from trajtransfer.algorithms import METHODS
from trajtransfer.paper import measures, transfers
from trajtransfer.paper.chapters import transfer
from trajtransfer.paper.lab import Lab
from trajtransfer.paper.seeds import Seeds
from trajtransfer.paper.settings import setting

PAIRS = [Seeds(1, 2), Seeds(3, 4), Seeds(5, 6)]
TINY = setting("mnist5k-mlp", width=8, epochs=2, steps=2)


@pytest.fixture(scope="module")
def lab(home):
    return Lab(setting("mnist5k-mlp", width=512), "cpu")


@pytest.fixture(scope="module")
def steps(lab):
    return transfers.transfers(lab, list(METHODS), PAIRS)


@pytest.fixture(scope="module")
def standard(lab):
    return transfer.standard_training(lab, PAIRS)


def of(steps, **values):
    """The rows in which some columns have these values."""
    for column, value in values.items():
        steps = steps[steps[column] == value]
    return steps


def numbers(steps):
    """What a clock has no say in; nothing, where a method has no agreement, as NaN."""
    optional = dict.fromkeys(["agreement", "agreement_identity"], float)
    return pd.DataFrame(steps).drop(columns="seconds").astype(optional)


def test_the_paper_s_comparison_holds_on_5000_digits(steps):
    """2-MLP with 512 hidden units, three pairs.

    Near Oracle at the end, far above Naive at the first step, and all rise.
    """
    found = measures.of_transfer(measures.curves_of(steps))
    mean = {name: fmean(one.values) for name, one in found.items() if one.values}
    for method in ("gmt", "fgmt"):
        assert mean[f"{method}-final-minus-oracle"] >= -0.02
        assert mean[f"{method}-first-minus-naive"] >= 0.25
    for method in METHODS:
        assert len(found[f"{method}-rise"].values) == 3
        assert min(found[f"{method}-rise"].values) > 0


def test_rows_are_tidy_and_counted(steps):
    assert len(steps) == len(PAIRS) * len(METHODS) * 5
    assert set(of(steps, method="gmt")["gradient_pairs"]) == {1, 3, 6, 10, 15}
    for column in ("accuracy", "selection_accuracy"):
        assert steps[column].between(0, 1).all()
    for method in ("gmt", "fgmt"):
        mine = of(steps, method=method)
        assert (mine["agreement"] > mine["agreement_identity"]).all()
    assert of(steps, method="naive")[["agreement", "agreement_identity"]].isna().all(axis=None)


def test_pairs_follow_each_other_and_in_each_the_methods_and_in_each_the_steps(steps):
    found = list(zip(steps["pair"], steps["method"], steps["t"], strict=True))
    times = range(1, 6)
    assert found == [(str(pair), name, t) for pair in PAIRS for name in METHODS for t in times]


def test_work_is_counted_per_step(lab, steps):
    """GMT computes all gradients again at each step, FGMT those of one pair.

    What they cost is the same in every pair of seeds.
    """
    units = 512
    inputs = 784
    classes = 10
    batch = 2 * lab.setting.batch_size
    gradient = 2 * (2 * inputs * units + 3 * units * classes)
    gains = 2 * units * units * (inputs + 1 + classes)
    each = (batch * gradient + gains) / 1e9
    for pair in ("1-2", "3-4", "5-6"):
        mine = {method: of(steps, pair=pair, method=method) for method in METHODS}
        assert list(mine["gmt"]["samples"]) == [batch * t for t in (1, 2, 3, 4, 5)]
        assert list(mine["gmt"]["GFLOP"]) == pytest.approx([each * t for t in (1, 2, 3, 4, 5)])
        assert list(mine["fgmt"]["GFLOP"]) == pytest.approx([each] * 5)
        for method in ("oracle", "rebasin"):  # one matching of one pair, before the first step
            once = [gains / 1e9, 0, 0, 0, 0]
            assert list(mine[method]["GFLOP"]) == pytest.approx(once)
        assert (mine["naive"][["GFLOP", "samples"]] == 0).all(axis=None)


def test_the_cost_of_a_transfer_is_a_small_part_of_training_by_counted_work(lab, steps, standard):
    """Claim C13: the ratio of two counts, whatever the seconds are."""
    assert set(standard["samples"]) == {len(lab.task.train)}
    costs = measures.cost_of_transfers(steps, standard)
    share = costs.set_index("method")["share of training"]
    assert share["fgmt"] == pytest.approx(0.0442, abs=1e-4)
    assert share["gmt"] == pytest.approx(0.1327, abs=1e-4)
    busy = steps.assign(seconds=3 * steps["seconds"] + 1)
    again = measures.cost_of_transfers(busy, standard)
    assert list(again["share of training"]) == list(costs["share of training"])
    assert (again["seconds"] > costs["seconds"]).all()


def test_methods_that_were_not_run_have_no_cost():
    step = {"pair": "1-2", "samples": 4, "GFLOP": 1.0, "seconds": 0.5}
    epoch = {"pair": "1-2", "samples": 10, "GFLOP": 5.0}
    standard = pd.DataFrame([epoch | {"seconds": seconds} for seconds in (1.0, 9.0, 2.0)])
    steps = pd.DataFrame([step | {"method": method} for method in ("naive", "fgmt", "fgmt")])
    assert measures.cost_of_transfers(steps, standard).to_dict("records") == [
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


def test_rows_are_those_of_the_laboratory_also_in_a_thread(steps):
    """Followed anew by another laboratory: the same seeds, the same numbers."""
    other = Lab(setting("mnist5k-mlp", width=512), "cpu")

    def followed(method):
        return [row for _, row in other.follow(method, Seeds(3, 4))]

    with ThreadPoolExecutor(1) as lane:
        found = [row for rows in lane.map(followed, METHODS) for row in rows]
    kept = of(steps, pair="3-4").reset_index(drop=True)
    assert_frame_equal(numbers(found), numbers(kept).drop(columns="test_accuracy"))
    tested = kept.dropna(subset="test_accuracy")
    assert list(tested["method"]) == list(METHODS)
    best = kept.groupby("method", sort=False)["selection_accuracy"].max()
    assert list(tested["selection_accuracy"]) == list(best)


def test_what_was_made_is_read_back_in_every_column(lab, steps):
    again = transfers.transfers(Lab(lab.setting, "cpu"), list(METHODS), PAIRS)
    assert_frame_equal(again, steps)


def test_standard_training_is_the_history_of_the_targets(lab, standard):
    assert list(standard["pair"]) == [str(pair) for pair in PAIRS for _ in range(15)]
    history = [row for pair in PAIRS for row in lab.network(pair.target).history]
    for column in ("epoch", "accuracy", "seconds"):
        assert list(standard[column]) == [row[column] for row in history]
    operations = len(lab.task.train) * lab.sample_operations
    assert set(standard["GFLOP"]) == {operations / 1e9}


def test_landmarks_are_means_over_the_targets(standard):
    found = transfer.landmarks(standard)
    assert list(found) == [1, 4, 10, 15]
    for epoch, accuracy in found.items():
        assert accuracy == pytest.approx(fmean(of(standard, epoch=epoch)["accuracy"]))
    assert list(transfer.landmarks(standard[standard["epoch"] <= 6])) == [1, 4, 6]


def killed(method, after):
    """The steps of a method, until it was asked for so many transfers."""
    left = iter(range(after))

    def steps(*arguments):
        if next(left, None) is None:
            raise KeyboardInterrupt
        return method.steps(*arguments)

    return steps


def folders(project):
    """The units that are kept, by what they are called, and when they were written."""
    files = (project / "runs" / "tables").glob("transfer-*/table.json")
    return {path.parent.name: path.stat().st_mtime_ns for path in files}


def test_a_killed_list_of_transfers_goes_on_where_it_was(project, monkeypatch):
    """Nothing that was made is made again, and the numbers are those of an uninterrupted list."""
    lab = Lab(TINY, "cpu")
    whole = [row for pair in PAIRS for _, row in lab.follow("naive", pair)]
    naive = METHODS["naive"]
    with monkeypatch.context() as patch:
        patch.setitem(METHODS, "naive", naive._replace(steps=killed(naive, 2)))
        with pytest.raises(KeyboardInterrupt):
            transfers.transfers(Lab(TINY, "cpu"), ["naive"], PAIRS)
    made = folders(project)
    assert len(made) == 2
    with monkeypatch.context() as patch:
        patch.setitem(METHODS, "naive", naive._replace(steps=killed(naive, 1)))
        found = transfers.transfers(Lab(TINY, "cpu"), ["naive"], PAIRS)
    assert folders(project).items() > made.items()
    assert_frame_equal(numbers(found).drop(columns="test_accuracy"), numbers(whole))
