"""What people write: profiles with their runs, claims with their checks, the table of contents."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from trajtransfer.paper.storage.documents import LISTING, Document, Parameters, RunName, Text

DEFAULT = "default"  # resources of the jobs that have none of their own
FigureName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_]+-[a-z-]+$")]


class Run(Document):
    """A notebook with parameters, under a name, a title and a note of its own.

    The `note` ends the opening words of its page, `finding` says there what came out.
    `part` is the part of the book that it belongs to (none: a run of one's own), `threads` how many
    threads of a CPU it gets (none: as many as PyTorch takes).
    """

    name: RunName
    notebook: Text
    part: Text | None = None
    threads: Annotated[int, Field(ge=1)] | None = None
    parameters: Parameters = Field(default_factory=dict)
    title: Text | None = None
    note: Text | None = None
    finding: Text | None = None

    @model_validator(mode="after")
    def _leaves_the_listing_alone(self) -> Run:
        if f"{self.name}.json" == LISTING:
            place = f"its record would take the place of {LISTING}"
            raise ValueError(f"a run cannot be called {self.name!r}: {place}")
        return self


class Resources(Document):
    """What a job asks a cluster for: GPUs, memory (GB) and time (hours)."""

    gpus: Annotated[int, Field(ge=0)] = 0
    memory: Annotated[float, Field(gt=0)] = 4
    hours: Annotated[float, Field(gt=0)] = 1

    def asked(self) -> dict[str, int]:
        """In the units of engines: MB and minutes."""
        minutes = math.ceil(60 * self.hours)
        return {"gpus": self.gpus, "memory_mb": math.ceil(1000 * self.memory), "minutes": minutes}


class Profile(Document):
    """The runs that are made together, so many `lanes` side by side. No two have one name.

    One that `extends` another has all runs of that one as well, before its own. `resources` are
    those of the jobs of a cluster, by the name of their setting; `DEFAULT` names those of all
    others.
    """

    description: Text
    extends: str = ""
    lanes: Annotated[int, Field(ge=1)] = 1
    resources: dict[str, Resources] = Field(default_factory=dict)
    runs: Annotated[list[Run], Field(min_length=1)]

    @model_validator(mode="after")
    def _names_each_run_once(self) -> Profile:
        if repeated := repeats(self.names):
            raise ValueError(f"several runs are called {', '.join(repeated)}")
        return self

    def jobs(self) -> dict[str, Resources]:
        """The `resources`, with those of all others."""
        return {DEFAULT: Resources(), **self.resources}

    @property
    def names(self) -> list[str]:
        """The names of the runs, in their order."""
        return [run.name for run in self.runs]


class Gate(Document):
    """What the mean of a `measure` of a run's record must be within, with one bound.

    As a gate: a run that misses it cannot show what is asked of it, and decides nothing.
    """

    record: RunName
    measure: Text
    says: Text
    at_least: float | None = None
    at_most: float | None = None

    @model_validator(mode="after")
    def _has_one_finite_bound(self) -> Gate:
        bounds = [bound for bound in (self.at_least, self.at_most) if bound is not None]
        if len(bounds) != 1 or not math.isfinite(bounds[0]):
            raise ValueError("a check needs exactly one of at_least and at_most, a finite number")
        return self

    @property
    def bound(self) -> float:
        """The number of the bound, whichever way it is."""
        (bound,) = [x for x in (self.at_least, self.at_most) if x is not None]
        return bound


class Check(Gate):
    """A comparison behind a claim. The `primary` one decides it.

    `panel` names panels of the paper's figures whose curves give the paper's value, `reported` the
    measure there.
    """

    primary: bool = False
    panel: str = ""
    reported: Text | None = None


class Claim(Document):
    """A claim of the paper, where it stands there, and its checks: one primary, others beside."""

    id: Text
    claim: Text
    where: Text
    checks: Annotated[list[Check], Field(min_length=1)]

    @model_validator(mode="after")
    def _has_one_primary_check(self) -> Claim:
        count = sum(check.primary for check in self.checks)
        if count != 1:
            raise ValueError(f"a claim is decided by one primary check; {self.id} has {count}")
        return self


class Claims(Document):
    """All claims, and the gates before the checks of a run's record."""

    gates: list[Gate] = Field(default_factory=list)
    claims: Annotated[list[Claim], Field(min_length=1)]

    @model_validator(mode="after")
    def _names_each_claim_once(self) -> Claims:
        if repeated := repeats(claim.id for claim in self.claims):
            raise ValueError(f"several claims are called {', '.join(repeated)}")
        return self


class PaperItem(Document):
    """Something of the paper, such as ``"Figure 3 b"``, and the figures of ours that show it."""

    paper: Text
    figures: Annotated[list[FigureName], Field(min_length=1)]


class Chapter(Document):
    """A page of the book, its file without the suffix, and the pages below it."""

    file: Text
    sections: list[Chapter] = Field(default_factory=list)

    @property
    def files(self) -> list[str]:
        """The files of the page and of those below it."""
        return [self.file, *(file for section in self.sections for file in section.files)]


class Part(Document):
    """Chapters under a caption; `numbered` says to which depth they are."""

    caption: Text
    numbered: int | None = None
    chapters: list[Chapter]


class Contents(Document):
    """The table of contents of the book. No two parts have one caption, no two pages one file."""

    format: Literal["jb-book"]
    root: Text
    parts: Annotated[list[Part], Field(min_length=1)]

    @model_validator(mode="after")
    def _names_each_thing_once(self) -> Contents:
        if repeated := repeats(self.captions):
            raise ValueError(f"several parts are called {', '.join(repeated)}")
        if repeated := repeats(self.files):
            raise ValueError(f"{', '.join(repeated)} stands there twice")
        return self

    @property
    def captions(self) -> list[str]:
        """The captions of the parts, in their order."""
        return [part.caption for part in self.parts]

    @property
    def files(self) -> list[str]:
        """The files of all pages, in their order."""
        chapters = (chapter for part in self.parts for chapter in part.chapters)
        return [self.root, *(file for chapter in chapters for file in chapter.files)]


def repeats(names: Iterable[str]) -> list[str]:
    """The names that stand there more than once."""
    return [name for name, count in Counter(names).items() if count > 1]
