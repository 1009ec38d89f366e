"""What a transfer costs: work that no clock decides, and seconds whose parts are the whole."""

from __future__ import annotations

from dataclasses import replace
from functools import wraps
from types import SimpleNamespace

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from trajtransfer.paper import networks, tables
from trajtransfer.paper.chapters import cost
from trajtransfer.paper.chapters.cost import PARTS
from trajtransfer.paper.lab import Lab
from trajtransfer.paper.seeds import Seeds
from trajtransfer.paper.settings import setting

pytestmark = pytest.mark.usefixtures("home")  # one project for the module
TINY = setting("mnist5k-mlp", width=8, epochs=2, steps=3)
SHORTER = replace(TINY, recipe=replace(TINY.recipe, epochs=1))
PAIR = Seeds(1, 2)


@pytest.fixture
def lab():
    return Lab(TINY, "cpu")


class Clock:
    """Passes by itself, by `tick` per reading, and on request."""

    def __init__(self, tick=0.0):
        self.now = 0.0
        self.tick = tick

    def __call__(self):
        self.now += self.tick
        return self.now


def watched(monkeypatch, clock):
    monkeypatch.setattr(cost, "time", SimpleNamespace(process_time=clock))
    return clock


def slow_training(monkeypatch, clock, *seconds):
    """Every epoch of training takes the next so many seconds; how many images each was given."""
    lengths = []
    left = iter(seconds)

    def train(model, data, recipe, **options):
        while True:
            clock.now += next(left)
            lengths.append(len(data))
            yield None

    monkeypatch.setattr(cost, "train", train)
    return lengths


