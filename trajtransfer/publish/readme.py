"""What the README shows of the published results: a table and a picture, made by ``python -m trajtransfer.publish.readme``."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean

import nbformat

from trajtransfer.algorithms import METHODS
from trajtransfer.paper.claims import summary
from trajtransfer.paper.record import markdown_table
from trajtransfer.paper.storage import results
from trajtransfer.paper.storage.documents import RecordFile, Run, read_claims
from trajtransfer.paper.storage.project import RunError, checkout
from trajtransfer.publish.build import LANDING
from trajtransfer.publish.pages import picture
from trajtransfer.publish.profiles import profile_of

START, END = "<!-- results: python -m trajtransfer.publish.readme -->", "<!-- end of results -->"
SHOWN = ("naive", "gmt", "fgmt", "oracle")


def shown(root: Path) -> str:
    """Accuracies (%) at the best step of every published transfer, and how many claims hold."""
    listing, records = results.read(root / "book" / "published")
    runs = [run for run in profile_of(root, listing.profile).runs if run.notebook == "transfer" and run.name in records]
    table = markdown_table([_row(run, records[run.name]) for run in runs])
    return f"{table}\n\n{summary(read_claims(root), records)}"


def _row(run: Run, record: RecordFile) -> dict[str, str]:
    means = {METHODS[method].label: fmean(record.measures[f"{method}-peak"]) for method in SHOWN}
    return {"": (run.title or run.name).partition(" (")[0]} | {name: f"{100 * mean:.1f}" for name, mean in means.items()}


def write(root: Path) -> None:
    """Renew the README between its two marks, and the picture beside the published results.

    Raises `RunError` for a README without the marks.
    """
    path, folder = root / "README.md", root / "book" / "published"
    text = path.read_text()
    if not 0 <= text.find(START) < text.find(END):
        raise RunError(f"{path} has no lines {START!r} and {END!r}; put them where the results are to stand")
    before, _, rest = text.partition(START)
    results.write_text(path, f"{before}{START}\n{shown(root)}{END}{rest.partition(END)[2]}")
    page = nbformat.read(folder / f"{LANDING.partition('-')[0]}.ipynb", as_version=4)
    (folder / f"{LANDING}.png").write_bytes(picture(page, LANDING))


if __name__ == "__main__":
    write(checkout("README.md", "book/published"))
