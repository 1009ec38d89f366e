"""Progress bars for those who watch: in a terminal or a live notebook, never in a log.

They show what is done, the total, and the time that has passed and remains. Notices go to the
terminal, past the outputs of a notebook.
"""

from __future__ import annotations

import builtins
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from tqdm import tqdm

T = TypeVar("T")


def progress(items: Iterable[T], what: str, **options: Any) -> Iterator[T]:
    """`items`, one after another, under a bar named `what`.

    `options` are those of tqdm, such as ``total``.     ``TQDM_DISABLE=1`` switches all bars off.
    """
    watched = sys.stderr.isatty() or hasattr(builtins, "__IPYTHON__")
    return iter(tqdm(items, desc=what, leave=False, **options) if watched else items)


def notice(text: str) -> None:
    """Tell who started this what belongs to no result, such as waiting for another process.

    A kernel that a command runs writes it into the file ``TRAJTRANSFER_NOTICES``, which the command
    shows: in the stored outputs it would make the same run differ.
    """
    if "TRAJTRANSFER_NOTICES" in os.environ:
        with Path(os.environ["TRAJTRANSFER_NOTICES"]).open("a") as file:
            file.write(f"{text}\n")
    else:
        print(text, file=sys.stderr)
