"""What parameters notebooks have, and what is taken for a value of theirs."""

from __future__ import annotations

import re
import shlex

import nbformat
import pytest
from conftest import ROOT

from trajtransfer.paper.storage.documents import DocumentError
from trajtransfer.paper.storage.project import RunError
from trajtransfer.publish.parameters import (
    convert,
    notebooks,
    parameters,
    parse_assignment,
    shown,
    written,
)

TRANSFER = ROOT / "notebooks" / "transfer.ipynb"
COST = ROOT / "notebooks" / "cost.ipynb"
INPUTS = sorted((ROOT / "notebooks").glob("*.ipynb"))
DECLARED = """\
steps: int = 3  # how many
lr: float = 0.05  # how far
name: str = "a # b"  # what it is called, and why
fast: bool = False  # whether
widths: list = [8, 32]  # how wide
shares: list = [0.5, 1.0]  # which parts
methods: list = ["naive", "gmt"]  # which
own: list = []
record: str = "own"  # set by the runner"""


def notebook(folder, source, tags=("parameters",)):
    """A notebook with one cell."""
    cell = nbformat.v4.new_code_cell(source, metadata={"tags": list(tags)})
    path = folder / "own.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
    return path


@pytest.fixture
def own(tmp_path):
    """A notebook with a parameter of every type."""
    return notebook(tmp_path, DECLARED)


def test_parameters_have_types_defaults_and_help(own):
    found = parameters(own)
    assert list(found) == ["steps", "lr", "name", "fast", "widths", "shares", "methods", "own"]
    assert found["steps"] == ("steps", "int", 3, "how many")
    assert found["name"] == ("name", "str", "a # b", "what it is called, and why")
    assert found["widths"] == ("widths", "list", [8, 32], "how wide")
    assert found["own"] == ("own", "list", [], "")


def test_those_of_a_notebook_are_read():
    found = parameters(TRANSFER)
    assert found["steps"].kind == "int" and "length T" in found["steps"].help
    assert found["methods"].kind == "list" and found["methods"].default[0] == "naive"
    assert "record" not in found


def test_a_notebook_without_parameters_has_none(tmp_path):
    assert parameters(notebook(tmp_path, "import torch", ())) == {}


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("steps = 3  # how many", "line 1 is not of the form `name: type = default  # help`"),
        ("a: int = 1\nsteps: int", "line 2 is not of the form"),
        ("steps: complex = 1j", "line 1 is not of the form"),
        ("steps: list[int] = [1]", "line 1 is not of the form"),
        ("import torch", "line 1 is not of the form"),
        ("steps: int = 2 * 3", "malformed node or string"),
        ("steps: int = print()", "malformed node or string"),
        ("steps: int = 0.5", "the default of steps is not of type int"),
        ("width: float = 1", "the default of width is not of type float"),
        ("steps: int = True", "the default of steps is not of type int"),
        ("widths: list = [1, 'a']", r"widths=\[1, \"a\"\] is not a list of whole numbers"),
        ("widths: list = [[1]]", "widths holds neither numbers nor texts"),
        ("steps: int = (", "was never closed"),
        ('name: str = """', "unterminated"),
    ],
)
def test_parameters_of_another_form_are_refused_with_the_file(source, message, tmp_path):
    path = notebook(tmp_path, source)
    with pytest.raises(DocumentError, match=rf"^{path}: its parameters cannot be read .*{message}"):
        parameters(path)


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: path.stem)
def test_what_papermill_puts_in_is_what_we_read(path):
    """Papermill reads the same names, types, defaults and help."""
    import papermill

    inferred = papermill.inspect_notebook(str(path))
    inferred.pop("record")
    assert {
        name: (one.kind, repr(one.default).replace("'", '"'), one.help)
        for name, one in parameters(path).items()
    } == {
        name: (one["inferred_type_name"], one["default"], one["help"])
        for name, one in inferred.items()
    }


