"""Input that cannot be meant, and files of a user in the way."""

from __future__ import annotations

import contextlib
import io
from functools import partial
from pathlib import Path
from unittest import mock

from tests.bad_inputs import CASES
from tests.campaign.tally import Tally, home, refused
from tests.folders import ROOT, contents
from tests.paper.storage.test_reading import MALFORMED, READERS
from tests.publish import test_meaning
from trajtransfer.publish import cli, runner
from trajtransfer.publish.meaning import check_meaning

MINE = (
    "notes.txt",
    "transfer.ipynb",
    "transfer.json",
    "profile.json",
    ".vscode-server/bin",
    ".a-1/x",
    "results.json",
)
SOURCES = ("notebooks", "book", "book/_static", "tests", "trajtransfer", ".git", ".")
COMMANDS = (["run", "transfer"], ["reproduce"])


def bad_values(folder: Path, share: float) -> Tally:
    """Tensors, permutations, trajectories, data files given to the library."""
    tally = Tally("bad input: the library")
    for number, (name, call, words) in enumerate(_some(CASES, share)):
        place = folder / str(number)
        place.mkdir(parents=True)
        tally.add(refused(partial(call, place), words), name)
    return tally


def bad_parameters(share: float) -> Tally:
    """Parameters of notebooks."""
    tally = Tally("bad input: parameters of notebooks")
    for notebook, name, value, _ in _some(test_meaning.CASES, share):
        path = ROOT / "notebooks" / f"{notebook}.ipynb"
        tally.add(refused(partial(check_meaning, path, {name: value})), f"{name}={value}")
    return tally


def bad_documents(folder: Path) -> Tally:
    """Malformed profiles, contents, listings, records and notebooks."""
    tally = Tally("bad input: documents")
    folder.mkdir()
    path = folder / "file"
    for kind, reader in READERS.items():
        for name, content in MALFORMED.items():
            path.write_bytes(content)
            tally.add(refused(partial(reader.read, path), str(path)), f"{name} as {kind}")
    return tally


def bad_commands(folder: Path) -> Tally:
    """Results in folders of somebody else or of the sources: refused, and left as they were."""
    tally = Tally("bad input: folders of the user and of the sources")
    for name in MINE:
        mine = folder / name.replace("/", "_")
        (mine / name).parent.mkdir(parents=True)
        (mine / name).write_text("mine")
        for command in COMMANDS:
            before = contents(mine)
            fine, said = _is_refused(command, mine)
            tally.add(fine and contents(mine) == before, f"{command} --output {mine}: {said}")
    for name in SOURCES:
        for command in COMMANDS:
            fine, said = _is_refused(command, ROOT / name)
            tally.add(fine, f"{command} --output {name}: {said}")
    return tally


def _is_refused(command: list[str], folder: Path) -> tuple[bool, str]:
    """Whether a command will not write into a folder and names it, and what it says."""
    said = io.StringIO()
    with (
        home(ROOT),
        mock.patch.object(runner, "_execute", None),  # what is not refused fails otherwise
        contextlib.redirect_stderr(said),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        code = cli.main([*command, "--output", str(folder)])
    return code == 1 and str(folder) in said.getvalue(), said.getvalue()


def _some(cases: list, share: float) -> list:
    """The first of the cases."""
    return cases[: max(1, round(share * len(cases)))]
