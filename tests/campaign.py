"""A hostile trial of what is kept on disk: ``python -m tests.campaign`` prints a table and fails if anything was lost.

Processes are killed at random moments, bits flipped in every kind of file that is read back, input given that cannot be
meant, and files of a user put in the way. Nothing of the user's may be lost, and nothing wrong be taken for right.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import bad_inputs
import numpy as np
import test_documents
import test_run_parameters
from PIL import Image

from tests.folders import ROOT, contents, put
from trajtransfer.paper import checkpoints, networks
from trajtransfer.paper.datasets import tasks
from trajtransfer.paper.record import markdown_table
from trajtransfer.paper.settings import Setting, setting
from trajtransfer.paper.storage import results
from trajtransfer.paper.storage.documents import DocumentError
from trajtransfer.paper.storage.project import RunError
from trajtransfer.publish import cli, run_parameters, runner

REFUSALS = (RunError, ValueError, TypeError, OSError)
WORDS = {"transfer-notes.csv": "mine", "transfer.v2.ipynb": "mine too", ".vscode-server/settings": "and this"}


@dataclass
class Tally:
    """What was tried in one part of the trial, what went well, and what did not."""

    part: str
    tried: int = 0
    well: int = 0
    wrong: list[str] = field(default_factory=list)

    def add(self, fine: bool, what: str) -> None:
        """Count one trial."""
        self.tried += 1
        self.well += fine
        if not fine:
            self.wrong.append(what)


def main() -> int:
    """Run all parts at their full size; 1 when anything was lost or wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="other moments, other bits")
    chance = random.Random(parser.parse_args().seed)
    clock = time.perf_counter()
    with tempfile.TemporaryDirectory() as work:
        tallies = campaign(Path(work), chance)
    rows = [{"part": t.part, "tried": t.tried, "as it should be": t.well, "lost or wrong": len(t.wrong)} for t in tallies]
    print(f"{markdown_table(rows)}\n\n{time.perf_counter() - clock:.0f} s")
    wrong = [f"{tally.part}: {what}" for tally in tallies for what in tally.wrong]
    print("\n".join(wrong))
    return int(bool(wrong))


def campaign(work: Path, chance: random.Random, share: float = 1.0) -> list[Tally]:
    """All parts, each of a `share` of its full size."""

    def times(full: int) -> int:
        return max(1, round(share * full))

    return [
        killed_writers(work / "writers", chance, times(24)),
        killed_trainings(work / "trainings", chance, times(14)),
        killed_profiles(work / "profiles", chance, times(6)),
        flips_in_checkpoints(work / "checkpoints", chance, times(240)),
        flips_in_results(work / "results", chance, times(240)),
        flips_in_data(work / "data", chance, times(60)),
        bad_values(work / "bad", times(len(bad_inputs.CASES))),
        bad_parameters(times(len(test_run_parameters.CASES))),
        bad_documents(work / "documents"),
        bad_commands(work / "commands"),
    ]


# --- kills


def killed_writers(folder: Path, chance: random.Random, kills: int) -> Tally:
    """A process that puts results into a folder again and again is killed; every result is whole or refused."""
    tally = Tally("kills: results taking their place")
    put(folder, "theorem")
    _write_words(folder)
    code = "import itertools, sys; from pathlib import Path; from tests.folders import put; print('ready', flush=True)\n"
    code += "for n in itertools.count(): put(Path(sys.argv[1]), ('transfer', 'basins')[n % 2], n, ('curves', 'notes')[: n % 3])"
    for number in range(kills):
        _kill_after([sys.executable, "-c", code, str(folder)], chance.uniform(0, 0.3))
        tally.add(_words_are_there(folder) and _whole_or_refused(folder), f"kill {number} of a writer")
    put(folder, "transfer", 7)
    put(folder, "basins", 7)
    tally.add(set(results.read(folder)[1]) == {"theorem", "transfer", "basins"}, "the results after the last kill")
    return tally


def killed_trainings(folder: Path, chance: random.Random, kills: int) -> Tally:
    """A training is killed again and again, and ends with the numbers of one that was not."""
    tally = Tally("kills: training")
    chosen = _small()
    code = "import sys; from tests import campaign; from trajtransfer.paper import networks; print('ready', flush=True)\n"
    code += "chosen = campaign._small()\n"
    code += "while True: networks.recorded(chosen, 1); networks.network(chosen, 2); campaign._forget()"
    environment = os.environ | {"TRAJTRANSFER_HOME": str(folder)}
    whole = _trained(folder / "whole", chosen)
    for number in range(kills):
        _kill_after([sys.executable, "-c", code], chance.uniform(0, 1.5), environment)
        tally.add(_trained(folder, chosen) == whole, f"the networks after kill {number}")
        with _home(folder):
            _forget()
    left = [path.name for path in folder.rglob("*.partial")]
    tally.add(not left, f"leftovers {left}")
    return tally


