"""What the README shows of the published results: a table and a picture.

``python -m trajtransfer.publish.readme`` renews both.
"""

from __future__ import annotations

from pathlib import Path

import nbformat

from trajtransfer.algorithms import METHODS
from trajtransfer.paper.claims import judged
from trajtransfer.paper.presentation import markdown_table, percent
from trajtransfer.paper.storage import results
from trajtransfer.paper.storage.files import write_text
from trajtransfer.paper.storage.outcomes import RecordFile
from trajtransfer.paper.storage.plans import Run
from trajtransfer.paper.storage.project import RunError, checkout
from trajtransfer.paper.storage.reading import read_claims
from trajtransfer.publish.build import LANDING
from trajtransfer.publish.claim_tables import summary
from trajtransfer.publish.pages import picture
from trajtransfer.publish.profiles import profile_of

START = "<!-- results: python -m trajtransfer.publish.readme -->"
END = "<!-- end of results -->"
SHOWN = ("naive", "gmt", "fgmt", "oracle")


def shown(root: Path) -> str:
    """Test accuracies (%) of every published transfer, and how many claims hold.

    They are those of the step that was chosen on the selection split, mean ± deviation over pairs.
    """
    listing, records = results.read(root / "book" / "published")
    rows = [
        _row(run, records[run.name])
        for run in profile_of(root, listing.profile).runs
        if run.notebook == "transfer" and run.name in records
    ]
    verdicts = judged(read_claims(root), records)
    return f"{markdown_table(rows)}\n\n{summary(verdicts)}"


def _row(run: Run, record: RecordFile) -> dict[str, str]:
    row = {"": (run.title or run.name).partition(" (")[0]}
    for method in SHOWN:
        row[METHODS[method].label] = percent(record.measures[f"{method}-test"])
    return row


def write(root: Path) -> None:
    """Renew the README between its two marks, and the picture beside the published results.

    Raises `RunError` for a README without the marks.
    """
    path = root / "README.md"
    text = path.read_text()
    if not 0 <= text.find(START) < text.find(END):
        raise RunError(
            f"{path} has no lines {START!r} and {END!r}; put them where the results are to stand"
        )
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(END)
    write_text(path, f"{before}{START}\n{shown(root)}{END}{after}")
    folder = root / "book" / "published"
    page = nbformat.read(folder / f"{LANDING.partition('-')[0]}.ipynb", as_version=4)
    (folder / f"{LANDING}.png").write_bytes(picture(page, LANDING))


if __name__ == "__main__":
    write(checkout("README.md", "book/published"))
