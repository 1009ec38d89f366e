"""Folders of results for tests: runs made of nothing, and what is in a folder."""

from __future__ import annotations

import json
from pathlib import Path

from trajtransfer.paper.storage import results
from trajtransfer.paper.storage.documents import read_listing

ROOT = Path(__file__).resolve().parent.parent
RECORD = {
    "provenance": {
        "commit": "c0ffee", "profile": "own", "parameters": {}, "data": {}, "device": "cpu", "versions": {}, "seconds": {},
    },
    "measures": {},
}  # fmt: skip


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
    files = [path for path in sorted(folder.rglob("*")) if path.is_symlink() or path.is_file()]
    return {str(p.relative_to(folder)): str(p.readlink()) if p.is_symlink() else p.read_bytes() for p in files}


def rewrite(folder, **changes):
    """Change the listing of a folder as its writer would."""
    listing = read_listing(folder, "").model_copy(update=changes)
    (folder / "results.json").write_text(listing.signed().model_dump_json())
