"""What the README shows of the published results: a table and a picture.

``python -m trajtransfer.publish.readme`` renews both.
"""

from __future__ import annotations

from pathlib import Path

import nbformat

from trajtransfer.paper.claims import judged
from trajtransfer.paper.storage import results
from trajtransfer.paper.storage.files import write_text
from trajtransfer.paper.storage.project import RunError, checkout
from trajtransfer.paper.storage.reading import read_claims
from trajtransfer.publish.build import LANDING
from trajtransfer.publish.claim_tables import summary
from trajtransfer.publish.landing import accuracies
from trajtransfer.publish.pages import picture
from trajtransfer.publish.profiles import profile_of

START = "<!-- results: python -m trajtransfer.publish.readme -->"
END = "<!-- end of results -->"


def shown(root: Path) -> str:
    """Test accuracies (%) of every published transfer, and how many claims hold."""
    listing, records = results.read(root / "book" / "published")
    table = accuracies(profile_of(root, listing.profile).runs, records)
    verdicts = judged(read_claims(root), records)
    return f"{table}\n{summary(verdicts)}"


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
