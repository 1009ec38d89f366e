"""The laboratory: what it hands out is made once, and kept under all that decides it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from functools import wraps
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from pandas.testing import assert_frame_equal

from trajtransfer.algorithms import METHODS
from trajtransfer.paper import lab as laboratory
from trajtransfer.paper import networks, structures, transfers, unit_of_work, units
from trajtransfer.paper.chapters import accelerated_training, basins, trajectories
from trajtransfer.paper.datasets.tasks import load_task
from trajtransfer.paper.lab import Lab, labs
from trajtransfer.paper.recipe import Recipe
from trajtransfer.paper.seeds import Seeds
from trajtransfer.paper.setting import Setting
from trajtransfer.paper.settings import setting
from trajtransfer.paper.structures import Analysis
from trajtransfer.paper.units import Kept
from trajtransfer.schedules import cosine
from trajtransfer.specification import PermutationSpec
from trajtransfer.tracing.trace import permutation_spec

pytestmark = pytest.mark.usefixtures("home")  # one project for the module
TINY = setting("mnist5k-mlp", width=16, epochs=2, steps=2)
PAIR = Seeds(1, 2)


@pytest.fixture
def lab():
    return Lab(TINY, "cpu")


def spied(monkeypatch, module, name):
    """What a function of a module is called with."""
    calls = []
    original = getattr(module, name)

    @wraps(original)
    def spy(*arguments, **options):
        calls.append(arguments)
        return original(*arguments, **options)

    monkeypatch.setattr(module, name, spy)
    return calls


def numbers(rows):
    """What a clock has no say in, and `Lab.follow` knows."""
    beside = ("seconds", "test_accuracy")
    return [{name: x for name, x in row.items() if name not in beside} for row in rows]


def followed(lab, method, seeds=PAIR):
    return [row for _, row in lab.follow(method, seeds)]


def same(a, b):
    return (a - b).norm() == 0


# What a laboratory hands out


def test_the_specification_is_derived_and_checked_once_for_all_methods(project, monkeypatch):
    lab = Lab(TINY, "cpu")
    derived = spied(monkeypatch, structures, "permutation_spec")
    checked = spied(monkeypatch, structures, "check_invariance")
    for method in METHODS:
        for seeds in (PAIR, Seeds(2, 1)):
            for step in lab.steps(method, seeds):
                assert step.permutation.spec is lab.spec
    assert len(derived) == len(checked) == 1
    model, spec, *_ = checked[0]
    assert spec == lab.spec and str(model) == str(lab.model)
    assert lab.spec == permutation_spec(lab.initialised(1), torch.zeros(2, 1, 28, 28))
    assert Lab(lab.setting, "cpu").spec == lab.spec and len(derived) == 1  # read back


def test_a_network_is_read_once(lab, monkeypatch):
    calls = spied(monkeypatch, networks, "network")
    for method in METHODS:
        followed(lab, method)
    assert [seed for _, seed, _ in calls] == [1, 2]
    assert lab.network(1) is lab.network(1)


def test_networks_are_those_of_the_setting_and_the_device(lab):
    for seed in (1, 2):
        found = lab.network(seed)
        assert same(found.end, networks.network(TINY, seed, "cpu").end)
        assert same(found.start, lab.start(seed))
        assert same(lab.recorded(seed)[0], found.start)
        assert same(lab.recorded(seed)[-1], found.end)
        assert len(lab.recorded(seed)) == 1 + TINY.recipe.epochs


def test_a_line_has_the_times_of_the_setting_or_those_asked_for(lab):
    source = lab.network(1)
    line = lab.line(1)
    assert len(line) == 3
    assert same(line[0], source.start) and same(line[2], source.end)
    assert line.times == (0, 0.5, 1)
    longer = lab.of(replace(TINY, steps=4))
    assert longer.line(1, "cosine").times == tuple(cosine(4)) != longer.line(1).times
    assert longer.of(replace(longer.setting, schedule="cosine")).line(1).times == tuple(cosine(4))


def test_batches_and_gradients_are_drawn_by_the_seed_alone(lab):
    def drawn(seed):
        return next(lab.batches(seed)).tensors()[0]

    assert drawn(1).equal(drawn(1)) and not drawn(1).equal(drawn(2))
    assert len(drawn(1)) == TINY.batch_size
    start = lab.start(1)
    at_target, at_source = lab.gradients(1)(start, start)
    again, _ = lab.gradients(1)(start, start)
    other, _ = lab.gradients(2)(start, start)
    assert same(at_target, at_source) and same(at_target, again) and not same(at_target, other)


def test_scores_are_those_of_each_split(lab):
    network = lab.network(1)
    names = ("train", "validation", "selection", "test")
    for name, score in zip(names, lab.scores(network.end, *names), strict=True):
        assert score == networks.evaluate(network.model, network.end, getattr(lab.task, name))
    assert lab.score(network.end) == lab.scores(network.end, "validation")[0]


def test_what_was_asked_before_changes_no_number(lab):
    alone = {method: followed(Lab(TINY, "cpu"), method) for method in METHODS}
    for method in reversed(METHODS):
        followed(lab, method, Seeds(2, 1))
        assert numbers(followed(lab, method)) == numbers(alone[method])


def test_the_seed_of_the_source_draws_mini_batches_and_orders(lab, monkeypatch):
    batches = []
    orders = []
    original = Lab.batches

    def seen_batches(lab, seed):
        batches.append(seed)
        return original(lab, seed)

    def spy(*arguments, generator, **options):
        orders.append(generator.initial_seed())
        return iter(())

    monkeypatch.setattr(Lab, "batches", seen_batches)
    for method in ("oracle", "rebasin", "gmt", "fgmt"):
        monkeypatch.setitem(METHODS, method, METHODS[method]._replace(steps=spy))
        list(lab.steps(method, Seeds(2, 1)))
        list(lab.steps(method, Seeds(1, 2)))
    assert orders == [2, 1] * 4
    assert batches == [2, 1] * 2


def test_the_line_of_another_source_is_followed_where_it_is_given(lab):
    other = lab.line(3)
    for _, row in lab.follow("naive", PAIR, other):
        assert row["pair"] == "1-2"
    *_, given = lab.steps("naive", PAIR, other)
    expected = lab.start(2) + (lab.network(3).end - lab.start(3))
    assert same(given.params, expected)


def test_fewer_sweeps_are_asked_of_every_match(lab, monkeypatch):
    seen = []

    def spy(*arguments, max_sweeps, **options):
        seen.append(max_sweeps)
        return iter(())

    monkeypatch.setitem(METHODS, "fgmt", METHODS["fgmt"]._replace(steps=spy))
    list(lab.follow("fgmt", PAIR, sweeps=3))
    assert seen == [3]


def test_an_unknown_method_is_refused_before_anything_is_trained(project):
    message = "unknown method 'fgm'; known: naive, oracle, rebasin, gmt, fgmt"
    with pytest.raises(ValueError, match=message):
        Lab(TINY, "cpu").steps("fgm", PAIR)
    assert not (project / "runs").exists()


def few_images(task):
    counts = {"train": 256, "validation": 40, "selection": 40}
    splits = {name: getattr(task, name).subset(torch.arange(n)) for name, n in counts.items()}
    return replace(task, **splits)


def test_batchnorm_networks_are_transferred_with_fresh_statistics(project, monkeypatch):
    """A ResNet-18 end to end, on few images for few steps: the whole path, not its quality."""
    chosen = setting("fashion-resnet18", width=0.125, epochs=1, steps=1, batch_size=64)
    chosen = replace(chosen, dataset="mnist-5k", classes=(0, 1), statistics=128)
    monkeypatch.setattr(networks, "load_task", lambda *a, **k: few_images(load_task(*a, **k)))
    estimated = spied(monkeypatch, laboratory, "running_statistics")
    lab = Lab(chosen, "cpu")
    ((step, row),) = lab.follow("fgmt", PAIR)
    assert torch.isfinite(torch.tensor(row["loss"]))
    ((_, params, some),) = estimated
    assert same(params, step.params)
    assert len(some) == 128
    networks.task.cache_clear()  # few images are not for others


# Laboratories of other settings


def test_the_laboratory_of_another_setting_shares_device_and_clock(lab):
    other = lab.of(replace(TINY, steps=3))
    assert other.clock is lab.clock and other.device == lab.device
    assert other.setting.steps == 3 and lab.setting.steps == 2
    assert len(other.line(1)) == 4 and len(lab.line(1)) == 3
    assert Lab(TINY, "cpu").clock is not lab.clock


def test_laboratories_of_settings_and_widths_share_one_clock():
    found = labs(["mnist5k-mlp", "digits04-mlp"], (8, 16), device="cpu", epochs=1)
    about = [(one.setting.name, one.setting.width, one.setting.recipe.epochs) for one in found]
    assert about == [
        ("mnist5k-mlp", 8, 1),
        ("mnist5k-mlp", 16, 1),
        ("digits04-mlp", 8, 1),
        ("digits04-mlp", 16, 1),
    ]
    assert len({id(one.clock) for one in found}) == 1
    own = labs(["mnist5k-mlp", "digits04-mlp"], device="cpu")
    assert [one.setting.width for one in own] == [1024, 512]


def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="device 'nonsense' is not available"):
        Lab(TINY, "nonsense")
    assert Lab(TINY).device in ("cpu", "cuda:0", "cuda")


# Units of work


def test_a_unit_is_made_once_whatever_laboratory_asks(project, monkeypatch):
    made = spied(monkeypatch, transfers, "transfer")
    first = Lab(TINY, "cpu").kept(transfers.transfer, "fgmt", PAIR)
    monkeypatch.setattr(networks, "train", None)  # a second training would fail
    second = Lab(TINY, "cpu").kept(transfers.transfer, "fgmt", PAIR)
    assert len(made) == 1
    assert first == second  # seconds too: they are those of when it was made
    assert numbers(first) == numbers(followed(Lab(TINY, "cpu"), "fgmt"))
    (folder,) = (project / "runs" / "tables").glob("transfer-*")
    assert folder.name.startswith("transfer-mnist5k-mlp-w16-fgmt-1-2-")


def test_the_same_seeds_give_the_same_numbers_in_another_project(project, monkeypatch):
    """Trained anew, and made anew."""
    first = {method: Lab(TINY, "cpu").kept(transfers.transfer, method, PAIR) for method in METHODS}
    monkeypatch.setenv("TRAJTRANSFER_HOME", str(project / "another"))
    made = spied(monkeypatch, transfers, "transfer")
    for method, rows in first.items():
        again = Lab(TINY, "cpu").kept(transfers.transfer, method, PAIR)
        assert numbers(again) == numbers(rows)
    assert len(made) == len(METHODS)
    assert len(list((project / "another" / "runs" / "networks").iterdir())) == 2


def test_a_unit_is_made_once_by_many_threads(project, monkeypatch):
    made = spied(monkeypatch, transfers, "transfer")
    Lab(TINY, "cpu").network(1)

    def ask(_):
        return Lab(TINY, "cpu").kept(transfers.transfer, "fgmt", PAIR)

    with ThreadPoolExecutor(4) as lanes:
        found = list(lanes.map(ask, range(4)))
    assert len(made) == 1 and all(rows == found[0] for rows in found)
    assert numbers(found[0]) == numbers(followed(Lab(TINY, "cpu"), "fgmt"))


def test_one_laboratory_serves_many_threads(project, lab):
    """Once its networks are there: two that are drawn at the same time share a random state."""
    pairs = [Seeds(1, 2), Seeds(2, 1), Seeds(1, 3), Seeds(3, 2)]
    for seed in (1, 2, 3):
        lab.network(seed)
    with ThreadPoolExecutor(4) as lanes:
        found = list(lanes.map(lambda seeds: lab.kept(transfers.transfer, "fgmt", seeds), pairs))
    for seeds, rows in zip(pairs, found, strict=True):
        assert numbers(rows) == numbers(followed(Lab(TINY, "cpu"), "fgmt", seeds))


def test_the_clock_counts_a_unit_as_when_it_was_made(project):
    first = Lab(TINY, "cpu")
    first.kept(transfers.transfer, "fgmt", PAIR)
    second = Lab(TINY, "cpu")
    second.kept(transfers.transfer, "fgmt", PAIR)
    seconds = second.clock.seconds()
    assert seconds["transfer"] == first.clock.seconds()["transfer"] > 0
    assert seconds.keys() == {"transfer", "the rest"}


def test_the_time_of_a_unit_is_no_part_of_the_rest(monkeypatch):
    """Neither that of making it, nor that of waiting for it or of reading it."""
    now = [0.0]
    monkeypatch.setattr(units, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    lab = Lab(TINY, "cpu")

    def slow(name, address, make):
        now[0] += 100.0
        return Kept([], 7.0, name)

    monkeypatch.setattr(unit_of_work, "kept", slow)
    lab.kept(transfers.transfer, "fgmt", PAIR)
    now[0] += 1.0
    assert lab.clock.seconds() == {"transfer": 7.0, "the rest": 1.0}


def test_a_table_is_the_rows_of_a_unit(lab):
    table = lab.table(transfers.transfer, "fgmt", PAIR)
    rows = lab.kept(transfers.transfer, "fgmt", PAIR)
    assert_frame_equal(table, pd.DataFrame(rows))
    assert table["test_accuracy"].count() == 1  # NaN where it was not asked for


# Addresses

PARENT = replace(TINY, name="earlier", classes=(0, 1))
CHANGES = {
    "dataset": "fashion-mnist",
    "architecture": "conv8",
    "width": 17.0,
    "recipe": replace(TINY.recipe, lr=0.02),
    "pool": 2,
    "steps": 3,
    "batch_size": 127,
    "statistics": 64,
    "schedule": "cosine",
    "classes": (0, 1),
    "size": 32,
    "pretrained": PARENT,
    "fraction": 0.5,
    "next_lr": 0.5,
    "next_epochs": 7,
}
NO_NUMBERS = {"name": "another", "panel": "5b", "exact": True}
RECIPES = {
    "epochs": 3,
    "lr": 0.02,
    "momentum": 0.8,
    "weight_decay": 1e-4,
    "batch_size": 64,
    "schedule": "cosine",
    "warmup_epochs": 1,
    "augmentation": "crop+flip",
    "fast": True,
}


@pytest.fixture
def addresses(monkeypatch):
    """The addresses of the units that are asked for; nothing is made, and no data read."""
    asked = []

    def spy(name, address, make):
        asked.append(address)
        return Kept([], 0.0, name)

    monkeypatch.setattr(unit_of_work, "kept", spy)
    monkeypatch.setattr(networks, "checksums", lambda chosen, device: {chosen.dataset: "c0ffee"})
    monkeypatch.setattr(Lab, "_analysis", Analysis(PermutationSpec({}, {}), 7))
    return asked


def ask(chosen=TINY, make=transfers.transfer, arguments=("naive", PAIR)):
    Lab(chosen, "cpu").kept(make, *arguments)


def test_the_same_unit_has_the_same_address(addresses):
    ask()
    ask(setting("mnist5k-mlp", width=16, epochs=2, steps=2))
    assert addresses[0] == addresses[1]


def test_nothing_of_a_setting_is_forgotten():
    assert CHANGES.keys() | NO_NUMBERS.keys() == {field.name for field in fields(Setting)}
    assert RECIPES.keys() == {field.name for field in fields(Recipe)}


@pytest.mark.parametrize("field", CHANGES)
def test_a_changed_setting_is_another_unit(field, addresses):
    ask()
    ask(replace(TINY, **{field: CHANGES[field]}))
    assert addresses[0] != addresses[1]


@pytest.mark.parametrize("field", RECIPES)
@pytest.mark.parametrize("when", ["of the network", "of its pre-training"])
def test_a_changed_recipe_is_another_unit(field, when, addresses):
    recipe = replace(TINY.recipe, **{field: RECIPES[field]})
    before = replace(TINY, pretrained=PARENT)
    after = replace(before, recipe=recipe)
    if when == "of its pre-training":
        after = replace(before, pretrained=replace(PARENT, recipe=recipe))
    ask(before)
    ask(after)
    assert addresses[0] != addresses[1]


@pytest.mark.parametrize("field", NO_NUMBERS)
def test_what_decides_no_number_makes_no_other_unit(field, addresses):
    ask()
    ask(replace(TINY, **{field: NO_NUMBERS[field]}))
    assert addresses[0] == addresses[1]


@pytest.mark.parametrize(
    ("make", "arguments"),
    [
        (transfers.transfer, ("naive", Seeds(1, 3))),
        (transfers.transfer, ("naive", Seeds(2, 1))),
        (transfers.transfer, ("oracle", PAIR)),
        (accelerated_training.subsequent, ("naive", PAIR)),
        (trajectories.transfer_along, ("recorded", "naive", PAIR)),
    ],
)
def test_other_arguments_and_other_functions_are_another_unit(make, arguments, addresses):
    ask()
    ask(make=make, arguments=arguments)
    assert addresses[0] != addresses[1]


def test_two_functions_of_one_module_are_two_units(addresses):
    for make in (basins.segments_of_fine_tuning, basins.plane_of_fine_tuning):
        ask(make=make, arguments=(PAIR, 5))
    assert addresses[0] != addresses[1]


def test_another_origin_is_another_unit(addresses):
    for origin in (TINY, replace(TINY, fraction=0.5), replace(TINY, fraction=0.25)):
        ask(arguments=(PAIR, Lab(origin, "cpu")))
    assert len({str(address["arguments"]) for address in addresses}) == 3


def test_other_data_code_devices_and_specifications_are_another_unit(addresses, monkeypatch):
    ask()
    for what in ("code", "libraries", "device"):
        with monkeypatch.context() as patch:
            known = unit_of_work.circumstances("trajtransfer.paper.transfers", "cpu")
            patch.setattr(
                unit_of_work, "circumstances", lambda *_, k=known, w=what: k | {w: "other"}
            )
            ask()
    monkeypatch.setattr(networks, "checksums", lambda *_: {"mnist-5k": "other"})
    ask()
    monkeypatch.setattr(Lab, "_analysis", Analysis(PermutationSpec({"hidden": 3}, {}), 7))
    ask()
    monkeypatch.setattr(Lab, "_analysis", Analysis(PermutationSpec({"hidden": 3}, {}), 8))
    ask()
    assert len(addresses) == 7
    assert all(addresses.count(address) == 1 for address in addresses)


def test_the_data_of_pre_training_count_too(monkeypatch):
    """Each network by the checksum of its own data."""

    def task_of(chosen, device):
        return SimpleNamespace(checksum=f"of {chosen.name}")

    monkeypatch.setattr(networks, "task_of", task_of)
    monkeypatch.setattr(Lab, "_analysis", Analysis(PermutationSpec({}, {}), 7))
    lab = Lab(replace(TINY, pretrained=replace(PARENT, dataset="fashion-mnist")), "cpu")
    expected = {"fashion-mnist": "of earlier", "mnist-5k": "of mnist5k-mlp"}
    assert lab.checksums() == lab.identity["data"] == expected
