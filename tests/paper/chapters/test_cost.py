"""What a transfer costs: counted work that no clock decides, and seconds whose parts are the whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace

import pytest

from trajtransfer.paper import networks
from trajtransfer.paper.chapters import cost
from trajtransfer.paper.settings import setting

pytestmark = pytest.mark.usefixtures("home")  # one project for the module
TINY = setting("mnist5k-mlp", width=8, epochs=2, steps=3)
PARTS = ("gradients", "assignments", "the rest")


class Clock:
    """Passes by itself, by `tick` per reading, and on request."""

    def __init__(self, tick: float = 0.0):
        self.now, self.tick = 0.0, tick

    def __call__(self) -> float:
        self.now += self.tick
        return self.now


def watched(monkeypatch, clock: Clock) -> Clock:
    monkeypatch.setattr(cost, "time", SimpleNamespace(process_time=clock))
    return clock


def slow_training(monkeypatch, clock: Clock, seconds: Iterator[float]) -> list[int]:
    """Every epoch of training takes the next so many seconds; how many images each was given."""
    lengths = []

    def train(model, data, recipe, **kwargs):
        while True:
            clock.now += next(seconds)
            lengths.append(len(data))
            yield None

    monkeypatch.setattr(cost, "train", train)
    return lengths


@pytest.mark.parametrize("method", ["gmt", "fgmt"])
@pytest.mark.parametrize("steps", [1, 4])
def test_parts_add_up_and_gradient_pairs_are_counted(method, steps):
    row = cost.transfer_cost(replace(TINY, steps=steps), method, (1, 2), "cpu")
    assert row["gradient pairs"] == (steps * (steps + 1) // 2 if method == "gmt" else steps)
    assert sum(row[f"seconds of {part}"] for part in PARTS) == pytest.approx(row["seconds"])
    assert all(row[f"seconds of {part}"] >= 0 for part in PARTS)
    assert row["sweeps"] == steps  # a single group of units needs one sweep per match
    assert (row["method"], row["network"], row["width"], row["T"]) == (method, "mlp", 8, steps)


@pytest.mark.parametrize(("method", "pairs"), [("gmt", 6), ("fgmt", 3)])
def test_every_gradient_pair_is_timed_alone(method, pairs, monkeypatch):
    watched(monkeypatch, Clock(tick=1))
    row = cost.transfer_cost(TINY, method, (1, 2), "cpu")
    assert row["seconds of gradients"] == pairs and row["seconds"] == 2 * pairs + 1


@pytest.mark.parametrize(("method", "pairs"), [("gmt", 6), ("fgmt", 3)])
def test_the_work_of_a_perceptron_by_hand(method, pairs):
    """Gradients: forward, and backward to all weights and to the hidden layer. Gains: each unit meets each, once per pair."""
    row = cost.transfer_cost(TINY, method, (1, 2), "cpu")
    inputs, units, classes = 784, 8, 10
    gradient = 2 * (2 * inputs * units + 3 * units * classes)
    gains = 2 * units * units * (inputs + 1 + classes)
    samples = 2 * pairs * TINY.batch_size
    assert row["samples"] == samples
    assert row["GFLOP"] == pytest.approx((samples * gradient + pairs * gains) / 1e9, rel=1e-12)


def test_an_epoch_is_the_median_of_three(monkeypatch):
    clock = watched(monkeypatch, Clock())
    lengths = slow_training(monkeypatch, clock, iter((1.0, 5.0, 2.0)))
    assert cost.epoch_seconds(TINY, 2, "cpu") == 2
    assert lengths == [len(networks.task_of(TINY).train)] * 3


def test_a_long_epoch_is_measured_on_a_hundred_batches(monkeypatch):
    clock = watched(monkeypatch, Clock())
    lengths = slow_training(monkeypatch, clock, iter((3.0, 3.0, 3.0)))
    small = replace(TINY, recipe=replace(TINY.recipe, batch_size=4))
    assert cost.epoch_seconds(small, 2, "cpu") == pytest.approx(3 * len(networks.task_of(TINY).train) / 400)
    assert lengths == [400] * 3


def test_rows_compare_with_training_in_full(monkeypatch):
    monkeypatch.setattr(cost, "epoch_seconds", lambda *a: 3.0)
    shorter = replace(TINY, recipe=replace(TINY.recipe, epochs=1))
    rows = cost.cost_rows([TINY, shorter], [2, 3], (1, 2), "cpu")
    assert [(row["method"], row["T"]) for row in rows] == [("gmt", 2), ("fgmt", 2), ("gmt", 3), ("fgmt", 3)] * 2
    assert [row["seconds of training"] for row in rows] == [6] * 4 + [3] * 4
    images = len(networks.task_of(TINY).train)
    assert [row["samples of training"] for row in rows] == [2 * images] * 4 + [images] * 4
    assert all(row["share of training"] == row["GFLOP"] / row["GFLOP of training"] for row in rows)


def test_shares_do_not_hang_on_the_clock(monkeypatch):
    """The same code on a machine that stands still now and then."""

    def found(tick: float) -> tuple[list[float], list[float]]:
        watched(monkeypatch, Clock(tick))
        rows = cost.cost_rows([TINY], [2, 3], (1, 2), "cpu")
        return [row["share of training"] for row in rows], [row["seconds"] for row in rows]

    (quiet, fast), (busy, slow) = found(0.1), found(7.0)
    assert quiet == busy and all(a < b for a, b in zip(fast, slow, strict=True))


def test_shares_and_rounding_by_hand():
    row = {"method": "gmt", "network": "mlp", "width": 8, "T": 2, "gradient pairs": 3, "sweeps": 2, "seconds": 4.0,
           "seconds of gradients": 3.0, "seconds of assignments": 0.04, "seconds of the rest": 0.96}  # fmt: skip
    (found,) = cost.shares([row])
    assert [found[part] for part in PARTS] == ["75%", "1%", "24%"] and found["gradient pairs"] == 3 and "seconds" not in found
    assert cost.rounded({"T": 1234, "GFLOP": 12.5252}) == {"T": 1234, "GFLOP": "12.5"}
    assert cost.rounded({"T": 1234, "seconds": 0.0123456, "method": "gmt"}) == {"T": 1234, "seconds": "0.0123", "method": "gmt"}
