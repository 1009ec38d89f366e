"""Gradients of random networks: distances by hand, exact power laws, conditions that differ."""

from __future__ import annotations

import math
from collections import OrderedDict
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from pandas.testing import assert_frame_equal
from torch import nn

from trajtransfer.paper import networks
from trajtransfer.paper.chapters import theorem
from trajtransfer.paper.chapters.theorem import CONDITIONS
from trajtransfer.paper.datasets.tasks import Split
from trajtransfer.paper.lab import Lab
from trajtransfer.paper.settings import setting
from trajtransfer.params import Params

WIDTHS = (6, 24)
DRAWS = 3


def digits(n=60):
    """Random images of six classes whose brightness tells the class."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(n) % 6
    noise = torch.randint(0, 120, (n, 1, 3, 3), generator=generator)
    images = (noise + 25 * labels[:, None, None, None]).to(torch.uint8)
    mean = torch.full((1, 1, 1), 0.3)
    std = torch.full((1, 1, 1), 0.2)
    return Split(images, torch.arange(n), labels, mean, std)


@pytest.fixture(scope="module")
def lab(home):
    """A laboratory whose task are the `digits`."""
    with pytest.MonkeyPatch.context() as patch:
        about = {"shape": (1, 3, 3), "classes": 6, "checksum": "of digits"}
        task = SimpleNamespace(train=digits(), **about)
        patch.setattr(networks, "task_of", lambda chosen, device: task)
        yield Lab(setting("mnist5k-mlp"), "cpu")


@pytest.fixture(scope="module")
def kept(lab):
    return theorem.distances(lab, WIDTHS, DRAWS, 50)


def computed(lab, widths, draws):
    """The rows under all conditions and at all widths, computed now and not kept."""
    return [
        row
        for condition in CONDITIONS
        for width in widths
        for row in theorem.gradient_distances(lab, condition, width, draws, 50)
    ]


def by_order(rows):
    """The distance of each order, by condition, width and draw."""
    found = {}
    for row in rows:
        draw = found.setdefault((row["condition"], row["width"], row["draw"]), {})
        draw[row["order"]] = row["distance"]
    return found


def power_law(slope, intercept, noise=(0.0, 0.0, 0.0), condition="labels", order="matched"):
    rows = []
    for width in (8, 32, 512):
        for error in noise:
            distance = math.exp(intercept + slope * math.log(width) + error)
            about = {"condition": condition, "order": order, "width": width}
            rows.append(about | {"distance": distance})
    return rows


def fits(rows):
    return theorem.fits(pd.DataFrame(rows)).to_dict("records")


def spied(monkeypatch, name):
    """What a function of the module is called with, beside what it returns."""
    calls = []
    original = getattr(theorem, name)

    def spy(*arguments, **options):
        found = original(*arguments, **options)
        calls.append((*arguments, found))
        return found

    monkeypatch.setattr(theorem, name, spy)
    return calls


def test_matching_never_increases_the_distance(kept):
    found = by_order(kept.to_dict("records"))
    assert len(kept) == 3 * len(found) == len(CONDITIONS) * len(WIDTHS) * DRAWS * 3
    for at in found.values():
        assert at["matched"] <= min(at["identity"], at["random"]) * (1 + 1e-6)
    assert all(math.isfinite(distance) and distance > 0 for distance in kept["distance"])


def test_same_draws_same_numbers_more_draws_change_nothing(lab, kept):
    more = by_order(computed(lab, WIDTHS[::-1], DRAWS + 1))
    fewer = {key: at for key, at in more.items() if key[2] <= DRAWS}
    assert by_order(kept.to_dict("records")) == fewer


def test_what_was_made_is_read_back_in_every_column(lab, kept, monkeypatch):
    monkeypatch.setattr(theorem, "gradient", None)
    again = theorem.distances(lab, WIDTHS, DRAWS, 50)
    assert_frame_equal(again, kept)


def test_one_network_twice_is_at_no_distance(lab, monkeypatch):
    fixed = {}
    original = theorem._drawn

    def drawn(model, scale, generator):
        key = (model.hidden.out_features, scale)
        return fixed.setdefault(key, original(model, scale, generator))

    monkeypatch.setattr(theorem, "_drawn", drawn)
    for at in by_order(computed(lab, WIDTHS, 1)).values():
        assert at["matched"] == at["identity"] == 0 < at["random"]


def test_a_permuted_copy_is_matched_exactly(lab, monkeypatch):
    first = []
    original = theorem._drawn

    def drawn(model, scale, generator):
        if not first:
            first.append(original(model, scale, generator))
            return first[0]
        source = first.pop()
        hidden = source["hidden.weight"].flip(0)
        return Params({"hidden.weight": hidden, "head.weight": source["head.weight"].flip(1)})

    monkeypatch.setattr(theorem, "_drawn", drawn)
    for at in by_order(computed(lab, WIDTHS, 2)).values():
        assert at["matched"] <= 1e-5 < at["identity"]


def laid_end_to_end(gradient):
    return torch.cat([x.flatten() for x in gradient.values()]).double()


def test_the_distance_is_that_of_section_3_2(lab, monkeypatch):
    gradients = spied(monkeypatch, "gradient")
    rows = theorem.gradient_distances(lab, "labels", 5, 1, 50)
    (_, _, _, source), (*_, target) = gradients
    a = laid_end_to_end(source)
    b = laid_end_to_end(target)
    distance = float((a - b).norm() / (a.norm() * b.norm()).sqrt())
    assert by_order(rows)["labels", 5, 1]["identity"] == pytest.approx(distance)


def test_the_gradient_is_that_of_the_squared_error_to_the_signs(lab, monkeypatch):
    gradients = spied(monkeypatch, "gradient")
    theorem.gradient_distances(lab, "labels", 5, 1, 50)
    _, at, (inputs, labels), source = gradients[0]
    hidden = at["hidden.weight"].clone().requires_grad_()
    head = at["head.weight"].clone().requires_grad_()
    outputs = (torch.relu(inputs @ hidden.T) @ head.T)[:, 0]
    loss = (outputs - labels).square().mean()
    by_hand = torch.autograd.grad(loss, (hidden, head))
    expected = laid_end_to_end({"hidden": by_hand[0], "head": by_hand[1]})
    found = laid_end_to_end(source)
    assert (expected - found).norm() <= 1e-5 * found.norm()
    assert torch.equal(inputs, digits().tensors()[0][:50].flatten(1))
    signs = [-1.0, -1, -1, 1, 1, 1]  # the upper half of six classes is +1
    assert torch.equal(labels, torch.tensor(signs * 9)[:50])


def test_shuffled_labels_are_the_same_labels_elsewhere(lab, monkeypatch):
    calls = spied(monkeypatch, "_distances")
    computed(lab, [5], 2)
    plain, again, shuffled, reshuffled, he, _ = (labels for _, labels, *_ in calls)
    assert torch.equal(plain, again) and torch.equal(plain, he)
    assert plain.sum() == shuffled.sum() == reshuffled.sum()
    assert len({tuple(labels.tolist()) for labels in (plain, shuffled, reshuffled)}) == 3
    scales = [scale for _, _, _, scale, *_ in calls]
    assert scales == pytest.approx([1, 1, 1, 1, math.sqrt(6), math.sqrt(6)])


@pytest.mark.parametrize("scale", [1.0, math.sqrt(6)])
def test_weights_fill_the_range_of_their_scale(scale, generator):
    hidden = nn.Linear(50, 400, bias=False)
    head = nn.Linear(400, 30, bias=False)
    model = nn.Sequential(OrderedDict(hidden=hidden, head=head))
    inputs = {"hidden.weight": 50, "head.weight": 400}
    for name, x in theorem._drawn(model, scale, generator).items():
        limit = scale / math.sqrt(inputs[name])
        assert 0.99 * limit < x.max() <= limit
        assert -limit <= x.min() < -0.99 * limit
        assert x.std().item() == pytest.approx(limit / math.sqrt(3), rel=0.02)
        assert abs(x.mean().item()) < 0.02 * limit


def test_a_power_law_is_recovered():
    exact = power_law(-0.5, 1.25)
    noisy = power_law(-0.25, 0.5, (-0.1, 0.0, 0.1), "He scale", "random")
    first, second = fits([*exact, *noisy])
    assert (first["condition"], first["order"]) == ("labels", "matched")
    assert first["slope"] == pytest.approx(-0.5)
    assert first["intercept"] == pytest.approx(1.25)
    assert first["low"] == pytest.approx(first["high"]) == pytest.approx(-0.5)
    assert (second["condition"], second["order"]) == ("He scale", "random")
    assert second["slope"] == pytest.approx(-0.25)
    assert second["low"] < -0.25 < second["high"]
    assert second["intercept"] == pytest.approx(0.5)


def test_the_interval_is_that_of_student():
    """By hand: residuals -e, 0, e at each of three widths, seven degrees of freedom, t = 2.3646."""
    (found,) = fits(power_law(-0.25, 0.5, (-0.1, 0.0, 0.1)))
    x = [math.log(width) for width in (8, 32, 512)]
    spread = 3 * sum((a - sum(x) / 3) ** 2 for a in x)
    half = 2.364624 * math.sqrt(6 * 0.1**2 / 7 / spread)
    assert found["high"] - found["slope"] == pytest.approx(half, rel=1e-5)
    assert found["slope"] - found["low"] == pytest.approx(half, rel=1e-5)


@pytest.mark.parametrize("few", [slice(0, 2), slice(0, 3), slice(2, 4)])
def test_too_few_points_are_refused(few):
    message = "at least two widths and three distances; give more widths or draws"
    with pytest.raises(ValueError, match=message):
        fits(power_law(-0.5, 0)[few])
