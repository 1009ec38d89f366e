"""What runs leave behind: records with where they come from, and listings of folders of results."""

from __future__ import annotations

import hashlib
from typing import Literal

from pydantic import model_validator

from trajtransfer.paper.storage.documents import Document, FileName, Parameters, RunName, Value

Cell = Value | None


class Provenance(Document):
    """Where the numbers of a record come from; `seconds` of each stage."""

    commit: str
    profile: str
    parameters: Parameters
    data: dict[str, str]
    device: str
    versions: dict[str, str]
    seconds: dict[str, float]


class RecordFile(Document):
    """The numbers of an executed notebook: rows by table, values by measure.

    `counts` says what the values of a measure are one per, such as pairs; `errors` their standard
    error where images are finitely many, which all values of a measure share.
    """

    name: RunName
    provenance: Provenance
    measures: dict[str, list[float]]
    counts: dict[str, str]
    errors: dict[str, float]
    tables: dict[str, list[dict[str, Cell]]]

    @model_validator(mode="after")
    def _says_what_every_measure_counts(self) -> RecordFile:
        for what, names in (("counts", self.counts), ("errors", self.errors)):
            if differing := sorted(self.measures.keys() ^ names.keys()):
                raise ValueError(f"measures and {what} do not agree on {', '.join(differing)}")
        return self


class Made(Document):
    """A run that was made: what it was made of (`origin`), and checksums (SHA-256) of its files."""

    origin: str
    files: dict[FileName, str]


class Pending(Made):
    """A run that is complete and on its way to its place: a kill may leave it half moved."""

    name: RunName


class Listing(Document):
    """What a folder of results holds."""

    made_by: Literal["trajtransfer"]
    profile: str
    description: str = ""
    complete: bool
    runs: dict[RunName, Made]
    pending: Pending | None = None
    checksum: str = ""  # of all of the above

    def signed(self) -> Listing:
        """This listing with its checksum."""
        content = self.model_dump_json(exclude={"checksum"})
        return self.model_copy(update={"checksum": hashlib.sha256(content.encode()).hexdigest()})
