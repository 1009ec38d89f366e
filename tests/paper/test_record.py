"""Records: what a notebook found, kept under names, and written whole with where it comes from."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trajtransfer.paper.claims import Outcome, judge
from trajtransfer.paper.lab import Lab
from trajtransfer.paper.measures.measure import Measure, measure
from trajtransfer.paper.presentation import markdown_table
from trajtransfer.paper.record import Record, begin
from trajtransfer.paper.settings import setting
from trajtransfer.paper.storage.outcomes import RecordFile
from trajtransfer.paper.storage.plans import Check, Claim
from trajtransfer.paper.storage.project import RunError
from trajtransfer.paper.storage.reading import read_json
from trajtransfer.paper.storage.results import read
from trajtransfer.paper.units import Clock, Kept

TINY = setting("mnist5k-mlp", width=8, epochs=1, steps=2)
ROWS = [{"t": 1, "accuracy": 0.5}, {"t": 2, "accuracy": None}]

numbers = st.floats(allow_nan=False)
whole = st.integers(-(2**60), 2**60)
words = st.text("abc ,\"'\n;|–π", min_size=1, max_size=6)
# Each example writes its files anew.
ON_DISK = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
kinds = st.sampled_from([numbers, whole, words, st.booleans(), st.one_of(numbers, st.none())])


@st.composite
def tables(draw) -> list[dict]:
    """Tidy rows: a column holds values of one kind, some of them nothing."""
    names = draw(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=4, unique=True))
    columns = {name: draw(kinds) for name in names}
    count = draw(st.integers(1, 5))
    return [{name: draw(kind) for name, kind in columns.items()} for _ in range(count)]


@pytest.fixture(autouse=True)
def glued(monkeypatch) -> dict:
    """What was given to prose by name; the real glue starts an IPython shell."""
    found = {}
    monkeypatch.setattr("myst_nb.glue", lambda name, text, display: found.update({name: text}))
    return found


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Where the runner wants records."""
    monkeypatch.setenv("TRAJTRANSFER_RECORDS", str(tmp_path))
    return tmp_path


@pytest.fixture
def own() -> Record:
    return begin("mine", device="cpu", data={"mnist-5k": "abc"}, steps=3, methods=["gmt", "fgmt"])


def written(record: Record, folder: Path) -> RecordFile:
    record.save()
    return read_json(folder / f"{record.name}.json", RecordFile, "make it again")


