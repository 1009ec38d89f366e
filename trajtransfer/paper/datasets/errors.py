"""Data that is not there, and data that is not what it should be."""

from __future__ import annotations

from pathlib import Path


class MissingDataError(FileNotFoundError):
    """Data that is not there: names the folder, the source and the command that fetches it."""

    def __init__(self, name: str, folder: Path, source: str, command: str):
        super().__init__(f"{name} is not in {folder}. Source: {source}. To get it: {command}")


class DataError(ValueError):
    """Data that is there and wrong: names the file, what is wrong with it, and what to do."""

    def __init__(self, file: Path, wrong: str, remedy: str):
        super().__init__(f"{file} {wrong}; {remedy}")
