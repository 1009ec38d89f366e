"""Whose a folder is: what is not ours is refused by name, and left as it was."""

from __future__ import annotations

import pytest
from conftest import ROOT

from tests.folders import contents, put
from trajtransfer.paper.storage import results
from trajtransfer.paper.storage.documents import DocumentError
from trajtransfer.paper.storage.folders import WORK
from trajtransfer.paper.storage.project import RunError


@pytest.mark.parametrize(
    "foreign", ["transfer.ipynb", "profile.json", ".vscode-server/bin", ".a-b/c", "notes.txt"]
)
def test_a_folder_of_somebody_else_is_refused_by_name_and_left_as_it_was(foreign, tmp_path):
    path = tmp_path / foreign
    path.parent.mkdir(exist_ok=True)
    path.write_text("mine")
    before = contents(tmp_path)
    with pytest.raises(
        RunError, match=r"holds files that trajtransfer did not make.*choose another --output"
    ) as error:
        put(tmp_path, "transfer")
    assert str(tmp_path) in str(error.value) and contents(tmp_path) == before


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "null", '{"made_by": "somebody"}', '{"runs": []}', "\x00", "{" * 5000]
)
def test_a_foreign_listing_is_no_marker(text, tmp_path):
    (tmp_path / "results.json").write_text(text)
    before = contents(tmp_path)
    with pytest.raises(
        DocumentError, match=r"results\.json: .*so nothing says which files trajtransfer made here"
    ):
        put(tmp_path, "transfer")
    assert contents(tmp_path) == before


SOURCES = [
    "notebooks",
    "notebooks/profiles",
    "book",
    "book/_static/x",
    "tests",
    "trajtransfer",
    "benchmarks/new",
    ".git/x",
]


@pytest.mark.parametrize("place", SOURCES)
def test_the_sources_are_refused(place, tmp_path):
    with pytest.raises(
        RunError, match=r"is among the sources of the project.*choose another --output"
    ):
        put(ROOT / place, "transfer")
    link = tmp_path / "link"
    link.symlink_to(ROOT / place)
    with pytest.raises(RunError, match="is among the sources of the project"):
        put(link, "transfer")


def test_files_with_similar_names_are_not_ours(tmp_path):
    put(tmp_path, "transfer", tables=("curves", "cost"))
    put(tmp_path, "transfer_wide")
    mine = [
        "transfer-wide-curves.csv",
        "transfer.v2.ipynb",
        "transfer.json.bak",
        "transfer-curves.csv.old",
        ".a-b",
    ]
    for name in mine:
        (tmp_path / name).write_text("mine")
    put(tmp_path, "transfer", 2)  # without its table of costs
    with results.opened(ROOT, tmp_path) as ours:
        ours.drop(["transfer"])
    left = contents(tmp_path)
    assert all(left[name] == b"mine" for name in mine)
    wide = [f"transfer_wide{end}" for end in (".ipynb", ".json", "-curves.csv")]
    assert {name for name in left if name.startswith("transfer")} == {*mine[:-1], *wide}


@pytest.mark.parametrize("name", ["transfer.ipynb", "transfer.json"])
def test_what_is_in_the_way_and_not_ours_is_refused(name, tmp_path):
    put(tmp_path, "theorem")
    (tmp_path / name).write_text("mine")
    with (
        results.opened(ROOT, tmp_path) as ours,
        pytest.raises(RunError, match=f"{name} is not a result that was made here"),
    ):
        ours.require_room("transfer")
    assert (tmp_path / name).read_text() == "mine"


def test_links_are_left_alone(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious.ipynb").write_text("mine")
    folder = tmp_path / "results"
    put(folder, "theorem")
    (folder / f"{WORK}1-x").symlink_to(elsewhere)
    (folder / "transfer.ipynb").symlink_to(elsewhere / "precious.ipynb")
    with (
        results.opened(ROOT, folder) as ours,
        pytest.raises(RunError, match=r"transfer\.ipynb is not a result"),
    ):
        ours.require_room("transfer")
    (folder / "theorem.ipynb").unlink()
    (folder / "theorem.ipynb").symlink_to(elsewhere / "precious.ipynb")
    with results.opened(ROOT, folder) as ours:
        ours.drop(["theorem"])
    assert (folder / "theorem.ipynb").is_symlink()
    assert contents(elsewhere) == {"precious.ipynb": b"mine"}


def test_only_our_own_leftovers_are_removed(tmp_path):
    put(tmp_path, "transfer")
    for name in (".git-hooks", ".transfer-abc", "work-1"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine").write_text("mine")
    (tmp_path / f"{WORK}99999-transfer-abc").mkdir()
    (tmp_path / f"{WORK}99999-transfer-abc" / "half").write_text("half")
    (tmp_path / ".results.json.99999.partial").write_text("half")
    put(tmp_path, "transfer", 2)
    left = list(contents(tmp_path).values())
    assert left.count(b"mine") == 3 and b"half" not in left


def test_results_of_another_profile_are_not_written_over(tmp_path):
    put(tmp_path, "transfer")
    before = contents(tmp_path)
    with (
        pytest.raises(RunError, match=r"holds the profile own, not quick"),
        results.opened(ROOT, tmp_path, "quick"),
    ):
        pass
    assert contents(tmp_path) == before


def test_a_file_in_place_of_a_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(
        RunError, match=r"cannot be written \(.*Not a directory.*\); choose another --output"
    ):
        put(tmp_path / "file" / "below", "transfer")