def cells(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


# What is written is what was found


@given(rows=tables())
@ON_DISK
def test_the_numbers_of_a_table_are_read_back_to_the_last_digit(rows, folder, own):
    own.table("rows", rows)
    found = written(own, folder).tables["rows"]
    for row, again in zip(rows, found, strict=True):
        assert list(again) == list(row)
        for name, value in row.items():
            assert again[name] == value
            assert isinstance(again[name], str) == isinstance(value, str)


@given(rows=tables())
@ON_DISK
def test_the_file_of_a_table_holds_the_same_numbers(rows, folder, own):
    """A cell is a text that is read as the same number; nothing is an empty cell."""
    own.table("rows", rows)
    own.save()
    head, *body = cells(folder / "mine-rows.csv")
    assert head == list(rows[0])
    for row, line in zip(rows, body, strict=True):
        for value, cell in zip(row.values(), line, strict=True):
            if value is None:
                assert cell == ""
            elif isinstance(value, float):
                assert float(cell) == value
            else:
                assert cell == str(value)


@given(values=st.lists(st.floats(allow_nan=False), max_size=5))
@ON_DISK
def test_the_values_of_a_measure_are_read_back_to_the_last_digit(values, folder, own, monkeypatch):
    monkeypatch.setattr("trajtransfer.paper.record.quote", lambda *a: None)
    own.measure({"gain": measure(values, "networks")})
    found = written(own, folder)
    assert list(map(repr, found.measures["gain"])) == list(map(repr, values))
    assert found.counts == {"gain": "networks"}


@pytest.mark.parametrize("nothing", [None, math.nan, pd.NA, pd.NaT])
def test_what_is_missing_is_null_and_an_empty_cell(nothing, folder, own):
    rows = pd.DataFrame({"t": [1, 2], "gap": [nothing, 0.5], "name": ["a", None]})
    own.table("rows", rows)
    own.save()
    content = json.loads((folder / "mine.json").read_text())
    assert content["tables"]["rows"] == [
        {"t": 1, "gap": None, "name": "a"},
        {"t": 2, "gap": 0.5, "name": None},
    ]
    assert (folder / "mine-rows.csv").read_text() == "t,gap,name\n1,,a\n2,0.5,\n"


def test_a_record_is_written_whole(folder, own):
    own.table("curves", ROWS)
    own.table("empty", [])
    own.measure({"gain": measure([0.5, 0.25]), "unknown": measure([], "networks")})
    found = written(own, folder)
    assert found.name == "mine"
    assert found.tables == {"curves": ROWS, "empty": []}
    assert found.measures == {"gain": [0.5, 0.25], "unknown": []}
    assert found.counts == {"gain": "pairs", "unknown": "networks"}
    assert found.provenance.parameters == {"steps": 3, "methods": ["gmt", "fgmt"]}
    assert found.provenance.data == {"mnist-5k": "abc"}
    assert sorted(path.name for path in folder.iterdir()) == [
        "mine-curves.csv",
        "mine-empty.csv",
        "mine.json",
    ]


def test_nothing_is_written_before_it_is_saved(folder, own):
    own.table("curves", ROWS)
    own.measure({"gain": measure([0.5])})
    assert not list(folder.iterdir())


def test_a_record_that_cannot_be_written_leaves_the_old_one(folder, own):
    own.table("curves", ROWS)
    own.save()
    before = (folder / "mine.json").read_bytes()
    own.table("curves", [{"t": object()}])
    with pytest.raises(TypeError):
        own.save()
    assert (folder / "mine.json").read_bytes() == before
    assert not list(folder.glob(".*"))


def test_the_provenance_says_where_the_numbers_come_from(folder, own, monkeypatch):
    monkeypatch.setenv("TRAJTRANSFER_PROFILE", "laptop")
    own.clock.add("training", Kept([], 3600.0, "training"))
    found = written(own, folder).provenance
    assert found.profile == "laptop"
    assert found.versions.keys() >= {"python", "trajtransfer", "torch", "numpy"}
    assert found.device.startswith("cpu, ")
    assert found.seconds["training"] == 3600.0
    assert found.seconds.keys() == {"training", "the rest"}
    assert found.commit


def test_the_provenance_is_shown_where_a_record_is_saved(folder, own):
    own.clock.add("training", Kept([], 3600.0, "training"))
    shown = own.save().data
    assert "| parameters | steps 3, methods gmt, fgmt |" in shown
    assert "| data | mnist-5k abc |" in shown
    assert "training 3600.0" in shown


# Names, tables and measures


@pytest.mark.parametrize("name", ["", "../mine", "a/b", "a b", "a.b", "a-b", "ä", "mine\n"])
def test_names_that_cannot_name_files_are_refused(name, own):
    with pytest.raises(ValueError, match="is to name files; use letters, digits and underscores"):
        begin(name, device="cpu")
    with pytest.raises(ValueError, match="is to name files; use letters, digits and underscores"):
        own.table(name, ROWS)


def test_a_table_is_handed_back_as_a_frame(own):
    found = own.table("curves", ROWS)
    assert isinstance(found, pd.DataFrame) and list(found) == ["t", "accuracy"]
    assert own.table("again", found).equals(found)


def test_a_table_is_shown_as_it_is_anywhere(own):
    assert own.show(ROWS).data == markdown_table(ROWS)
    assert own.show(pd.DataFrame(ROWS)).data == markdown_table(pd.DataFrame(ROWS))


def test_prose_quotes_the_measures_of_a_record_by_its_name(own, glued):
    found = {
        "gain": measure([0.25, 0.75]),
        "slope": Measure((-0.1234,), "fits", "{:.3f}"),
        "unknown": measure([]),
    }
    own.measure(found)
    assert {name: str(text) for name, text in glued.items()} == {
        "mine-gain": "50.0%",
        "mine-slope": "-0.123",
        "mine-unknown": "–",
    }
    assert own.measures == found


@pytest.mark.parametrize(
    ("values", "outcome", "quoted"),
    [
        ((), Outcome.OPEN, "–"),
        ((0.5, math.nan), Outcome.UNDECIDED, "nan%"),
        ((0.5, 0.5), Outcome.HOLDS, "50.0%"),
    ],
)
def test_what_a_run_cannot_tell_decides_nothing(values, outcome, quoted, folder, own, glued):
    """No value stands for it; a NaN among the values of pairs is one, and meets no criterion."""
    own.measure({"effect": measure(values)})
    record = written(own, folder)
    about = {"record": "mine", "measure": "effect", "says": "an effect"}
    check = Check(**about, at_least=0, primary=True)
    claim = Claim(id="C1", claim="It has one.", where="Figure 1", checks=[check])
    assert judge(claim, [], {"mine": record}).outcome is outcome
    assert str(glued["mine-effect"]) == quoted


# How a record begins, and where it is saved


def laboratory(device: str, **data: str) -> SimpleNamespace:
    """What a record asks of a laboratory."""
    return SimpleNamespace(device=device, clock=Clock(), checksums=lambda: data)


def test_a_record_of_laboratories_has_the_data_of_all_and_the_clock_of_the_first():
    labs = [laboratory("cpu", digits="1"), laboratory("cpu", clothes="2")]
    for chosen, expected in ((labs, ["digits", "clothes"]), (labs[:1], ["digits"])):
        found = begin("mine", *chosen, pairs="1-2")
        assert list(found.data) == expected
        assert found.device == "cpu" and found.clock is labs[0].clock
        assert found.parameters == {"pairs": "1-2"}


def test_a_laboratory_is_what_a_record_asks_of_it(project):
    lab = Lab(TINY, "cpu")
    found = begin("mine", lab, **lab.setting.facts())
    assert found.device == "cpu" and found.clock is lab.clock
    assert found.data == lab.checksums() and found.data.keys() == {"mnist-5k"}
    assert found.parameters == TINY.facts()


def test_a_record_without_a_laboratory_says_what_one_would():
    found = begin("mine", device="cpu:0", data={"own": "123"}, width=8)
    assert found.device == "cpu" and found.data == {"own": "123"}
    assert found.parameters == {"width": 8}
    with pytest.raises(ValueError, match="device 'abacus' is not available"):
        begin("mine", device="abacus")


def test_a_notebook_of_one_s_own_saves_among_the_results_of_notebooks(project, monkeypatch, own):
    monkeypatch.delenv("TRAJTRANSFER_RECORDS", raising=False)
    here = project / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    for number in (1, 2):
        own.table("curves", [{"t": number}])
        own.save()
        listing, records = read(project / "runs" / "notebooks")
        assert list(listing.runs) == ["mine"]
        assert records["mine"].tables == {"curves": [{"t": number}]}
    assert not list(here.iterdir())


def test_the_file_of_somebody_else_is_left_alone(project, monkeypatch, own):
    monkeypatch.delenv("TRAJTRANSFER_RECORDS", raising=False)
    own.save()
    other = begin("theirs", device="cpu")
    path = project / "runs" / "notebooks" / "theirs.json"
    path.write_text("mine")
    with pytest.raises(RunError, match=r"theirs\.json is not a result that was made here"):
        other.save()
    assert path.read_text() == "mine"