@pytest.mark.parametrize("method", ["gmt", "fgmt"])
@pytest.mark.parametrize("steps", [1, 4])
def test_parts_add_up_and_gradient_pairs_are_counted(method, steps):
    row = cost.transfer_cost(Lab(replace(TINY, steps=steps), "cpu"), method, PAIR)
    pairs = {"gmt": steps * (steps + 1) // 2, "fgmt": steps}
    assert row["gradient pairs"] == pairs[method]
    assert sum(row[f"seconds of {part}"] for part in PARTS) == pytest.approx(row["seconds"])
    assert all(row[f"seconds of {part}"] >= 0 for part in PARTS)
    assert row["sweeps"] == steps  # a single group of units needs one sweep per match
    about = (row["method"], row["network"], row["width"], row["T"])
    assert about == (method, "mlp", 8, steps)


@pytest.mark.parametrize(("method", "pairs"), [("gmt", 6), ("fgmt", 3)])
def test_every_gradient_pair_is_timed_alone(method, pairs, lab, monkeypatch):
    watched(monkeypatch, Clock(tick=1))
    row = cost.transfer_cost(lab, method, PAIR)
    assert row["seconds of gradients"] == pairs
    assert row["seconds"] == 2 * pairs + 1


@pytest.mark.parametrize(("method", "pairs"), [("gmt", 6), ("fgmt", 3)])
def test_the_work_of_a_perceptron_by_hand(method, pairs, lab):
    """Gradients: forward, and backward to all weights and to the hidden layer.

    Gains: each unit meets each, once per pair.
    """
    row = cost.transfer_cost(lab, method, PAIR)
    inputs = 784
    units = 8
    classes = 10
    gradient = 2 * (2 * inputs * units + 3 * units * classes)
    gains = 2 * units * units * (inputs + 1 + classes)
    samples = 2 * pairs * TINY.batch_size
    assert row["samples"] == samples
    assert row["GFLOP"] == pytest.approx((samples * gradient + pairs * gains) / 1e9, rel=1e-12)


def test_the_target_of_a_timed_transfer_is_not_trained(lab, monkeypatch):
    asked = []
    original = networks.network

    def network(chosen, seed, device):
        asked.append(seed)
        return original(chosen, seed, device)

    monkeypatch.setattr(networks, "network", network)
    cost.transfer_cost(lab, "fgmt", PAIR)
    assert asked == [1]


def test_an_epoch_is_the_median_of_three(lab, monkeypatch):
    clock = watched(monkeypatch, Clock())
    lengths = slow_training(monkeypatch, clock, 1.0, 5.0, 2.0)
    assert cost.epoch_seconds(lab, 2) == 2
    assert lengths == [len(lab.task.train)] * 3


def test_a_long_epoch_is_measured_on_a_hundred_batches(monkeypatch):
    clock = watched(monkeypatch, Clock())
    lengths = slow_training(monkeypatch, clock, 3.0, 3.0, 3.0)
    lab = Lab(replace(TINY, recipe=replace(TINY.recipe, batch_size=4)), "cpu")
    assert cost.epoch_seconds(lab, 2) == pytest.approx(3 * len(lab.task.train) / 400)
    assert lengths == [400] * 3


def test_rows_compare_with_training_in_full(project, lab, monkeypatch):
    monkeypatch.setattr(cost, "epoch_seconds", lambda *_: 3.0)
    rows = cost.costs([lab, Lab(SHORTER, "cpu")], [2, 3], PAIR)
    about = list(zip(rows["method"], rows["T"], strict=True))
    assert about == [("gmt", 2), ("fgmt", 2), ("gmt", 3), ("fgmt", 3)] * 2
    assert list(rows["seconds of training"]) == [6] * 4 + [3] * 4
    images = len(lab.task.train)
    assert list(rows["samples of training"]) == [2 * images] * 4 + [images] * 4
    shares = rows["GFLOP"] / rows["GFLOP of training"]
    assert list(rows["share of training"]) == list(shares)


def test_shares_do_not_hang_on_the_clock(tmp_path, lab, monkeypatch):
    """The same code on a machine that stands still now and then."""

    def found(tick):
        monkeypatch.setenv("TRAJTRANSFER_HOME", str(tmp_path / str(tick)))  # what is kept is kept
        watched(monkeypatch, Clock(tick))
        return cost.costs([Lab(TINY, "cpu")], [2, 3], PAIR)

    quiet = found(0.1)
    busy = found(7.0)
    assert list(quiet["share of training"]) == list(busy["share of training"])
    assert (quiet["seconds"] < busy["seconds"]).all()


def test_what_was_measured_is_read_back_in_every_column(lab, monkeypatch):
    labs = [lab, Lab(SHORTER, "cpu")]
    costs = cost.costs(labs, [2, 3], PAIR)
    precision = cost.precision(labs, 2)
    monkeypatch.setattr(networks, "train", None)
    monkeypatch.setattr(cost, "train", None)
    monkeypatch.setattr(cost, "time", None)
    again = [Lab(TINY, "cpu"), Lab(SHORTER, "cpu")]
    assert_frame_equal(cost.costs(again, [2, 3], PAIR), costs)
    assert_frame_equal(cost.precision(again, 2), precision)


def test_precision_compares_the_same_training_with_and_without_bfloat16(lab, monkeypatch):
    timed = []
    fast = lab.of(TINY.with_fast_training())
    monkeypatch.setattr(cost, "epoch_seconds", lambda lab, seed: timed.append(lab.setting) or 3.0)
    rows = [cost.speed_and_accuracy(chosen, 2) for chosen in (lab, fast)]
    assert timed == [lab.setting, fast.setting]
    assert [row["seconds of an epoch"] for row in rows] == [3, 3]
    for chosen, row in zip((lab, fast), rows, strict=True):
        assert row["accuracy"] == chosen.network(2).history[-1]["accuracy"]


def test_rows_of_precision_name_network_width_and_products(lab):
    rows = cost.precision([lab, Lab(SHORTER, "cpu")], 2)
    assert list(rows["products"]) == ["float32", "bfloat16"] * 2
    assert set(rows["network"]) == {"mlp"} and set(rows["width"]) == {8}
    assert rows["accuracy"][0] == lab.network(2).history[-1]["accuracy"]
    assert (rows["seconds of an epoch"] > 0).all()


def test_bfloat16_products_are_those_of_the_fast_setting(project, lab, monkeypatch):
    trained = []

    @wraps(cost.speed_and_accuracy)
    def spy(lab, seed):
        trained.append((lab.setting, seed))
        return {"seconds of an epoch": 3.0, "accuracy": 0.5}

    monkeypatch.setattr(cost, "speed_and_accuracy", spy)
    cost.precision([lab, Lab(SHORTER, "cpu")], 2)
    settings = [TINY, TINY.with_fast_training(), SHORTER, SHORTER.with_fast_training()]
    assert trained == [(chosen, 2) for chosen in settings]


def test_shares_and_rounding_by_hand():
    row = {
        "method": "gmt",
        "network": "mlp",
        "width": 8,
        "T": 2,
        "gradient pairs": 3,
        "sweeps": 2,
        "seconds": 4.0,
        "seconds of gradients": 3.0,
        "seconds of assignments": 0.04,
        "seconds of the rest": 0.96,
    }
    (found,) = cost.shares(pd.DataFrame([row])).to_dict("records")
    assert [found[part] for part in PARTS] == ["75%", "1%", "24%"]
    assert found["gradient pairs"] == 3 and "seconds" not in found
    (work,) = tables.rounded(pd.DataFrame([{"T": 1234, "GFLOP": 12.5252}]))
    assert work == {"T": 1234, "GFLOP": "12.5"}
    (time,) = tables.rounded(pd.DataFrame([{"T": 1234, "seconds": 0.0123456, "method": "gmt"}]))
    assert time == {"T": 1234, "seconds": "0.0123", "method": "gmt"}
