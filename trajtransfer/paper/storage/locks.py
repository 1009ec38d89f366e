"""One writer at a time: locks that die with their process, and say who holds them."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from trajtransfer.paper.storage.progress import notice

LOCK = ".trajtransfer-lock"


class BusyError(OSError):
    """Something that another process is writing: what, and which process."""


@contextmanager
def locked(folder: Path, what: str, *, wait: bool = False) -> Iterator[None]:
    """Hold the lock of a `folder`, which is made if need be.

    The operating system frees that of a killed process. `what` describes the folder in messages. If
    another process holds the lock, wait for it (and say so), or raise `BusyError`.
    """
    if os.path.lexists(folder) and not folder.is_dir():
        raise NotADirectoryError(f"{folder} is not a folder; move it away")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / LOCK
    lock = FileLock(path, thread_local=False)
    try:
        lock.acquire(blocking=False)
    except Timeout as error:
        if not wait:
            remedy = "wait until it is done, stop it, or name another folder"
            raise BusyError(f"{what} is being written by {_holder(path)}; {remedy}") from error
        notice(f"waiting for {_holder(path)}, which is writing {what}")
        lock.acquire()
    try:
        path.write_text(
            json.dumps(
                {"pid": os.getpid(), "host": platform.node(), "since": time.strftime("%F %T")}
            )
        )
        yield
    finally:
        lock.release()


def _holder(path: Path) -> str:
    """Who wrote the lock; it may be gone, or not have written yet."""
    try:
        held = json.loads(path.read_text())
        return f"process {held['pid']} on {held['host']} since {held['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
