"""Profiles: runs that are made together, go on where they were killed, and are complete or said not to be."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence
from importlib.metadata import version
from pathlib import Path

from trajtransfer.paper.networks import select_device
from trajtransfer.paper.record import LIBRARIES
from trajtransfer.paper.storage.documents import MEND, Profile, Run, Value, read_yaml
from trajtransfer.paper.storage.progress import progress
from trajtransfer.paper.storage.project import RunError
from trajtransfer.paper.storage.results import OWN, Results, opened
from trajtransfer.publish.run_parameters import check, check_meaning, notebooks
from trajtransfer.publish.runner import run


def profile_of(root: Path, name: str) -> Profile:
    """A profile of the project at `root`. Raises `RunError` for an unknown one, `DocumentError` for a malformed one."""
    folder = root / "notebooks" / "profiles"
    known = sorted(p.stem for p in folder.glob("*.yaml"))
    if name not in known or name == OWN:
        raise RunError(f"unknown profile {name!r}; known: {', '.join(known)}")
    return read_yaml(folder / f"{name}.yaml", Profile, MEND)


def reproduce(root: Path, name: str, output: Path, device: str | None, only: Collection[str] = ()) -> Path:
    """Execute the runs of a profile into `output`.

    All parameters are checked before the first run starts. While a whole profile is being run, its folder is not complete,
    and the next call keeps those of its runs that were made of the same code, notebook and parameters. A complete profile
    is run anew. With names in `only`, these runs are made anew and the others stay as they are. Results of runs that
    the profile lacks are removed. A run that fails does not keep the others from being made; `RunError` says in the end
    which failed and why, and for a folder that is not ours to write or holds another profile.
    """
    profile = profile_of(root, name)
    if unknown := sorted(set(only) - set(profile.names)):
        raise RunError(f"the profile {name} has no run {', '.join(unknown)}; it has: {', '.join(profile.names)}")
    runs = [_checked(root, chosen, {"device": device} if device else {}) for chosen in profile.runs]
    with opened(root, output, name) as results:
        whole = results.listing.complete
        for chosen, _ in runs:
            results.require_room(chosen.name)
        if not only:
            results.state(name, profile.description, False)
        if failed := _made(root, name, runs, results, only, whole):
            raise RunError("\n".join(["these runs failed, and the next call tries them again:", *failed]))
        results.drop(set(results.listing.runs) - set(profile.names))
        made = set(profile.names) <= set(results.listing.runs)
        results.state(name, profile.description, whole or made, profile.names)
    return output


def _made(
    root: Path, profile: str, runs: Sequence[tuple[Run, str]], results: Results, only: Collection[str], whole: bool
) -> list[str]:
    """Make the runs that are not kept; why it failed, for each that did."""
    failed = []
    for number, (chosen, origin) in enumerate(progress(runs, profile), 1):
        kept = chosen.name not in only if only else not whole and results.holds(chosen.name, origin)
        if kept and chosen.name not in results.listing.runs:
            continue
        print(f"[{number}/{len(runs)}] {chosen.name}{' (kept)' if kept else ''}", flush=True)
        if kept:
            continue
        try:
            run(root, chosen, results, profile, origin)
        except (RunError, ValueError) as error:
            failed.append(f"{chosen.name}: {error}")
    return failed


def _checked(root: Path, chosen: Run, override: dict[str, Value]) -> tuple[Run, str]:
    """A run with its parameters converted and replaced by those of `override`, and what it is made of."""
    path = root / "notebooks" / f"{chosen.notebook}.ipynb"
    if path not in notebooks(root):
        raise RunError(f"the run {chosen.name} asks for an unknown notebook {chosen.notebook!r}")
    values = check(path, chosen.parameters | override)
    data = check_meaning(path, values)
    complete = chosen.model_copy(update={"parameters": values})
    return complete, _origin(path, complete, data)


def _origin(path: Path, chosen: Run, data: dict[str, str]) -> str:
    """A digest of the code, the notebook, the title, the parameters, the data, the machine and the libraries of a run."""
    device = select_device(str(chosen.parameters.get("device", "auto")))
    about = [chosen.model_dump(), data, device.type, {name: version(name) for name in LIBRARIES}]
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    code = Path(__file__).parents[1]
    for file in (*sorted(code.rglob("*.py")), *sorted(code.rglob("*.json")), path):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]