def test_values_are_converted_by_type(own):
    given = {"steps": "4", "lr": "1e-3", "name": "x", "fast": "True", "widths": "[1, 2]"}
    expected = {"steps": 4, "lr": 0.001, "name": "x", "fast": True, "widths": [1, 2]}
    assert convert(own, given) == expected
    assert convert(own, expected) == expected


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("widths", "[]", []),
        ("widths", [], []),
        ("widths", "- 8\n- 32", [8, 32]),
        ("own", "[7]", [7]),
        ("shares", [1, 0.25], [1.0, 0.25]),
        ("methods", "[naive, 'gmt']", ["naive", "gmt"]),
        ("methods", '["1-2, 1-3", 2-1]', ["1-2, 1-3", "2-1"]),
    ],
)
def test_a_list_is_given_as_such_or_in_yaml(name, value, expected, own):
    found = convert(own, {name: value})[name]
    assert found == expected and [type(x) for x in found] == [type(x) for x in expected]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("widths", "8", "widths='8' is not a list, such as [8, 32]"),
        ("widths", "8, 32", "widths='8, 32' is not a list, such as [8, 32]"),
        ("widths", 8, "widths=8 is not a list, such as [8, 32]"),
        ("widths", "", "widths='' is not a list, such as [8, 32]"),
        ("widths", "[8, 32", "widths='[8, 32' is not a list, such as [8, 32]"),
        ("widths", "{8: 32}", "widths='{8: 32}' is not a list, such as [8, 32]"),
        pytest.param("widths", "[" * 5000, "is not a list, such as [8, 32]", id="deep"),
        ("widths", "[2020-13-45]", "is not a list, such as [8, 32]"),
        ("widths", "[!!python/object:os.system {}]", "is not a list, such as [8, 32]"),
        ("widths", ["8"], 'widths=["8"] is not a list of whole numbers, such as [8, 32]'),
        ("widths", [8.0], "widths=[8.0] is not a list of whole numbers, such as [8, 32]"),
        ("widths", [True], "widths=[true] is not a list of whole numbers, such as [8, 32]"),
        ("widths", [[8]], "widths=[[8]] is not a list of whole numbers, such as [8, 32]"),
        ("widths", "[2020-01-01]", "is not a list of whole numbers, such as [8, 32]"),
        ("own", "x", "own='x' is not a list, such as [8, 32]"),
        ("shares", ["a"], 'shares=["a"] is not a list of numbers, such as [0.5, 1.0]'),
        ("methods", "naive", 'methods=\'naive\' is not a list, such as ["naive", "gmt"]'),
        ("methods", [3], 'methods=[3] is not a list of texts, such as ["naive", "gmt"]'),
        ("steps", True, "steps=True is not of type int (default: 3)"),
        ("steps", 2.5, "steps=2.5 is not of type int (default: 3)"),
        ("steps", [2], "steps=[2] is not of type int (default: 3)"),
        ("lr", [0.1], "lr=[0.1] is not of type float (default: 0.05)"),
        ("name", ["a"], "name=['a'] is not of type str (default: 'a # b')"),
        ("fast", 1, "fast=1 is not of type bool (default: False)"),
        ("fast", "yes", "fast='yes' is not of type bool (default: False)"),
        ("fast", [True], "fast=[True] is not of type bool (default: False)"),
        ("record", "mine", "own has no parameter 'record'; it has: steps, lr"),
        ("widht", 8, "own has no parameter 'widht'; it has: steps, lr"),
    ],
)
def test_what_is_of_another_type_or_unknown_is_refused(name, value, message, own):
    with pytest.raises(RunError, match=re.escape(message)):
        convert(own, {name: value})


@pytest.mark.parametrize("value", [[8, 32], [], ["naive"], ["1-2, 1-3", "it's"], ["é", '"', "#"]])
def test_a_list_that_was_written_is_read_back(value, tmp_path):
    default = value[:1] or [1]
    path = notebook(tmp_path, f"own: list = {default!r}")
    (words,) = shlex.split(f"own={shlex.quote(written(value))}")
    assert convert(path, dict([parse_assignment(words)])) == {"own": value}


def test_defaults_are_shown_as_they_are_written(own):
    found = {name: shown(one) for name, one in parameters(own).items()}
    assert (found["name"], found["lr"], found["fast"]) == ("'a # b'", "0.05", "False")
    assert (found["widths"], found["methods"]) == ("[8, 32]", '["naive", "gmt"]')


def test_there_are_notebooks_in_a_checkout_only(tmp_path):
    assert notebooks(ROOT) == INPUTS
    with pytest.raises(RunError, match="run this inside a checkout of trajtransfer"):
        notebooks(tmp_path)
