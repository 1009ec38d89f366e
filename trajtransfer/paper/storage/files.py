"""Files that are written whole or not at all, files that are in the way, and checksums."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path


def write_text(path: Path, text: str) -> None:
    """Write a file so that a reader finds the old one or the whole new one."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())  # a power cut must not leave an empty file under the new name
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def set_aside(path: Path, word: str) -> Path:
    """Rename a file to one that is free: ``NAME.WORD-1.SUFFIX``, or a larger number."""
    number = 1
    while os.path.lexists(free := path.with_name(f"{path.stem}.{word}-{number}{path.suffix}")):
        number += 1
    path.rename(free)
    return free


def is_plain(path: Path) -> bool:
    """Whether there is a file, and no link."""
    return path.is_file() and not path.is_symlink()


def checksum(path: Path) -> str:
    """The SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def damaged(folder: Path, files: Mapping[str, str]) -> list[str]:
    """The files of a folder that are not there, or do not have their checksums."""
    return [
        name
        for name, expected in files.items()
        if not (folder / name).is_file() or checksum(folder / name) != expected
    ]
