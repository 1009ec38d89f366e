"""Profiles: runs that are made together and go on where they were killed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from trajtransfer.paper.devices import select_device
from trajtransfer.paper.provenance import libraries
from trajtransfer.paper.storage.documents import DocumentError, Parameters
from trajtransfer.paper.storage.plans import Profile, Run
from trajtransfer.paper.storage.progress import progress
from trajtransfer.paper.storage.project import RunError
from trajtransfer.paper.storage.reading import MEND, read_contents, read_yaml
from trajtransfer.paper.storage.results import OWN, Results, opened, read
from trajtransfer.publish.cluster.engine import Engine, made_by_jobs
from trajtransfer.publish.cluster.forecast import expected, rates, summary
from trajtransfer.publish.lanes import Checked, made_in_lanes, made_one_by_one
from trajtransfer.publish.meaning import check_meaning, complete
from trajtransfer.publish.parameters import convert, notebooks


def profile_of(root: Path, name: str) -> Profile:
    """A profile of the project at `root`, with the runs of the one that it extends.

    Raises `RunError` for an unknown one, `DocumentError` for one that is malformed, has a run in
    no part of the book, or extends what it cannot.
    """
    folder = root / "notebooks" / "profiles"
    known = sorted(path.stem for path in folder.glob("*.yaml"))
    if name not in known or name == OWN:
        raise RunError(f"unknown profile {name!r}; known: {', '.join(known)}")
    path = folder / f"{name}.yaml"
    profile = read_yaml(path, Profile, MEND)
    captions = read_contents(root).captions
    for chosen in profile.runs:
        if chosen.part not in captions:
            raise DocumentError(
                path,
                f"the run {chosen.name} needs the part of the book that it belongs to, and "
                f"{chosen.part!r} is none of those in _toc.yml ({', '.join(captions)})",
                MEND,
            )
    return _extended(root, path, profile) if profile.extends else profile


def _extended(root: Path, path: Path, profile: Profile) -> Profile:
    """The profile with the runs of the one that it extends before its own."""
    name = profile.extends
    base = path.parent / f"{name}.yaml"
    if not base.exists() or read_yaml(base, Profile, MEND).extends:
        wrong = f"it extends {name!r}, which has to be a profile here that extends none itself"
        raise DocumentError(path, wrong, MEND)
    earlier = profile_of(root, name)
    if repeated := sorted(set(earlier.names) & set(profile.names)):
        wrong = f"it has runs of the profile {name} again: {', '.join(repeated)}"
        raise DocumentError(path, wrong, MEND)
    return profile.model_copy(update={"runs": [*earlier.runs, *profile.runs]})


def reproduce(
    root: Path,
    name: str,
    output: Path,
    device: str | None,
    only: Collection[str] = (),
    engine: Engine | None = None,
) -> Path:
    """Execute the runs of a profile into `output`.

    All parameters are checked before the first run starts. While a whole profile is being run, its
    folder is not complete, and the next call keeps those of its runs that were made of the same
    code, notebook and parameters. A complete profile is run anew. With names in `only`, these runs
    are made anew and the others stay as they are. Results of runs that the profile lacks are
    removed. A run that fails does not keep the others from being made; `RunError` says in the end
    which failed and why, and for a folder that is not ours to write or holds another profile. An
    `engine` has its own lanes: as many jobs as it is told to.
    """
    profile = profile_of(root, name)
    _require_runs(profile, name, only)
    override: Parameters = {"device": device} if device else {}
    runs = [_checked(root, chosen, override) for chosen in profile.runs]
    with opened(root, output, name) as results:
        whole = results.listing.complete
        for chosen in profile.runs:
            results.require_room(chosen.name)
        if not only:
            results.state(name, profile.description, False)
        wanted = _wanted(runs, results, only, whole)
        if failed := _made(root, profile, name, wanted, results, engine):
            again = "these runs failed, and the next call tries them again:"
            raise RunError("\n".join([again, *failed]))
        results.drop(set(results.listing.runs) - set(profile.names))
        made = set(profile.names) <= set(results.listing.runs)
        results.state(name, profile.description, whole or made, profile.names)
    return output


def foreseen(root: Path, name: str, device: str | None, only: Collection[str] = ()) -> str:
    """What a profile will ask for, as far as its parameters say it, in a few lines.

    Raises as `reproduce` for what cannot be meant.
    """
    profile = profile_of(root, name)
    _require_runs(profile, name, only)
    wanted = [chosen for chosen in profile.runs if not only or chosen.name in only]
    override: Parameters = {"device": device} if device else {}
    runs = [_checked(root, chosen, override).run for chosen in wanted]
    given = [complete(root / "notebooks" / f"{one.notebook}.ipynb", one.parameters) for one in runs]
    _, published = read(root / "book" / "published")
    jobs = expected(runs, given, str(select_device(device or "auto")))
    return summary(jobs.values(), rates(published.values()))


def _require_runs(profile: Profile, name: str, only: Collection[str]) -> None:
    """Raise `RunError` unless the profile has all runs that are to be made."""
    if unknown := sorted(set(only) - set(profile.names)):
        known = ", ".join(profile.names)
        raise RunError(f"the profile {name} has no run {', '.join(unknown)}; it has: {known}")


def _made(
    root: Path,
    profile: Profile,
    name: str,
    runs: Iterator[Checked],
    results: Results,
    engine: Engine | None,
) -> list[str]:
    """Make runs; why it failed, for each that did."""
    if engine:
        failed = made_by_jobs(root, name, profile, runs, results, engine)
    elif profile.lanes == 1:
        failed = made_one_by_one(root, name, runs, results)
    else:
        failed = made_in_lanes(root, name, runs, results, profile.lanes)
    return [f"{failure.name}: {failure.reason}" for failure in failed]


def _wanted(
    runs: Sequence[Checked], results: Results, only: Collection[str], whole: bool
) -> Iterator[Checked]:
    """The runs that are to be made, announced when their turn comes."""
    for number, checked in enumerate(progress(runs, results.listing.profile), 1):
        name = checked.run.name
        unasked = bool(only) and name not in only
        kept = unasked or (not only and not whole and results.holds(name, checked.origin))
        if kept and name not in results.listing.runs:
            continue
        print(f"[{number}/{len(runs)}] {name}{' (kept)' if kept else ''}", flush=True)
        if not kept:
            yield checked


def _checked(root: Path, chosen: Run, override: Parameters) -> Checked:
    """A run with its parameters converted, those of `override` in place of its own."""
    path = root / "notebooks" / f"{chosen.notebook}.ipynb"
    if path not in notebooks(root):
        raise RunError(f"the run {chosen.name} asks for an unknown notebook {chosen.notebook!r}")
    values = convert(path, chosen.parameters | override)
    data = check_meaning(path, values)
    complete = chosen.model_copy(update={"parameters": values})
    return Checked(complete, _origin(path, complete, data))


def _origin(path: Path, chosen: Run, data: dict[str, str]) -> str:
    """A digest of what a run is made of.

    These are the code, the notebook, the title, the parameters, the data, the machine and the
    libraries; the part of the book and the words on what was found are none of them.
    """
    device = select_device(str(chosen.parameters.get("device", "auto")))
    about = [chosen.model_dump(exclude={"part", "finding"}), data, device.type, libraries()]
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    digest.update(_code())
    digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


@lru_cache
def _code() -> bytes:
    """A digest of all code of this package."""
    digest = hashlib.sha256()
    code = Path(__file__).parents[1]
    for file in (*sorted(code.rglob("*.py")), *sorted(code.rglob("*.json"))):
        digest.update(file.read_bytes())
    return digest.digest()
