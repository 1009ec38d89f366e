"""Units of work: made once, kept under all that decides their numbers, and under nothing else."""

from __future__ import annotations

import json
import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from trajtransfer.paper.units import Clock, Kept, kept

ROWS = [{"t": 1, "accuracy": 0.1 + 0.2, "pair": "1-2", "gap": None}]


class Maker:
    """Counts how often it was asked."""

    def __init__(self, content=ROWS):
        self.content = content
        self.calls = 0

    def __call__(self):
        self.calls += 1
        return self.content


def only_file(project):
    (path,) = (project / "runs" / "tables").glob("*/table.json")
    return path


def test_a_unit_is_made_once_and_read_back_as_it_was(project):
    make = Maker()
    first = kept("steps of 1-2", {"seed": 1}, make)
    second = kept("steps of 1-2", {"seed": 1}, make)
    assert make.calls == 1 and first == second and second.content == ROWS
    assert only_file(project).parent.name.startswith("steps-of-1-2-")
    assert not list(project.rglob("*.partial*"))


def test_every_part_of_an_address_makes_another_unit(project):
    make = Maker()
    for address in ({"seed": 1}, {"seed": 2}, {"seed": 1, "code": "a"}, {"seed": "1"}):
        kept("steps", address, make)
    assert make.calls == 4 and len(list((project / "runs" / "tables").iterdir())) == 4


def test_a_killed_unit_leaves_nothing_and_is_made_by_the_next_call(project):
    def killed():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kept("steps", {"seed": 1}, killed)
    assert not list(project.rglob("table.json"))
    assert kept("steps", {"seed": 1}, Maker()).content == ROWS


def test_no_flipped_bit_goes_unnoticed(project, capsys):
    kept("steps", {"seed": 1}, Maker())
    path = only_file(project)
    intact = path.read_bytes()
    chance = random.Random(0)
    for _ in range(60):
        flipped = bytearray(intact)
        flipped[chance.randrange(len(intact))] ^= 1 << chance.randrange(8)
        path.write_bytes(flipped)
        make = Maker()
        assert kept("steps", {"seed": 1}, make).content == ROWS and make.calls == 1
        assert "it is kept as table.refused-" in capsys.readouterr().err
    assert len(list(path.parent.glob("table.refused-*.json"))) == 60


def test_the_file_of_another_unit_is_refused(project):
    kept("steps", {"seed": 1}, Maker([]))
    path = only_file(project)
    other = path.read_text()
    path.unlink()
    kept("steps", {"seed": 2}, Maker())
    (mine,) = (project / "runs" / "tables").glob("*/table.json")
    mine.write_text(other)
    assert kept("steps", {"seed": 2}, Maker()).content == ROWS


def test_of_two_makers_of_one_unit_the_second_waits(project):
    make = Maker()
    with ThreadPoolExecutor(4) as lanes:
        found = list(lanes.map(lambda _: kept("steps", {"seed": 1}, make), range(4)))
    assert make.calls == 1 and all(one.content == ROWS for one in found)


def test_what_is_not_json_is_an_error_and_not_kept(project):
    with pytest.raises(TypeError):
        kept("steps", {"seed": 1}, Maker([{"t": object()}]))
    assert not list(project.rglob("table.json"))


def test_numbers_come_back_to_the_last_digit(project):
    numbers = [0.1, 1e-300, 2**53 + 1, float("inf"), -0.0, 1 / 3]
    kept("numbers", {}, Maker(numbers))
    again = kept("numbers", {}, Maker()).content
    assert json.dumps(again) == json.dumps(numbers)


def test_a_clock_counts_units_when_they_were_made_and_the_rest_now():
    clock = Clock()
    with clock.apart():
        clock.add("steps", Kept([], 3600.0, "steps-of-1-2"))
    for _ in range(2):
        clock.add("steps", Kept([], 1800.0, "steps-of-3-4"))
    found = clock.seconds()
    assert found["steps"] == 5400.0 and 0 <= found["the rest"] < 60
