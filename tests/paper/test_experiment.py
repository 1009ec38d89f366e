"""The main job on real digits: the paper's comparison, by the criteria fixed for it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from statistics import fmean

import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from trajtransfer.algorithms import METHODS
from trajtransfer.objective import gradient
from trajtransfer.paper import experiment, measures, networks, work
from trajtransfer.paper.datasets.tasks import load_task
from trajtransfer.paper.settings import setting
from trajtransfer.params import parameters


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRAJTRANSFER_HOME", str(tmp_path_factory.mktemp("project")))
        networks.task.cache_clear()
        yield experiment.transfer_pairs(setting("mnist5k-mlp"), [(1, 2), (3, 4), (5, 6)], METHODS, "cpu")


def test_the_paper_s_comparison_holds_on_5000_digits(rows):
    """2-MLP with 1024 hidden units, three pairs: near Oracle at the end, far above Naive at the first step, all rise."""
    found = measures.transfer_measures(measures.curves_of(rows))
    mean = {name: fmean(values) for name, values in found.items() if values}
    for method in ("gmt", "fgmt"):
        assert mean[f"{method}-final-minus-oracle"] >= -0.02
        assert mean[f"{method}-first-minus-naive"] >= 0.25
    assert all(min(found[f"{method}-rise"]) > 0 for method in METHODS)


def test_rows_are_tidy_and_counted(rows):
    assert len(rows) == 3 * 5 * 5
    assert {row["gradient_pairs"] for row in rows if row["method"] == "gmt"} == {1, 3, 6, 10, 15}
    assert all(0 <= row[c] <= 1 for row in rows for c in ("accuracy", "selection_accuracy"))
    assert all(row["agreement"] > row["agreement_identity"] for row in rows if row["method"] in ("gmt", "fgmt"))


def test_work_is_counted_per_step(rows):
    """GMT computes all gradients again at each step, FGMT those of one pair; what they cost is the same in every pair."""
    chosen, units, inputs, classes = setting("mnist5k-mlp"), 1024, 784, 10
    gradient = 2 * (2 * inputs * units + 3 * units * classes)
    gains = 2 * units * units * (inputs + 1 + classes)
    each = (2 * chosen.batch_size * gradient + gains) / 1e9
    for pair in ("1-2", "3-4", "5-6"):
        mine = {m: [r for r in rows if (r["pair"], r["method"]) == (pair, m)] for m in METHODS}
        assert [row["samples"] for row in mine["gmt"]] == [2 * chosen.batch_size * t for t in (1, 2, 3, 4, 5)]
        assert [row["GFLOP"] for row in mine["gmt"]] == pytest.approx([each * t for t in (1, 2, 3, 4, 5)])
        assert [row["GFLOP"] for row in mine["fgmt"]] == pytest.approx([each] * 5)
        for method in ("oracle", "rebasin"):  # one matching of one pair, before the first step
            assert [row["GFLOP"] for row in mine[method]] == pytest.approx([gains / 1e9, 0, 0, 0, 0])
        assert all(row["GFLOP"] == row["samples"] == 0 for row in mine["naive"])


def test_the_cost_of_a_transfer_is_a_small_part_of_training_by_counted_work(rows):
    """Claim C13: the ratio of two counts, whatever the seconds are."""
    pairs = [(1, 2), (3, 4), (5, 6)]
    standard = experiment.standard_training(setting("mnist5k-mlp"), pairs, "cpu")
    assert {row["samples"] for row in standard} == {len(networks.task_of(setting("mnist5k-mlp")).train)}
    costs = experiment.cost_rows(rows, standard)
    share = {row["method"]: row["share of training"] for row in costs}
    assert share["fgmt"] == pytest.approx(0.0663, abs=1e-4) and share["gmt"] == pytest.approx(0.1989, abs=1e-4)
    busy = [row | {"seconds": 3 * row["seconds"] + 1} for row in rows]
    again = experiment.cost_rows(busy, standard)
    assert [row["share of training"] for row in again] == [row["share of training"] for row in costs]
    assert all(slow["seconds"] > fast["seconds"] for slow, fast in zip(again, costs, strict=True))


def test_methods_that_were_not_run_have_no_cost():
    step = {"pair": "1-2", "samples": 4, "GFLOP": 1.0, "seconds": 0.5}
    epochs = [{"pair": "1-2", "samples": 10, "GFLOP": 5.0, "seconds": s} for s in (1.0, 9.0, 2.0)]
    rows = [step | {"method": method} for method in ("naive", "fgmt", "fgmt")]
    assert experiment.cost_rows(rows, epochs) == [
        {
            "method": "fgmt", "samples": 8, "GFLOP": 2.0, "seconds": 1.0,
            "samples of training": 30, "GFLOP of training": 15.0, "seconds of training": 6.0,
            "share of training": pytest.approx(2 / 15),
        }
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["mnist5k-mlp", "mnist5k-conv8-small", "mnist5k-resnet18-tiny"])
def test_operations_are_those_that_pytorch_counts(name, project):
    """Products and convolutions, forward and backward, and as many for each sample."""
    chosen = setting(name)
    model = networks.initialised(chosen, 1)
    examples = networks.task_of(chosen).train.subset(torch.arange(6)).tensors()
    with FlopCounterMode(display=False) as counted:
        gradient(model, parameters(model), examples)
    assert 6 * work.sample_operations(chosen, model, "cpu") == counted.get_total_flops()


class Products(TorchFunctionMode):
    """Counts the operations of the products that `Pairs` really computes; too slow to be timed."""

    operations = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func is torch.Tensor.addmm_:
            self.operations += 2 * args[1].numel() * args[2].shape[1]
        return func(*args, **(kwargs or {}))


def steps_with_products(chosen, method):
    """Each step of a transfer between untrained ends, with the operations of its products."""
    first, second = (networks.initialised(chosen, seed) for seed in (1, 2))
    start, end = (parameters(model) for model in (first, networks.initialised(chosen, 3)))
    target = networks.Network(second, parameters(second), end, {}, [])
    line = experiment.source_line(chosen, networks.Network(first, start, end, {}, []))
    steps = experiment.transfer_steps(chosen, method, line, target, "cpu", 1)
    for _ in range(chosen.steps):
        with Products() as counted:
            step = next(steps)
        yield step, counted.operations


@pytest.mark.parametrize("method", ["gmt", "fgmt"])
@pytest.mark.parametrize(("name", "width"), [("mnist5k-mlp", 64), ("mnist5k-conv8-small", 0.125)])
def test_products_are_counted_exactly(name, width, method, project):
    chosen, before = setting(name, width=width, steps=3, batch_size=16), None
    for step, operations in steps_with_products(chosen, method):
        counted = round(1e9 * work.step_work(chosen, 0, step, before)["GFLOP"])
        assert counted == operations > 0
        before = step


def test_same_seed_same_numbers_also_in_an_executor(rows, monkeypatch, project):
    def numbers(found):
        return [{k: v for k, v in row.items() if k != "seconds"} for row in found]

    with ThreadPoolExecutor(1) as executor:
        again = experiment.transfer_pairs(setting("mnist5k-mlp"), [(3, 4)], METHODS, "cpu", executor)
    assert numbers(again) == numbers(row for row in rows if row["pair"] == "3-4")


def test_trajectories_end_at_the_same_source_and_are_as_long_as_training(project):
    chosen = setting("mnist5k-mlp", width=16, epochs=3)
    found = experiment.trajectory_rows(chosen, ["naive"], [(1, 2)], "cpu")
    assert [(row["trajectory"], row["t"]) for row in found] == [(k, t) for k in experiment.TRAJECTORIES for t in (1, 2, 3)]
    assert len({row["accuracy"] for row in found if row["t"] == 3}) == 1  # the identity does not care about the way
    assert len({row["accuracy"] for row in found if row["t"] == 1}) > 1


def test_fewer_sweeps_are_asked_of_every_match(project, monkeypatch):
    chosen, seen = setting("mnist5k-mlp", width=16, epochs=1, steps=2), []
    spy = METHODS["fgmt"]._replace(steps=lambda *a, max_sweeps, **k: seen.append(max_sweeps) or iter(()))
    monkeypatch.setitem(METHODS, "fgmt", spy)
    list(experiment.follow(chosen, "fgmt", (1, 2), "cpu", sweeps=3))
    assert seen == [3]


def few_images(task):
    splits = {
        name: getattr(task, name).subset(torch.arange(n)) for name, n in (("train", 256), ("validation", 40), ("selection", 40))
    }
    return replace(task, **splits)


def test_batchnorm_networks_are_transferred_with_fresh_statistics(project, monkeypatch):
    """A ResNet-18 end to end, on few images for few steps: the whole path, not its quality."""
    chosen = setting("fashion-resnet18")
    few = replace(chosen, dataset="mnist-5k", classes=(0, 1), steps=1, batch_size=64, statistics=128)
    chosen = replace(few, recipe=replace(chosen.recipe, epochs=1))
    monkeypatch.setattr(networks, "load_task", lambda *a, **k: few_images(load_task(*a, **k)))
    seen = []
    original = experiment.running_statistics
    monkeypatch.setattr(experiment, "running_statistics", lambda *a: seen.append(a) or original(*a))
    found = experiment.transfer_pair(chosen, ["fgmt"], "cpu", (1, 2))
    assert len(found) == 1 and torch.isfinite(torch.tensor(found[0]["loss"])) and len(seen) == 1
    assert all(len(call[2]) == 128 for call in seen)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1-1", "seed pair 1-1: source and target are the same"),
        ("1:2", "not of the form '1-2, 3-4'"),
        ("", "not of the form"),
        ("1-2,1-2", "names a pair twice"),
    ],
)
def test_bad_seed_pairs_are_refused(text, message):
    with pytest.raises(ValueError, match=message):
        experiment.parse_pairs(text)


def test_pairs_and_methods_are_read():
    assert experiment.parse_pairs("1-2, 3-4") == [(1, 2), (3, 4)]
    assert experiment.parse_methods("naive,fgmt") == ["naive", "fgmt"]
    with pytest.raises(ValueError, match=r"unknown methods \['fgm'\]; known: naive, oracle, rebasin, gmt, fgmt"):
        experiment.parse_methods("fgm")
    with pytest.raises(ValueError, match="names a method twice"):
        experiment.parse_methods("gmt, gmt")
    assert experiment.parse_pair("3-4") == (3, 4)
    with pytest.raises(ValueError, match="names 2 pairs; this notebook follows one"):
        experiment.parse_pair("1-2, 3-4")
