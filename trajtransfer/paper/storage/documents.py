"""What all documents share: files that people and earlier runs wrote, validated when read.

What people write is in `plans`, what runs leave behind in `outcomes`; `reading` reads both.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

LISTING = "results.json"  # of a folder of results; what carries it is ours
Value = bool | int | float | str
Parameters = dict[str, Value | list[Value]]
Text = Annotated[str, StringConstraints(min_length=1)]
RunName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_]+$", max_length=100)]
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")]


class DocumentError(ValueError):
    """A file that cannot be read for what it should be: its path, the problem, and what to do."""

    def __init__(self, path: Path, problem: str, remedy: str):
        super().__init__(f"{path}: {problem}; {remedy}")


class Document(BaseModel):
    """No unknown fields, no conversions, no changes."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
