"""Progress bars (done, total, elapsed, remaining) for those who watch: in a terminal or a live notebook, never in a log."""

from __future__ import annotations

import builtins
import sys
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from tqdm import tqdm

T = TypeVar("T")


def progress(items: Iterable[T], what: str, **options: Any) -> Iterator[T]:
    """`items`, one after another, under a bar named `what`; `options` are those of tqdm, such as ``total``.

    ``TQDM_DISABLE=1`` switches all bars off.
    """
    watched = sys.stderr.isatty() or hasattr(builtins, "__IPYTHON__")
    return iter(tqdm(items, desc=what, leave=False, **options) if watched else items)
