"""Counted work: what PyTorch counts, and the products that are really computed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from trajtransfer.objective import gradient
from trajtransfer.paper import networks, work
from trajtransfer.paper.lab import Lab
from trajtransfer.paper.seeds import Seeds
from trajtransfer.paper.settings import setting
from trajtransfer.params import Params, parameters

pytestmark = pytest.mark.usefixtures("home")  # one project for the module
NAMES = ["mnist5k-mlp", "mnist5k-conv8-small", "mnist5k-resnet18-tiny"]


def samples(lab, count):
    return lab.task.train.subset(torch.arange(count)).tensors()


@pytest.mark.parametrize("name", NAMES)
def test_operations_are_those_that_pytorch_counts(name):
    """Products and convolutions, forward and backward, and as many for each sample."""
    lab = Lab(setting(name), "cpu")
    model = lab.initialised(1)
    examples = samples(lab, 6)
    with FlopCounterMode(display=False) as counted:
        gradient(model, parameters(model), examples)
    assert 6 * work.sample_operations(model, examples) == counted.get_total_flops()
    assert 6 * lab.sample_operations == counted.get_total_flops()


def test_threads_do_not_count_each_other_s_operations():
    lab = Lab(setting("mnist5k-mlp", width=64), "cpu")
    model = lab.initialised(1)
    examples = samples(lab, 64)
    alone = work.sample_operations(model, examples)
    with ThreadPoolExecutor(2) as lanes:
        found = lanes.map(lambda _: work.sample_operations(model, examples), range(8))
        assert set(found) == {alone}


class Products(TorchFunctionMode):
    """Counts the operations of the products that `Pairs` really computes; too slow to be timed."""

    operations = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func is torch.Tensor.addmm_:
            self.operations += 2 * args[1].numel() * args[2].shape[1]
        return func(*args, **(kwargs or {}))


def untrained(chosen, seed, device):
    """A network whose training leads to another start."""
    start = networks.initialised(chosen, seed, device)
    end = networks.initialised(chosen, seed + 2, device)
    return networks.Network(start, parameters(start), parameters(end), Params({}), [])


def steps_with_products(lab, method):
    """Each step of a transfer, with the operations of its products."""
    steps = lab.steps(method, Seeds(1, 2))
    for _ in range(lab.setting.steps):
        with Products() as counted:
            step = next(steps)
        yield step, counted.operations


@pytest.mark.parametrize("method", ["gmt", "fgmt"])
@pytest.mark.parametrize(("name", "width"), [("mnist5k-mlp", 64), ("mnist5k-conv8-small", 0.125)])
def test_products_are_counted_exactly(name, width, method, monkeypatch):
    monkeypatch.setattr(networks, "network", untrained)
    lab = Lab(setting(name, width=width, steps=3, batch_size=16), "cpu")
    before = None
    for step, operations in steps_with_products(lab, method):
        counted = round(1e9 * work.step_work(16, 0, step, before)["GFLOP"])
        assert counted == operations > 0
        before = step


def test_an_epoch_is_that_many_gradients():
    assert work.epoch_work(50, 3_000_000) == {"samples": 50, "GFLOP": pytest.approx(0.15)}


def test_the_share_of_training_is_a_ratio_of_operations():
    transfer = {"GFLOP": 2.0, "seconds": 7.0}
    training = {"GFLOP of training": 16.0, "seconds of training": 1.0}
    assert work.share_of_training(transfer, training) == {"share of training": 0.125}