def killed_profiles(folder: Path, chance: random.Random, kills: int) -> Tally:
    """A profile is killed at random moments and reproduced to its end."""
    tally = Tally("kills: a profile with its kernels")
    (folder / "notebooks" / "profiles").mkdir(parents=True)
    (folder / "notebooks" / "transfer.ipynb").symlink_to(ROOT / "notebooks" / "transfer.ipynb")
    given = "{setting: mnist5k-mlp, width: 32, steps: 2, methods: naive, pairs: %s}"
    runs = [f"  - {{name: transfer_{n}, notebook: transfer, parameters: {given % f'{n}-{n + 1}'}}}" for n in (1, 3, 5)]
    text = "\n".join(["description: three runs", "runs:", *runs])
    (folder / "notebooks" / "profiles" / "quick.yaml").write_text(text)
    command = [sys.executable, "-m", "trajtransfer.publish.cli", "reproduce", "--device", "cpu"]
    environment = os.environ | {"TRAJTRANSFER_HOME": str(folder), "OMP_NUM_THREADS": "1"}
    output = folder / "runs" / "quick"
    for number in range(kills):
        _kill_after(command, chance.uniform(3, 25), environment, ready=False)
        tally.add(_whole_or_refused(output), f"the results after kill {number}")
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
    tally.add(done.returncode == 0 and len(results.read(output)[1]) == 3, f"the profile at last: {done.stderr}")
    return tally


def _kill_after(command: list[str], seconds: float, environment: dict[str, str] | None = None, ready: bool = True) -> None:
    """Start a process, and kill it some time after it says that it is ready."""
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, cwd=ROOT, start_new_session=True
    )
    assert process.stdout is not None
    if ready:
        process.stdout.readline()
    time.sleep(seconds)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def _whole_or_refused(folder: Path) -> bool:
    """Whether the results of a folder are those of one run each, or are refused."""
    if not folder.exists():
        return True
    try:
        _, records = results.read(folder)
    except (DocumentError, RunError):
        return True
    notebooks = {name: (folder / f"{name}.ipynb").read_text() for name in records}
    return all(
        not text.startswith("notebook ")
        or {int(text.split()[1])} >= {row["t"] for rows in record.tables.values() for row in rows}
        for text, record in zip(notebooks.values(), records.values(), strict=True)
    )


def _write_words(folder: Path) -> None:
    for name, words in WORDS.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(words)


def _words_are_there(folder: Path) -> bool:
    """Under their names, or under the one that they were kept under."""
    return {words.encode() for words in WORDS.values()} <= set(contents(folder).values())


def _small() -> Setting:
    chosen = setting("mnist5k-mlp", width=24)
    return replace(chosen, recipe=replace(chosen.recipe, epochs=4))


@contextlib.contextmanager
def _home(folder: Path):
    before = os.environ.get("TRAJTRANSFER_HOME")
    os.environ["TRAJTRANSFER_HOME"] = str(folder)
    try:
        yield
    finally:
        os.environ.pop("TRAJTRANSFER_HOME")
        if before is not None:
            os.environ["TRAJTRANSFER_HOME"] = before


def _trained(folder: Path, chosen: Setting) -> list[str]:
    """Checksums of a trajectory and a network, trained or read."""
    with _home(folder):
        points = networks.recorded(chosen, 1)
        return [checkpoints.checksum(point) for point in (*points, networks.network(chosen, 2).end)]


def _forget() -> None:
    """Remove all trained networks."""
    shutil.rmtree(networks.home() / "runs" / "networks", ignore_errors=True)


# --- flips


def flipped(content: bytes, chance: random.Random, until: int | None = None) -> bytes:
    """Some bytes with one bit changed, among the first `until`."""
    changed = bytearray(content)
    changed[chance.randrange(until or len(content))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def flips_in_checkpoints(folder: Path, chance: random.Random, flips: int) -> Tally:
    """Every second one in the header with its history and identity."""
    tally = Tally("bits flipped: checkpoints")
    chosen = replace(_small(), width=2)
    with _home(folder):
        whole = networks.network(chosen, 1)
        place = networks._place(chosen, chosen.training(), chosen.recipe, 1, "cpu")
        path = place.folder / "checkpoint.safetensors"
    content = path.read_bytes()
    header = 8 + int.from_bytes(content[:8], "little")
    for number in range(flips):
        path.write_bytes(flipped(content, chance, header if number % 2 else None))
        try:
            found, history = checkpoints.load(path, whole.model, "cpu", place.identity)
            same = checkpoints.checksum(found.params) == checkpoints.checksum(whole.end) and history == whole.history
        except checkpoints.CheckpointError:
            same = True
        tally.add(same, f"flip {number}")
    return tally


def flips_in_results(folder: Path, chance: random.Random, flips: int) -> Tally:
    """In notebooks, records, tables and the listing of executed results."""
    tally = Tally("bits flipped: listing, records, notebooks, tables")
    source = ROOT / "tests" / "reference"
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns(".*"))
    listing, before = results.read(folder)
    files = sorted(name for made in listing.runs.values() for name in made.files)
    for number in range(flips):
        path = folder / ("results.json" if number % 4 == 0 else chance.choice(files))
        content = path.read_bytes()
        path.write_bytes(flipped(content, chance))
        try:
            same = results.read(folder) == (listing, before) and path.suffix == ".json"
        except (DocumentError, RunError):
            same = True
        tally.add(same, f"flip {number} in {path.name}")
        path.write_bytes(content)
    return tally


