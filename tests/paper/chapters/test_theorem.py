"""Gradients of random networks: distances by hand, exact power laws recovered, conditions that really differ."""

from __future__ import annotations

import math
from collections import OrderedDict

import pytest
import torch
from torch import nn

from trajtransfer.paper.chapters import theorem
from trajtransfer.paper.chapters.theorem import CONDITIONS
from trajtransfer.paper.datasets.tasks import Split
from trajtransfer.params import Params

WIDTHS, DRAWS = (6, 24), 3


def digits(n: int = 60) -> Split:
    """Random images of six classes whose brightness tells the class."""
    generator, labels = torch.Generator().manual_seed(0), torch.arange(n) % 6
    images = (torch.randint(0, 120, (n, 1, 3, 3), generator=generator) + 25 * labels[:, None, None, None]).to(torch.uint8)
    return Split(images, torch.arange(n), labels, torch.full((1, 1, 1), 0.3), torch.full((1, 1, 1), 0.2))


@pytest.fixture(scope="module")
def rows():
    return theorem.gradient_distances(digits(), WIDTHS, DRAWS, samples=50)


def by_order(rows) -> dict[tuple, dict[str, float]]:
    found: dict[tuple, dict[str, float]] = {}
    for row in rows:
        found.setdefault((row["condition"], row["width"], row["draw"]), {})[row["order"]] = row["distance"]
    return found


def power_law(slope: float, intercept: float, noise=(0.0, 0.0, 0.0), condition="labels", order="matched") -> list[dict]:
    about = {"condition": condition, "order": order}
    return [about | {"width": w, "distance": math.exp(intercept + slope * math.log(w) + e)} for w in (8, 32, 512) for e in noise]


def spied(monkeypatch, name: str) -> list[tuple]:
    """What a function of the module is called with, beside what it returns."""
    calls, original = [], getattr(theorem, name)

    def spy(*args, **kwargs):
        found = original(*args, **kwargs)
        calls.append((*args, found))
        return found

    monkeypatch.setattr(theorem, name, spy)
    return calls


def test_matching_never_increases_the_distance(rows):
    found = by_order(rows)
    assert len(rows) == 3 * len(found) == len(CONDITIONS) * len(WIDTHS) * DRAWS * 3
    assert all(at["matched"] <= min(at["identity"], at["random"]) * (1 + 1e-6) for at in found.values())
    assert all(math.isfinite(row["distance"]) and row["distance"] > 0 for row in rows)


def test_same_draws_same_numbers_more_draws_change_nothing(rows):
    more = theorem.gradient_distances(digits(), WIDTHS[::-1], DRAWS + 1, samples=50)
    assert by_order(rows) == {key: at for key, at in by_order(more).items() if key[2] <= DRAWS}


def test_one_network_twice_is_at_no_distance(monkeypatch):
    fixed = {}

    def drawn(model, scale, generator, original=theorem._drawn):
        return fixed.setdefault((model.hidden.out_features, scale), original(model, scale, generator))

    monkeypatch.setattr(theorem, "_drawn", drawn)
    found = by_order(theorem.gradient_distances(digits(), WIDTHS, 1, samples=50))
    assert all(at["matched"] == at["identity"] == 0 < at["random"] for at in found.values())


def test_a_permuted_copy_is_matched_exactly(monkeypatch):
    first: list[Params] = []

    def drawn(model, scale, generator, original=theorem._drawn):
        if first:
            return Params({"hidden.weight": first[0]["hidden.weight"].flip(0), "head.weight": first.pop()["head.weight"].flip(1)})
        first.append(original(model, scale, generator))
        return first[0]

    monkeypatch.setattr(theorem, "_drawn", drawn)
    found = by_order(theorem.gradient_distances(digits(), WIDTHS, 2, samples=50))
    assert all(at["matched"] <= 1e-5 < at["identity"] for at in found.values())


