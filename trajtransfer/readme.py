"""What the README shows of the published results: a table and a picture, made by ``python -m trajtransfer.readme``."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import fmean
from typing import Any

import nbformat
import yaml

from trajtransfer.book import LANDING
from trajtransfer.chapters import picture
from trajtransfer.claims import summary
from trajtransfer.networks import home
from trajtransfer.records import markdown_table
from trajtransfer.runner import listing_of

START, END = "<!-- results: python -m trajtransfer.readme -->", "<!-- end of results -->"
METHODS = {"naive": "Naive", "gmt": "GMT", "fgmt": "FGMT", "oracle": "Oracle"}


def results(root: Path) -> str:
    """Accuracies (%) at the best step of every published transfer, and how many claims hold."""
    folder = root / "book" / "published"
    profile = json.loads((folder / "profile.json").read_text())
    records = {name: json.loads((folder / f"{name}.json").read_text()) for name in profile["runs"]}
    runs = [e for e in listing_of(root, profile["profile"])["runs"] if e["notebook"] == "transfer" and e["name"] in records]
    table = markdown_table([_row(entry, records[entry["name"]]) for entry in runs])
    return f"{table}\n\n{summary(yaml.safe_load((root / 'book' / 'claims.yml').read_text()), records)}"


def _row(entry: dict[str, Any], record: dict[str, Any]) -> dict[str, str]:
    means = {name: fmean(record["measures"][f"{method}-peak"]) for method, name in METHODS.items()}
    return {"": entry["title"].partition(" (")[0]} | {name: f"{100 * mean:.1f}" for name, mean in means.items()}


def write(root: Path) -> None:
    """Renew the README between its two marks, and the picture beside the published results."""
    path, folder = root / "README.md", root / "book" / "published"
    before, _, rest = path.read_text().partition(START)
    path.write_text(f"{before}{START}\n{results(root)}{END}{rest.partition(END)[2]}")
    page = nbformat.read(folder / f"{LANDING.partition('-')[0]}.ipynb", as_version=4)
    (folder / f"{LANDING}.png").write_bytes(picture(page, LANDING))


if __name__ == "__main__":
    write(home())