def flips_in_data(folder: Path, chance: random.Random, flips: int) -> Tally:
    """A changed data set is refused, decoded again, or has another checksum, and so is not taken for the same."""
    tally = Tally("bits flipped: data sets")
    for number in range(40):
        path = folder / "imagenet" / ("train" if number < 32 else "val") / f"n{number % 2}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(number).integers(0, 256, (9, 9, 3), dtype=np.uint8)).save(path)
    before = tasks.load_task("imagenet", folder, size=8).checksum
    (path,) = (folder / "decoded").glob("imagenet-train-8-*.npy")
    content = path.read_bytes()
    for number in range(flips):
        path.write_bytes(flipped(content, chance, 128 if number % 2 else None))
        changed = path.read_bytes()
        try:
            found = tasks.load_task("imagenet", folder, size=8).checksum
            fine = found != before or path.read_bytes() == content or _same_images(changed, content)
        except REFUSALS:
            fine = True
        tally.add(fine, f"flip {number}")
    return tally


def _same_images(one: bytes, other: bytes) -> bool:
    """Whether two files differ in the spaces of their header only."""
    return one[128:] == other[128:]


# --- bad input


def refused(call: Callable[[], object], words: str = "") -> bool:
    """Whether a call raises one of our errors, with these words."""
    try:
        call()
    except REFUSALS as error:
        return words in str(error)
    return False


def bad_values(folder: Path, cases: int) -> Tally:
    """Tensors, permutations, trajectories, data files given to the library."""
    tally = Tally("bad input: the library")
    for number, (name, call, words) in enumerate(bad_inputs.CASES[:cases]):
        place = folder / str(number)
        place.mkdir(parents=True)
        tally.add(refused(lambda call=call, place=place: call(place), words), name)
    return tally


def bad_parameters(cases: int) -> Tally:
    """Parameters of notebooks."""
    tally = Tally("bad input: parameters of notebooks")
    for notebook, name, value, _ in test_run_parameters.CASES[:cases]:
        path = ROOT / "notebooks" / f"{notebook}.ipynb"
        tally.add(refused(lambda path=path, given={name: value}: run_parameters.check_meaning(path, given)), f"{name}={value}")
    return tally


def bad_documents(folder: Path) -> Tally:
    """Malformed profiles, listings, records and notebooks."""
    tally = Tally("bad input: documents")
    folder.mkdir()
    for kind, (_, read) in test_documents.READERS.items():
        for name, content in test_documents.MALFORMED.items():
            path = folder / "file"
            path.write_bytes(content)
            tally.add(refused(lambda read=read, path=path: read(path), str(path)), f"{name} as {kind}")
    return tally


def bad_commands(folder: Path) -> Tally:
    """Folders of somebody else, and folders of the sources, as the place of results: refused and left as they were."""
    tally = Tally("bad input: folders of the user and of the sources")
    for name in ("notes.txt", "transfer.ipynb", "transfer.json", "profile.json", ".vscode-server/bin", ".a-1/x", "results.json"):
        mine = folder / name.replace("/", "_")
        (mine / name).parent.mkdir(parents=True)
        (mine / name).write_text("mine")
        for command in (["run", "transfer"], ["reproduce"]):
            _refuse(tally, command, mine)
    for name in ("notebooks", "book", "book/_static", "tests", "trajtransfer", ".git", "."):
        _refuse(tally, ["run", "transfer"], ROOT / name, watch=False)
        _refuse(tally, ["reproduce"], ROOT / name, watch=False)
    return tally


def _refuse(tally: Tally, command: list[str], folder: Path, watch: bool = True) -> None:
    """Try to write results into a folder; the command has to be refused, and what is there stay."""
    before = contents(folder) if watch else {}
    execute, runner._execute = runner._execute, None  # a run that is not refused fails with another error
    try:
        with _home(ROOT), contextlib.redirect_stderr(io.StringIO()) as said, contextlib.redirect_stdout(io.StringIO()):
            code = cli.main([*command, "--output", str(folder)])
    finally:
        runner._execute = execute
    fine = code == 1 and str(folder) in said.getvalue() and (not watch or contents(folder) == before)
    tally.add(fine, f"{command} --output {folder}: {said.getvalue()}")


if __name__ == "__main__":
    sys.exit(main())
