"""What the jobs of an engine do, in the folder of its plan.

``python -m trajtransfer.publish.cluster.jobs make KEY`` makes a network or a unit of work. ``…
attempt RUN NUMBER`` executes a notebook until it lacks something: what it asks for then stands in
the file of this attempt, or nothing when it came to its end.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

from trajtransfer.paper.storage.files import write_text
from trajtransfer.paper.storage.locks import locked
from trajtransfer.paper.storage.project import RunError
from trajtransfer.publish.cluster.workspace import Plan, Workspace

# PyTorch reads the threads of a CPU when it is loaded: what loads it is imported after that.


def main(arguments: list[str]) -> int:
    """Do one job in the current folder."""
    kind, name, *rest = arguments
    space = Workspace(Path.cwd())
    plan = space.plan()
    os.environ["TRAJTRANSFER_HOME"] = plan.root
    os.environ["TRAJTRANSFER_DATA"] = plan.data
    if kind == "make":
        make(space, name)
        return 0
    (number,) = rest
    return attempt(space, plan, name, int(number))


def make(space: Workspace, key: str) -> None:
    """Make what was asked for under a key, or read that it is there."""
    request = space.request(key)
    _take_threads(request.threads)
    from trajtransfer.paper import networks
    from trajtransfer.paper.lab import Lab
    from trajtransfer.paper.seeds import seed_pair

    module, _, name = request.made_by.rpartition(".")
    if not module.startswith("trajtransfer.paper."):
        raise RunError(f"{key} asks for {request.made_by}, which is no function of the paper")
    function = getattr(import_module(module), name)
    if module == networks.__name__:
        function(request.setting, request.arguments[0].plain, request.device)
        return
    lab = Lab(request.setting, request.device)
    given: list[Any] = []
    for one in request.arguments:
        if one.setting:
            given.append(lab.of(one.setting))
        else:
            given.append(seed_pair(one.seeds) if one.seeds else one.plain)
    lab.kept(function, *given)


def attempt(space: Workspace, plan: Plan, name: str, number: int) -> int:
    """Execute a notebook as far as it goes; 1 if it failed, with the reason in a file.

    An error of the notebook's own would come again, so it is not tried again. One that asks again
    for what was made for it would never end.
    """
    if space.failed(name):
        return 1
    from trajtransfer.paper import requests
    from trajtransfer.publish.runner import KilledError, execute

    chosen = plan.runs[name]
    _take_threads(chosen.threads)
    with tempfile.TemporaryDirectory(dir=space.folder, prefix=f".attempt-{name}-") as folder:
        work = Path(folder) / "work"
        work.mkdir()
        asked = Path(folder) / "asked.json"
        os.environ[requests.ASKED] = str(asked)
        keys = []
        try:
            execute(Path(plan.root), chosen.run, plan.profile, work)
        except KilledError:
            raise
        except (RunError, ValueError) as error:
            if not asked.exists():
                space.fail(name, str(error))
                return 1
            keys = space.ask(requests.read(asked))
        else:
            _keep(space, name, work)
    if again := space.asked_before(name, number) & set(keys):
        space.fail(name, f"it asks for {min(again)} again, which was made and is gone; try again")
        return 1
    write_text(space.attempt(name, number), json.dumps(keys))
    return 0


def _take_threads(count: int) -> None:
    """Let the libraries of this process compute with so many threads of a CPU.

    They decide the last digits, and an engine has its own idea of them.
    """
    for library in ("OMP", "MKL", "OPENBLAS"):
        os.environ[f"{library}_NUM_THREADS"] = str(count)


def _keep(space: Workspace, name: str, work: Path) -> None:
    """Let a complete notebook wait for its place; another attempt may have been as fast."""
    with locked(space.folder / "notebooks", f"the notebook {name}", wait=True):
        if not space.is_complete(name):
            work.rename(space.notebook(name))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
