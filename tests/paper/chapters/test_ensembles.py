"""Ensembles: laws of the scores, PyTorch as their oracle, and one small run."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal
from torch.nn import functional as F

from trajtransfer.paper import networks
from trajtransfer.paper.chapters import ensembles
from trajtransfer.paper.lab import Lab
from trajtransfer.paper.seeds import Seeds
from trajtransfer.paper.settings import setting
from trajtransfer.paper.subsequent import transferred


def drawn(seed, members=3, n=40, classes=4):
    """Probabilities of some members, and labels."""
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(members, n, classes, generator=generator)
    return list(logits.softmax(2)), torch.randint(classes, (n,), generator=generator)


def sure_of(classes):
    return F.one_hot(torch.tensor(classes), 4).float()


def share_of(right):
    return float(right.double().mean())


@given(seed=st.integers(0, 2**31))
def test_one_member_has_its_own_scores(seed):
    (member,), labels = drawn(seed, members=1)
    found = ensembles.ensemble_scores([member], labels)
    accuracy = share_of(member.argmax(1) == labels)
    assert found["accuracy"] == found["accuracy of members"] == pytest.approx(accuracy)
    assert found["disagreement"] == 0
    assert found["nll"] == pytest.approx(float(F.nll_loss(member.log(), labels)), rel=1e-5)
    assert found["calibration error"] == ensembles.calibration_error(member.double(), labels)


@given(seed=st.integers(0, 2**31), copies=st.integers(2, 5))
def test_copies_of_one_member_change_nothing(seed, copies):
    (member,), labels = drawn(seed, members=1)
    once = ensembles.ensemble_scores([member], labels)
    often = ensembles.ensemble_scores([member] * copies, labels)
    assert often == pytest.approx(once) and often["disagreement"] == 0


@given(seed=st.integers(0, 2**31))
def test_the_order_of_members_does_not_matter(seed):
    members, labels = drawn(seed)
    found = ensembles.ensemble_scores(members, labels)
    assert ensembles.ensemble_scores(members[::-1], labels) == pytest.approx(found)


@given(seed=st.integers(0, 2**31))
def test_pytorch_is_the_oracle_of_the_mean(seed):
    members, labels = drawn(seed)
    found = ensembles.ensemble_scores(members, labels)
    mean = sum(member.double() for member in members) / 3
    assert found["nll"] == pytest.approx(float(F.nll_loss(mean.log(), labels)))
    assert found["accuracy"] == pytest.approx(share_of(mean.argmax(1) == labels))
    own = [float(F.nll_loss(member.double().log(), labels)) for member in members]
    assert found["nll"] <= sum(own) / 3  # by Jensen's inequality


def test_disagreement_by_hand():
    members = [sure_of([0, 1, 2, 3]), sure_of([0, 1, 2, 0]), sure_of([0, 2, 1, 0])]
    found = ensembles.ensemble_scores(members, torch.tensor([0, 1, 2, 0]))
    assert found["disagreement"] == pytest.approx((1 / 4 + 3 / 4 + 2 / 4) / 3)
    assert found["accuracy of members"] == pytest.approx((3 / 4 + 4 / 4 + 2 / 4) / 3)
    assert found["accuracy"] == 1


def test_a_label_held_impossible_costs_much_but_not_everything():
    found = ensembles.ensemble_scores([sure_of([0])], torch.tensor([1]))
    assert found["nll"] == pytest.approx(27.631, rel=1e-4)


def test_calibration_by_hand():
    """Sure and right: 0. Sure and wrong: 1. As often right as claimed: 0, in each of the bins."""
    sure = sure_of([0, 1, 2, 3]).double()
    assert ensembles.calibration_error(sure, torch.tensor([0, 1, 2, 3])) == 0
    assert ensembles.calibration_error(sure, torch.tensor([1, 2, 3, 0])) == 1
    claims = torch.tensor([[0.5, 0.3, 0.2]] * 10 + [[0.1, 0.8, 0.1]] * 10, dtype=torch.float64)
    calibrated = torch.tensor([0] * 5 + [1] * 5 + [1] * 8 + [0] * 2)
    assert ensembles.calibration_error(claims, calibrated) == pytest.approx(0, abs=1e-12)
    wrong = ensembles.calibration_error(claims, calibrated.flip(0))
    assert wrong == pytest.approx(0.5 * 0.3 + 0.5 * 0.3)


def test_bins_do_not_cancel_each_other():
    """Too sure in one bin and too unsure in another is no calibration."""
    unsure = [0.5, 0.5 - 1e-9, 1e-9]
    claims = torch.tensor([unsure] * 2 + [[1.0, 0.0, 0.0]] * 2, dtype=torch.float64)
    assert ensembles.calibration_error(claims, torch.tensor([0, 0, 0, 1])) == pytest.approx(0.5)


@pytest.mark.parametrize("share", [0.0, -0.5, 1.01])
def test_bad_shares_are_refused(share):
    lab = Lab(setting("mnist5k-mlp"), "cpu")
    with pytest.raises(ValueError, match=rf"share={share:g} must be in \(0, 1\]"):
        ensembles.ensembles(lab, ["fgmt"], share, [[Seeds(1, 2)]])


SMALL = setting("mnist5k-mlp", width=16, epochs=4, steps=2)
GROUPS = [[Seeds(1, 2), Seeds(1, 3)], [Seeds(4, 2)]]


@pytest.fixture(scope="module")
def lab(home):
    return Lab(SMALL, "cpu")


@pytest.fixture(scope="module")
def small(lab):
    return ensembles.ensembles(lab, ["naive", "fgmt"], 0.5, GROUPS)


@pytest.fixture
def found(small):
    """The rows by method and group."""
    return {(row["method"], row["group"]): row for row in small.to_dict("records")}


def test_there_is_an_ensemble_per_method_and_group(small, found):
    methods = ("full", "short", "naive", "fgmt")
    assert list(found) == [(method, group) for method in methods for group in (1, 2)]
    assert list(small["members"]) == [2, 1] * 4
    assert list(small["epochs per member"]) == [4] * 2 + [2] * 6


def test_scores_of_a_small_run_can_be_meant(small, found):
    assert ((small["accuracy"] > 0.5) & (small["accuracy"] <= 1)).all()
    assert ((small["calibration error"] >= 0) & (small["calibration error"] < 0.5)).all()
    assert (small["nll"] > 0).all()
    assert found["full", 1]["disagreement"] > 0 == found["full", 2]["disagreement"]


def test_one_fully_trained_member_is_the_kept_network(lab, found):
    target = lab.network(2)
    alone = networks.evaluate(target.model, target.end, lab.task.test)
    assert found["full", 2]["accuracy"] == pytest.approx(alone.accuracy)
    assert found["full", 2]["nll"] == pytest.approx(alone.loss, rel=1e-5)


def test_the_short_training_is_the_ordinary_one_cut_off(lab, found):
    early = lab.of(replace(SMALL, recipe=replace(SMALL.recipe, epochs=2))).network(2)
    alone = networks.evaluate(early.model, early.end, lab.task.test)
    assert found["short", 2]["accuracy"] == pytest.approx(alone.accuracy)


@pytest.mark.parametrize("method", ["naive", "fgmt"])
def test_after_a_transfer_members_are_trained_as_briefly(method, lab, found):
    member, _ = transferred(lab, method, Seeds(4, 2), epochs=2)
    alone = networks.evaluate(member.model, member.end, lab.task.test)
    assert found[method, 2]["accuracy"] == pytest.approx(alone.accuracy)
    assert found[method, 2]["nll"] == pytest.approx(alone.loss, rel=1e-5)


def test_what_was_made_is_read_back_in_every_column(small, monkeypatch):
    monkeypatch.setattr(networks, "train", None)  # nothing is trained again
    monkeypatch.setattr(ensembles, "probabilities", None)
    again = ensembles.ensembles(Lab(SMALL, "cpu"), ["naive", "fgmt"], 0.5, GROUPS)
    assert_frame_equal(again, small)


def test_with_the_networks_at_hand_nothing_is_trained(lab, small, monkeypatch):
    monkeypatch.setattr(networks, "train", None)
    for method, epochs in (("full", 4), ("short", 2), ("naive", 2), ("fgmt", 2)):
        scores = ensembles.ensemble(lab, method, epochs, [str(seeds) for seeds in GROUPS[0]])
        kept = small[(small["method"] == method) & (small["group"] == 1)]
        assert scores == kept[list(scores)].to_dict("records")[0]
