"""Where others make what is missing, all of it is asked for with what it needs; none is made."""

from __future__ import annotations

from dataclasses import replace

import pytest

from trajtransfer.paper import networks, requests, transfers
from trajtransfer.paper.chapters import assumption_p, ensembles, generalization, trajectories
from trajtransfer.paper.lab import Lab
from trajtransfer.paper.record import begin
from trajtransfer.paper.requests import ASKED, AskedError
from trajtransfer.paper.seeds import Seeds
from trajtransfer.paper.settings import setting
from trajtransfer.paper.unit_of_work import contents

TINY = setting("mnist5k-mlp", width=8, epochs=1, steps=2)
LATER = setting("digits59-mlp", width=8, epochs=1, steps=2)
PAIR = Seeds(1, 2)

pytestmark = pytest.mark.slow


@pytest.fixture
def asked(project, tmp_path, monkeypatch):
    """The file of what is asked for; nothing is trained."""
    path = tmp_path / "asked.json"
    monkeypatch.setenv(ASKED, str(path))
    monkeypatch.setattr(networks, "train", lambda *_, **__: pytest.fail("trained"))
    return path


def asks(path, do):
    """The requests that something ends with."""
    with pytest.raises(AskedError, match="are asked for"):
        do()
    found = requests.read(path)
    path.unlink()
    return found


def seeds_of(found):
    return [one.arguments[0].plain for one in found]


def test_networks_are_asked_for_together_and_after_what_they_start_from(asked):
    found = asks(asked, lambda: Lab(TINY, "cpu").networks([1, 2, 3]))
    assert seeds_of(found) == [1, 2, 3] and not any(one.needs for one in found)
    (one,) = asks(asked, lambda: Lab(LATER, "cpu").network(4))
    assert one.setting == LATER
    (parent,) = one.needs
    assert (parent.setting, seeds_of([parent])) == (LATER.pretrained, [4])
    (one,) = asks(asked, lambda: Lab(TINY, "cpu").recorded(5))
    assert one.made_by.endswith(".recorded")


def test_units_are_asked_for_together_with_the_networks_that_they_need(asked):
    lab = Lab(TINY, "cpu")
    found = asks(asked, lambda: transfers.transfers(lab, ["naive", "fgmt"], [PAIR, Seeds(3, 4)]))
    assert len({one.key for one in found}) == len(found) == 4
    assert [one.arguments[0].plain for one in found] == ["naive", "fgmt"] * 2
    assert [one.arguments[1].seeds for one in found] == ["1-2", "1-2", "3-4", "3-4"]
    assert [seeds_of(one.needs) for one in found] == [[1, 2], [1, 2], [3, 4], [3, 4]]


def test_what_is_there_is_not_asked_for(project, asked, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setenv("TRAJTRANSFER_HOME", str(project))
    lab = Lab(TINY, "cpu")
    lab.network(1)
    rows = lab.kept(transfers.transfer, "naive", PAIR)
    monkeypatch.setenv(ASKED, str(asked))
    again = Lab(TINY, "cpu")
    again.networks([1, 2])
    assert contents([again.unit(transfers.transfer, "naive", PAIR)]) == [rows]
    (one,) = asks(asked, lambda: transfers.transfers(again, ["naive", "fgmt"], [PAIR]))
    assert not one.needs


def test_networks_that_a_unit_takes_untrained_are_not_needed(asked):
    lab = Lab(LATER, "cpu")
    poor = lab.of(LATER.with_source_fraction(0.5))
    (one,) = asks(asked, lambda: lab.kept(assumption_p.update_cosines, PAIR, 1, 2, True))
    assert {need.setting for need in one.needs} == {LATER.pretrained}
    (one,) = asks(asked, lambda: lab.kept(generalization.after_transfer, PAIR, poor, "fgmt"))
    needs = [(need.setting, seeds_of([need])) for need in one.needs]
    assert needs == [(poor.setting, [1]), (LATER, [2])]


def test_a_recorded_source_is_needed_once_for_all_its_trajectories(asked):
    found = asks(asked, lambda: trajectories.transfers(Lab(TINY, "cpu"), ["naive"], [PAIR]))
    assert len(found) == len(trajectories.KINDS)
    keys = {tuple(need.key for need in one.needs) for one in found}
    ((source, target),) = keys
    assert source.startswith("recorded-") and not target.startswith("recorded-")


def test_members_of_ensembles_need_what_they_start_from(asked):
    for method, epochs, needs in (("fgmt", 1, 3), ("full", 1, 3), ("short", 2, 0)):
        given = (ensembles.ensemble, method, epochs, ["1-2", "1-3"])
        (one,) = asks(asked, lambda given=given: Lab(TINY, "cpu").kept(*given))
        assert len({need.key for need in one.needs}) == needs


def test_the_first_network_that_is_missing_is_asked_for_with_all_that_are_expected(asked):
    lab = Lab(TINY, "cpu")
    begin("some", lab, pairs="1-2, 1-3")
    assert seeds_of(asks(asked, lambda: lab.network(1))) == [1, 2, 3]
    assert seeds_of(asks(asked, lambda: lab.networks([5]))) == [5, 1, 2, 3]


def test_requests_are_read_as_they_were_written(asked, tmp_path):
    found = asks(asked, lambda: Lab(LATER, "cpu").kept(transfers.transfer, "fgmt", PAIR))
    path = tmp_path / "again.json"
    requests.write(path, found)
    assert requests.read(path) == found
    path.write_text("[1]")
    with pytest.raises(ValueError, match="validation error"):
        requests.read(path)


def test_a_key_is_that_of_what_decides_the_numbers(asked):
    """What comes after the training is no part of a network, and it is of its rows."""
    keys = set()
    for steps in (2, 3):
        lab = Lab(replace(TINY, steps=steps), "cpu")
        (network,) = asks(asked, lambda lab=lab: lab.network(1))
        (rows,) = asks(asked, lambda lab=lab: lab.kept(transfers.transfer, "naive", PAIR))
        keys |= {network.key, rows.key}
    assert len(keys) == 3