def test_the_distance_is_that_of_section_3_2(monkeypatch):
    gradients, split = spied(monkeypatch, "gradient"), digits()
    rows = theorem.gradient_distances(split, [5], 1, samples=50)
    (_, at, (inputs, labels), source), (*_, target) = gradients[:2]
    a, b = (torch.cat([x.flatten() for x in g.values()]).double() for g in (source, target))
    assert by_order(rows)["labels", 5, 1]["identity"] == pytest.approx(float((a - b).norm() / (a.norm() * b.norm()).sqrt()))
    hidden, head = (at[name].clone().requires_grad_() for name in ("hidden.weight", "head.weight"))
    loss = ((torch.relu(inputs @ hidden.T) @ head.T)[:, 0] - labels).square().mean()
    by_hand = torch.cat([g.flatten() for g in torch.autograd.grad(loss, (hidden, head))]).double()
    assert (by_hand - a).norm() <= 1e-5 * a.norm()
    assert torch.equal(inputs, split.tensors()[0][:50].flatten(1))
    assert torch.equal(labels, torch.tensor([-1.0, -1, -1, 1, 1, 1] * 9)[:50])  # the upper half of six classes is +1


def test_shuffled_labels_are_the_same_labels_elsewhere(monkeypatch):
    calls = spied(monkeypatch, "_distances")
    theorem.gradient_distances(digits(), [5], 2, samples=50)
    plain, again, shuffled, reshuffled, he, _ = (labels for _, labels, *_ in calls)
    assert torch.equal(plain, again) and torch.equal(plain, he) and plain.sum() == shuffled.sum() == reshuffled.sum()
    assert len({tuple(labels.tolist()) for labels in (plain, shuffled, reshuffled)}) == 3
    assert [scale for _, _, _, scale, *_ in calls] == pytest.approx([1, 1, 1, 1, math.sqrt(6), math.sqrt(6)])


@pytest.mark.parametrize("scale", [1.0, math.sqrt(6)])
def test_weights_fill_the_range_of_their_scale(scale, generator):
    layers = OrderedDict(hidden=nn.Linear(50, 400, bias=False), head=nn.Linear(400, 30, bias=False))
    for name, x in theorem._drawn(nn.Sequential(layers), scale, generator).items():
        limit = scale / math.sqrt({"hidden.weight": 50, "head.weight": 400}[name])
        assert 0.99 * limit < x.max() <= limit and -limit <= x.min() < -0.99 * limit
        assert x.std().item() == pytest.approx(limit / math.sqrt(3), rel=0.02) and abs(x.mean().item()) < 0.02 * limit


def test_a_power_law_is_recovered():
    exact, noisy = power_law(-0.5, 1.25), power_law(-0.25, 0.5, (-0.1, 0.0, 0.1), "He scale", "random")
    first, second = theorem.fits([*exact, *noisy])
    assert (first["condition"], first["order"], first["slope"]) == ("labels", "matched", pytest.approx(-0.5))
    assert first["intercept"] == pytest.approx(1.25) and first["low"] == pytest.approx(first["high"]) == pytest.approx(-0.5)
    assert (second["condition"], second["order"], second["slope"]) == ("He scale", "random", pytest.approx(-0.25))
    assert second["low"] < -0.25 < second["high"] and second["intercept"] == pytest.approx(0.5)


def test_the_interval_is_that_of_student():
    """By hand: residuals -e, 0, e at each of three widths, seven degrees of freedom, t = 2.3646."""
    (found,) = theorem.fits(power_law(-0.25, 0.5, (-0.1, 0.0, 0.1)))
    x = [math.log(w) for w in (8, 32, 512)]
    spread = 3 * sum((a - sum(x) / 3) ** 2 for a in x)
    half = 2.364624 * math.sqrt(6 * 0.1**2 / 7 / spread)
    assert (found["high"] - found["slope"], found["slope"] - found["low"]) == pytest.approx((half, half), rel=1e-5)


@pytest.mark.parametrize("few", [power_law(-0.5, 0)[:2], power_law(-0.5, 0)[:3], power_law(-0.5, 0)[2:4]])
def test_too_few_points_are_refused(few):
    with pytest.raises(ValueError, match="at least two widths and three distances; give more widths or draws"):
        theorem.fits(few)


def test_narrow_to_wide_by_hand():
    values = [("labels", "matched", 8, 0.6), ("labels", "matched", 8, 1.0), ("labels", "matched", 32, 0.5),
              ("labels", "matched", 64, 0.1), ("labels", "matched", 64, 0.3), ("labels", "identity", 128, 9.0),
              ("He scale", "matched", 4, 9.0)]  # fmt: skip
    rows = [{"condition": c, "order": o, "width": w, "distance": d} for c, o, w, d in values]
    assert theorem.narrow_to_wide(rows) == pytest.approx(0.2 / 0.8)
