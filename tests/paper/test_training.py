"""Training: PyTorch's plain loop as the reference, resumption, recipes and refusals."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import trajtransfer as tt
from trajtransfer.paper.datasets.tasks import Split


def split(n: int = 40) -> Split:
    g = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (n, 1, 8, 8), generator=g).to(torch.uint8)
    labels = torch.randint(0, 3, (n,), generator=g)
    mean = torch.full((1, 1, 1), 0.5)
    std = torch.full((1, 1, 1), 0.3)
    return Split(images, torch.arange(n), labels, mean, std)


def network() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(1, 5, 3),
            nn.BatchNorm2d(5),
            nn.ReLU(),
            nn.Conv2d(5, 3, 3, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(108, 3),
        )


RECIPE = tt.Recipe(
    epochs=4,
    lr=0.05,
    weight_decay=1e-3,
    batch_size=16,
    schedule="cosine",
    warmup_epochs=1,
    augmentation="crop+flip",
)


def run(recipe=RECIPE, start=None, seed=1):
    return list(tt.train(network(), split(), recipe, seed=seed, name="run", start=start))


def snapshots(every, iterations):
    return tt.snapshots(
        network(), split(), RECIPE, seed=1, name="run", every=every, iterations=iterations
    )


def test_resumed_equals_uninterrupted():
    whole = run()
    for stopped in whole[:-1]:
        rest = run(start=stopped)
        assert [c.epoch for c in rest] == list(range(stopped.epoch + 1, 5))
        for a, b in zip(rest, whole[stopped.epoch :], strict=True):
            assert (a.params - b.params).norm() == 0 and a.loss == b.loss
            assert (a.momentum - b.momentum).norm() == 0
            assert all(torch.equal(a.buffers[name], b.buffers[name]) for name in a.buffers)


def test_snapshots_are_points_of_the_same_run():
    """Three mini-batches an epoch: every third snapshot is the checkpoint of an epoch."""
    whole = run()
    found = snapshots(every=1, iterations=12)
    assert len(found) == 13 and (found[0] - tt.parameters(network())).norm() == 0
    assert all((found[3 * c.epoch] - c.params).norm() == 0 for c in whole)
    sparse = snapshots(every=4, iterations=11)
    assert len(sparse) == 3 and (sparse[2] - found[8]).norm() == 0
    for every, iterations in ((0, 5), (6, 5), (1, 13)):
        words = rf"run: needs 1 <= every={every} <= iterations={iterations} <= 12"
        with pytest.raises(ValueError, match=words):
            snapshots(every, iterations)


def test_same_seed_same_numbers_other_seed_others():
    one = run()[-1].params
    again = run()[-1].params
    other = run(seed=2)[-1].params
    assert (one - again).norm() == 0 and (one - other).norm() > 0


def test_fast_training_is_close_keeps_float32_and_resumes():
    exact = run()
    fast = run(replace(RECIPE, fast=True))
    assert 0 < abs(fast[-1].loss - exact[-1].loss) < 0.05
    assert all(x.dtype == torch.float32 for x in fast[-1].params.values())
    assert run(replace(RECIPE, fast=True), start=fast[1])[-1].loss == fast[-1].loss


def test_checkpoints_are_contiguous():
    """Channels-last memory is an affair of the training loop."""
    last = run()[-1]
    for part in (last.params, last.buffers, last.momentum):
        assert all(x.is_contiguous() for x in part.values())


def test_the_plain_loop():
    """SGD written out from its definition, without momentum buffers of anyone else's."""
    recipe = tt.Recipe(epochs=2, lr=0.1, momentum=0.9, weight_decay=0.01, batch_size=16)
    model = network()
    data = split()
    weights = list(model.parameters())
    velocity = [torch.zeros_like(p) for p in weights]
    losses = []
    for epoch in range(2):
        generator = torch.Generator().manual_seed(7 * 1_000_003 + epoch)
        order = torch.randperm(40, generator=generator)
        total = 0.0
        for indices in order.split(16):
            x, y = data.subset(indices).tensors()
            loss = F.cross_entropy(model(x), y)
            total += float(loss.detach()) * len(y)
            gradient = torch.autograd.grad(loss, weights)
            for p, v, g in zip(weights, velocity, gradient, strict=True):
                v.mul_(0.9).add_(g + 0.01 * p.detach())
                p.data.sub_(0.1 * v)
        losses.append(total / 40)
    found = list(tt.train(network(), data, recipe, seed=7, name="run"))
    assert [c.loss for c in found] == pytest.approx(losses, rel=1e-5)
    assert (found[-1].params - tt.parameters(model)).norm() < 1e-5


def test_dropout_is_seeded_and_resumes():
    model = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(64, 3))
    recipe = tt.Recipe(3, 0.1, batch_size=16)
    whole = list(tt.train(model, split(), recipe, seed=1, name="run"))
    torch.rand(7)  # somebody else draws from the global state
    rest = list(tt.train(model, split(), recipe, seed=1, name="run", start=whole[0]))
    assert (rest[-1].params - whole[-1].params).norm() == 0


def test_training_leaves_the_given_model_alone():
    model = network()
    before = tt.parameters(model)
    list(tt.train(model, split(), RECIPE, seed=0, name="run"))
    assert (tt.parameters(model) - before).norm() == 0


def test_learning_rates():
    rates = [RECIPE.learning_rate(i, 10) for i in range(40)]
    assert rates[:10] == pytest.approx([0.05 * (i + 1) / 10 for i in range(10)])
    assert rates[10] == 0.05 and rates[25] == pytest.approx(0.05 * 0.5) and rates[-1] > 0
    assert all(a > b for a, b in itertools.pairwise(rates[10:]))
    assert tt.Recipe(3, 0.1).learning_rate(17, 10) == 0.1


def test_a_diverged_run_is_reported_by_name():
    recipe = tt.Recipe(5, 1e20, batch_size=16)
    words = r"'mnist-mlp seed 3' diverged in epoch \d+.*lower lr=1e\+20"
    with pytest.raises(tt.DivergedError, match=words):
        list(tt.train(network(), split(), recipe, seed=0, name="mnist-mlp seed 3"))


def test_bad_recipes_are_refused():
    words = "run: batch_size=128 is larger than the training set of 40"
    with pytest.raises(ValueError, match=words):
        run(tt.Recipe(1, 0.1))
    words = "unknown learning-rate schedule 'step'; known: constant, cosine"
    with pytest.raises(ValueError, match=words):
        tt.Recipe(1, 0.1, schedule="step")
    with pytest.raises(ValueError, match="must be positive"):
        tt.Recipe(0, 0.1)
    with pytest.raises(ValueError, match=r"unknown augmentation 'mixup'"):
        run(tt.Recipe(1, 0.1, batch_size=8, augmentation="mixup"))


def test_training_without_momentum_resumes_too():
    recipe = tt.Recipe(3, 0.1, momentum=0.0, batch_size=16)
    whole = run(recipe)
    assert len(whole[0].momentum) == 0 and math.isfinite(whole[-1].loss)
    assert (run(recipe, start=whole[0])[-1].params - whole[-1].params).norm() == 0
