"""Recipes of CONTRIBUTING.md, followed: a data set, an architecture and a solver of one's own."""

from __future__ import annotations

import torch
from scipy.optimize import linear_sum_assignment
from torch import nn

from trajtransfer.matching import descent
from trajtransfer.matching.assignment import Assignment
from trajtransfer.paper import architectures, experiment, settings
from trajtransfer.paper.datasets import sources
from trajtransfer.paper.training import Recipe


def test_a_data_set_and_an_architecture_of_ones_own_are_transferred(project, monkeypatch, generator):
    images = torch.randint(0, 255, (400, 1, 4, 4), generator=generator, dtype=torch.uint8)
    pool = sources.Images(images, (images[:, 0, 0, 0] > 127).long())
    monkeypatch.setitem(sources.SOURCES, "noise", lambda root, size: (pool, pool))
    monkeypatch.setitem(
        architectures.ARCHITECTURES,
        "two-layers",
        lambda shape, classes, width: nn.Sequential(
            nn.Flatten(), nn.Linear(16, int(width)), nn.Tanh(), nn.Linear(int(width), 8), nn.Tanh(), nn.Linear(8, classes)
        ),
    )
    own = settings.Setting("noise-two-layers", "noise", "two-layers", 12, Recipe(2, 0.1, batch_size=32), 2, 64)
    monkeypatch.setitem(settings.SETTINGS, own.name, own)
    chosen = settings.setting("noise-two-layers", width=10)
    steps = list(experiment.follow(chosen, "fgmt", (1, 2), "cpu"))
    assert len(steps) == 2 and sorted(steps[-1][0].permutation.spec.sizes.values()) == [8, 10]
    assert steps[-1][1]["agreement"] >= steps[-1][1]["agreement_identity"]


def test_another_solver_gives_the_same_matching(project, monkeypatch):
    chosen = settings.setting("mnist5k-mlp", width=256, epochs=1, steps=1)  # wide enough for the auction
    ((_, row),) = experiment.follow(chosen, "fgmt", (1, 2), "cpu")

    def slow(gain, units, *, prices=None):
        return Assignment(torch.from_numpy(linear_sum_assignment(gain.double().numpy(), maximize=True)[1]), 0.0)

    monkeypatch.setattr(descent, "assign", slow)
    ((_, same),) = experiment.follow(chosen, "fgmt", (1, 2), "cpu")
    assert abs(same["agreement"] / row["agreement"] - 1) < 1e-6
