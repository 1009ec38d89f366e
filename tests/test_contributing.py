"""Recipes of CONTRIBUTING.md, followed: a method, a data set, an architecture, a solver."""

from __future__ import annotations

import matplotlib.pyplot as plt
import torch
from scipy.optimize import linear_sum_assignment
from torch import nn

from trajtransfer import algorithms
from trajtransfer.matching import families
from trajtransfer.matching.assignment import Assignment
from trajtransfer.paper import architectures, figures, measures, settings, transfers
from trajtransfer.paper.datasets import sources
from trajtransfer.paper.lab import Lab
from trajtransfer.paper.recipe import Recipe
from trajtransfer.paper.seeds import Seeds
from trajtransfer.paper.setting import Setting

PAIR = Seeds(1, 2)
OWN = Setting(
    name="noise-two-layers",
    dataset="noise",
    architecture="two-layers",
    width=12,
    recipe=Recipe(2, 0.1, batch_size=32),
    steps=2,
    batch_size=64,
)


def two_layers(shape, classes, width):
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(16, int(width)),
        nn.Tanh(),
        nn.Linear(int(width), 8),
        nn.Tanh(),
        nn.Linear(8, classes),
    )


def half(source, target, spec):
    """Naive, half as far."""
    for step in algorithms.naive(source, target, spec):
        yield step._replace(params=target + 0.5 * (step.params - target))


def test_a_method_of_ones_own_is_known_everywhere_by_its_name(project, monkeypatch):
    monkeypatch.setitem(algorithms.METHODS, "half", algorithms.Method("Half", "nothing", half))
    lab = Lab(settings.setting("mnist5k-mlp", width=8, epochs=1, steps=2), "cpu")
    rows = transfers.transfers(lab, ["naive", "half"], [PAIR])
    curves = measures.curves_of(rows)
    _, ax = plt.subplots()
    figures.accuracy_curves(ax, curves)
    assert [line.get_label() for line in ax.lines] == ["Naive", "Half"]
    assert measures.of_transfer(curves)["half-first"].values != (0,)
    plt.close("all")


def test_a_data_set_and_an_architecture_of_ones_own_are_transferred(
    project, monkeypatch, generator
):
    images = torch.randint(0, 255, (400, 1, 4, 4), generator=generator, dtype=torch.uint8)
    pool = sources.Images(images, (images[:, 0, 0, 0] > 127).long())
    monkeypatch.setitem(sources.SOURCES, "noise", lambda root, size: (pool, pool))
    monkeypatch.setitem(architectures.ARCHITECTURES, "two-layers", two_layers)
    monkeypatch.setitem(settings.SETTINGS, OWN.name, OWN)
    lab = Lab(settings.setting("noise-two-layers", width=10), "cpu")
    _, (step, row) = lab.follow("fgmt", PAIR)
    assert sorted(step.permutation.spec.sizes.values()) == [8, 10]
    assert row["agreement"] >= row["agreement_identity"]


def test_another_solver_gives_the_same_matching(project, monkeypatch):
    chosen = settings.setting("mnist5k-mlp", width=256, epochs=1, steps=1)
    lab = Lab(chosen, "cpu")  # wide enough for the auction
    ((_, row),) = lab.follow("fgmt", PAIR)

    def slow(gain, units, *, prices=None):
        _, columns = linear_sum_assignment(gain.double().numpy(), maximize=True)
        return Assignment(torch.from_numpy(columns), 0.0)

    monkeypatch.setattr(families, "assign", slow)
    ((_, same),) = lab.follow("fgmt", PAIR)
    assert abs(same["agreement"] / row["agreement"] - 1) < 1e-6
