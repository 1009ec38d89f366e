"""Where things are: the project with its notebooks and its book. Nothing heavy is loaded here."""

from __future__ import annotations

import os
from pathlib import Path


class RunError(Exception):
    """A command that was refused or failed, with the reason and what to do."""


def home() -> Path:
    """The root of the project: ``TRAJTRANSFER_HOME``, else where the nearest ``_toc.yml`` is.

    Without either it is the current folder.
    """
    if "TRAJTRANSFER_HOME" in os.environ:
        return Path(os.environ["TRAJTRANSFER_HOME"])
    here = Path.cwd()
    return next(
        (folder for folder in (here, *here.parents) if (folder / "_toc.yml").exists()), here
    )


def checkout(*needed: str) -> Path:
    """`home`, if the paths `needed` are there. Raises `RunError` outside a checkout."""
    root = home()
    missing = [name for name in needed if not (root / name).exists()]
    if missing:
        raise RunError(
            f"{root} has no {missing[0]}: this command needs the notebooks and the book of "
            "trajtransfer, which are not part of the installed package; run this inside a checkout "
            "of trajtransfer, or name one by TRAJTRANSFER_HOME"
        )
    return root
