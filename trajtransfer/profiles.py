"""Profiles: runs that are made together, go on where they were killed, and are complete or said not to be."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from pathlib import Path

from trajtransfer.documents import Profile, Run, Value, read_yaml
from trajtransfer.progress import progress
from trajtransfer.project import RunError
from trajtransfer.results import Results, opened
from trajtransfer.run_parameters import check, check_meaning, notebooks
from trajtransfer.runner import run

MEND = "mend it, or take it from the repository again"


def profile_of(root: Path, name: str) -> Profile:
    """A profile of the project at `root`. Raises `RunError` for an unknown one, `DocumentError` for a malformed one."""
    folder = root / "notebooks" / "profiles"
    known = sorted(p.stem for p in folder.glob("*.yaml"))
    if name not in known:
        raise RunError(f"unknown profile {name!r}; known: {', '.join(known)}")
    return read_yaml(folder / f"{name}.yaml", Profile, MEND)


def reproduce(root: Path, name: str, output: Path, device: str | None, only: Collection[str] = ()) -> Path:
    """Execute the runs of a profile into `output`.

    All parameters are checked before the first run starts. While a whole profile is being run, its folder is not complete,
    and the next call keeps those of its runs that were made of the same code, notebook and parameters. A complete profile
    is run anew. With names in `only`, these runs are made anew and the others stay as they are. Results of runs that
    the profile lacks are removed. A run that fails does not keep the others from being made; `RunError` says in the end
    which failed and why, and for a folder that is not ours to write.
    """
    profile = profile_of(root, name)
    if unknown := sorted(set(only) - set(profile.names)):
        raise RunError(f"the profile {name} has no run {', '.join(unknown)}; it has: {', '.join(profile.names)}")
    runs = [_checked(root, chosen, {"device": device} if device else {}) for chosen in profile.runs]
    with opened(root, output, name) as results:
        whole = results.listing.complete
        if only and results.listing.profile != name:
            raise RunError(f"{output} holds the profile {results.listing.profile}, not {name}; choose another --output")
        for chosen in runs:
            results.require_room(chosen.name)
        if not only:
            results.state(name, profile.description, False)
        failed = [words for words in _made(root, name, runs, results, only, whole) if words]
        if failed:
            raise RunError("\n".join(["these runs failed, and the next call tries them again:", *failed]))
        results.drop(set(results.listing.runs) - set(profile.names))
        results.state(name, profile.description, True, profile.names)
    return output


def _made(root: Path, profile: str, runs: list[Run], results: Results, only: Collection[str], whole: bool) -> list[str | None]:
    """Make the runs that are not kept; why it failed, for each that did."""
    words = []
    for number, chosen in enumerate(progress(runs, profile), 1):
        origin = _origin(root, chosen)
        kept = chosen.name not in only if only else not whole and results.holds(chosen.name, origin)
        print(f"[{number}/{len(runs)}] {chosen.name}{' (kept)' if kept else ''}", flush=True)
        words.append(None if kept else _attempt(root, chosen, results, profile, origin))
    return words


def _attempt(root: Path, chosen: Run, results: Results, profile: str, origin: str) -> str | None:
    """Make one run; what it failed of, or nothing."""
    try:
        run(root, chosen, results, profile, origin)
    except (RunError, ValueError) as error:
        return f"{chosen.name}: {error}"
    return None


def _checked(root: Path, chosen: Run, override: dict[str, Value]) -> Run:
    """A run with its parameters converted and replaced by those of `override`."""
    path = root / "notebooks" / f"{chosen.notebook}.ipynb"
    if path not in notebooks(root):
        raise RunError(f"the run {chosen.name} asks for an unknown notebook {chosen.notebook!r}")
    values = check(path, chosen.parameters | override)
    check_meaning(path, values)
    return chosen.model_copy(update={"parameters": values})


def _origin(root: Path, chosen: Run) -> str:
    """A digest of the code, the notebook, the title and the parameters of a run."""
    digest = hashlib.sha256(chosen.model_dump_json().encode())
    for file in (*sorted(Path(__file__).parent.glob("*.py")), root / "notebooks" / f"{chosen.notebook}.ipynb"):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]
