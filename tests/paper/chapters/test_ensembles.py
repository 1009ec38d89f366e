"""Ensembles: laws of the scores, PyTorch as their oracle, and one small run."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from trajtransfer.paper import networks
from trajtransfer.paper.chapters import ensembles
from trajtransfer.paper.settings import setting


def drawn(seed: int, members: int = 3, n: int = 40, classes: int = 4) -> tuple[list[torch.Tensor], torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(members, n, classes, generator=generator)
    return list(logits.softmax(2)), torch.randint(classes, (n,), generator=generator)


def sure_of(classes: list[int]) -> torch.Tensor:
    return F.one_hot(torch.tensor(classes), 4).float()


@given(seed=st.integers(0, 2**31))
def test_one_member_has_its_own_scores(seed):
    (member,), labels = drawn(seed, members=1)
    found = ensembles.ensemble_scores([member], labels)
    assert found["accuracy"] == found["accuracy of members"] == pytest.approx(float((member.argmax(1) == labels).float().mean()))
    assert found["disagreement"] == 0 and found["nll"] == pytest.approx(float(F.nll_loss(member.log(), labels)), rel=1e-5)
    assert found["calibration error"] == ensembles.calibration_error(member.double(), labels)


@given(seed=st.integers(0, 2**31), copies=st.integers(2, 5))
def test_copies_of_one_member_change_nothing(seed, copies):
    (member,), labels = drawn(seed, members=1)
    once, often = (ensembles.ensemble_scores([member] * count, labels) for count in (1, copies))
    assert often == pytest.approx(once) and often["disagreement"] == 0


@given(seed=st.integers(0, 2**31))
def test_the_order_of_members_does_not_matter(seed):
    members, labels = drawn(seed)
    assert ensembles.ensemble_scores(members[::-1], labels) == pytest.approx(ensembles.ensemble_scores(members, labels))


@given(seed=st.integers(0, 2**31))
def test_pytorch_is_the_oracle_of_the_mean(seed):
    members, labels = drawn(seed)
    found, mean = ensembles.ensemble_scores(members, labels), sum(m.double() for m in members) / 3
    assert found["nll"] == pytest.approx(float(F.nll_loss(mean.log(), labels)))
    assert found["accuracy"] == pytest.approx(float((mean.argmax(1) == labels).double().mean()))
    own = [float(F.nll_loss(m.double().log(), labels)) for m in members]
    assert found["nll"] <= sum(own) / 3  # by Jensen's inequality


def test_disagreement_by_hand():
    members = [sure_of([0, 1, 2, 3]), sure_of([0, 1, 2, 0]), sure_of([0, 2, 1, 0])]
    found = ensembles.ensemble_scores(members, torch.tensor([0, 1, 2, 0]))
    assert found["disagreement"] == pytest.approx((1 / 4 + 3 / 4 + 2 / 4) / 3)
    assert found["accuracy of members"] == pytest.approx((3 / 4 + 4 / 4 + 2 / 4) / 3) and found["accuracy"] == 1


def test_a_label_held_impossible_costs_much_but_not_everything():
    assert ensembles.ensemble_scores([sure_of([0])], torch.tensor([1]))["nll"] == pytest.approx(27.631, rel=1e-4)


def test_calibration_by_hand():
    """Sure and right: 0. Sure and wrong: 1. Right as often as claimed: 0, in every bin of its own."""
    sure = sure_of([0, 1, 2, 3]).double()
    assert ensembles.calibration_error(sure, torch.tensor([0, 1, 2, 3])) == 0
    assert ensembles.calibration_error(sure, torch.tensor([1, 2, 3, 0])) == 1
    claims = torch.tensor([[0.5, 0.3, 0.2]] * 10 + [[0.1, 0.8, 0.1]] * 10, dtype=torch.float64)
    calibrated = torch.tensor([0] * 5 + [1] * 5 + [1] * 8 + [0] * 2)
    assert ensembles.calibration_error(claims, calibrated) == pytest.approx(0, abs=1e-12)
    assert ensembles.calibration_error(claims, calibrated.flip(0)) == pytest.approx(0.5 * 0.3 + 0.5 * 0.3)


def test_bins_do_not_cancel_each_other():
    """Too sure in one bin and too unsure in another is no calibration."""
    claims = torch.tensor([[0.5, 0.5 - 1e-9, 1e-9]] * 2 + [[1.0, 0.0, 0.0]] * 2, dtype=torch.float64)
    assert ensembles.calibration_error(claims, torch.tensor([0, 0, 0, 1])) == pytest.approx(0.5)


def test_groups_are_read():
    assert ensembles.parse_groups("1-2, 1-3; 4-5, 4-6") == [[(1, 2), (1, 3)], [(4, 5), (4, 6)]]
    for text, message in (("1-2;", "not of the form"), ("1-2; 3-3", "seed pair 3-3"), ("1-2, 1-2; 3-4", "names a pair twice")):
        with pytest.raises(ValueError, match=message):
            ensembles.parse_groups(text)


@pytest.mark.parametrize("share", [0.0, -0.5, 1.01])
def test_bad_shares_are_refused(share):
    with pytest.raises(ValueError, match=rf"share={share:g} must be in \(0, 1\]"):
        ensembles.ensemble_rows(setting("mnist5k-mlp"), ["fgmt"], share, [[(1, 2)]], "cpu")


def test_a_small_run(project, monkeypatch):
    chosen = setting("mnist5k-mlp", width=16, epochs=4, steps=2)
    rows = ensembles.ensemble_rows(chosen, ["naive", "fgmt"], 0.5, [[(1, 2), (1, 3)], [(4, 2)]], "cpu")
    found = {(row["method"], row["group"]): row for row in rows}
    assert list(found) == [(method, group) for method in ("full", "short", "naive", "fgmt") for group in (1, 2)]
    assert {row["epochs per member"] for row in rows if row["method"] != "full"} == {2} == {found["full", 1]["members"]}
    assert found["full", 1]["epochs per member"] == 4 and found["fgmt", 2]["members"] == 1
    assert all(0.5 < row["accuracy"] <= 1 and 0 <= row["calibration error"] < 0.5 and row["nll"] > 0 for row in rows)
    assert found["full", 1]["disagreement"] > 0 == found["full", 2]["disagreement"]
    target, test = networks.network(chosen, 2), networks.task_of(chosen).test
    alone = networks.evaluate(target.model, target.end, test)
    assert found["full", 2]["accuracy"] == pytest.approx(alone.accuracy)
    assert found["full", 2]["nll"] == pytest.approx(alone.loss, rel=1e-5)
    early = replace(chosen, recipe=replace(chosen.recipe, epochs=2))  # the short training is the ordinary one, cut off
    assert found["short", 2]["accuracy"] == pytest.approx(
        networks.evaluate(target.model, networks.network(early, 2).end, test).accuracy
    )
    monkeypatch.setattr(networks, "train", None)  # everything is cached
    assert ensembles.ensemble_rows(chosen, ["naive", "fgmt"], 0.5, [[(1, 2), (1, 3)], [(4, 2)]], "cpu") == rows
