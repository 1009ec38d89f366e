"""Folders of results for tests: runs made of nothing, and what is in a folder."""

from __future__ import annotations

import json
from pathlib import Path

from trajtransfer.paper.storage import results
from trajtransfer.paper.storage.reading import read_listing

ROOT = Path(__file__).resolve().parent.parent
COUNTING = ROOT / "tests" / "counting.ipynb"  # imports nothing that takes long
ASKING = ROOT / "tests" / "asking.ipynb"  # asks for networks, then for rows
TRANSFER = ROOT / "notebooks" / "transfer.ipynb"
RECORD = {
    "provenance": {
        "commit": "c0ffee",
        "profile": "own",
        "parameters": {},
        "data": {},
        "device": "cpu",
        "versions": {},
        "seconds": {},
    },
    "measures": {},
    "counts": {},
    "errors": {},
}


def make(folder, name, number=1, tables=("curves",)):
    """The files of a run whose contents are `number`, in a work folder."""
    rows = [{"t": number}]
    record = RECORD | {"name": name, "tables": dict.fromkeys(tables, rows)}
    (folder / f"{name}.json").write_text(json.dumps(record))
    (folder / f"{name}.ipynb").write_text(f"notebook {number}")
    for table in tables:
        (folder / f"{name}-{table}.csv").write_text(f"t\n{number}\n")


def put(folder, name, number=1, tables=("curves",)):
    """Make a run and let it take its place."""
    with results.opened(ROOT, folder) as ours, ours.work(name) as work:
        make(work, name, number, tables)
        ours.take(name, work)


def contents(folder):
    """Every file below a folder with its bytes, links by what they name."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = str(path.readlink())
        elif path.is_file():
            found[name] = path.read_bytes()
    return found


def rewrite(folder, **changes):
    """Change the listing of a folder as its writer would."""
    listing = read_listing(folder, "").model_copy(update=changes)
    (folder / "results.json").write_text(listing.signed().model_dump_json())


def counting(first, **parameters):
    """A run of the notebook that counts from a number on."""
    about = {"name": f"counting_{first}", "notebook": "counting", "part": "The experiments"}
    return about | {"parameters": {"first": first} | parameters}


def squares(record):
    """What a run of `counting` has found."""
    return [row["square"] for row in record.tables["squares"]]


def project(root, *notebooks, runs=()):
    """A project with our notebooks, or with some by path and a quick profile of these runs."""
    (root / "_toc.yml").write_text((ROOT / "_toc.yml").read_text())
    if not notebooks:
        (root / "notebooks").symlink_to(ROOT / "notebooks")
        return root
    profiles = root / "notebooks" / "profiles"
    profiles.mkdir(parents=True)
    for notebook in notebooks:
        (root / "notebooks" / notebook.name).symlink_to(notebook)
    (profiles / "quick.yaml").write_text(json.dumps({"description": "short", "runs": list(runs)}))
    return root
