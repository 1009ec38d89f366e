"""Where numbers come from: the code, the libraries and the machine that made them."""

from __future__ import annotations

import ast
import hashlib
import subprocess
from collections.abc import Iterator
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from threading import Lock
from typing import Any

from trajtransfer.paper.devices import kind_of_device

PACKAGE = Path(__file__).parents[1]
LIBRARIES = ("torch", "torchvision", "scipy", "numpy")
# What keeps and names results decides none of their numbers; settings and specifications are part
# of an address themselves.
IDLE = (
    "storage",
    "checkpoints",
    "counterparts",
    "devices",
    "provenance",
    "published_settings",
    "requests",
    "setting",
    "structures",
    "unit_of_work",
    "units",
)
_PARSING = Lock()  # Python 3.11 fails now and then when two threads parse
IDLE_MODULES = tuple(f"trajtransfer.paper.{name}" for name in IDLE)


def circumstances(module: str, device: str) -> dict[str, Any]:
    """What decides numbers beside the arguments: the code, the libraries, the kind of device."""
    return {
        "code": code_digest(module),
        "libraries": libraries(),
        "device": kind_of_device(device),
    }


@lru_cache
def libraries() -> dict[str, str]:
    """The versions of the `LIBRARIES`; asking for one takes ten milliseconds."""
    return {name: version(name) for name in LIBRARIES}


@lru_cache
def code_digest(module: str) -> str:
    """A digest of the statements of a module and of all modules of this package that it imports.

    Comments, docstrings and layout are left out: they decide no number.
    """
    digest = hashlib.sha256()
    with _PARSING:
        for name in sorted(_imported(module)):
            digest.update(f"{name}\n{ast.dump(_statements(name))}\n".encode())
    return digest.hexdigest()[:16]


@lru_cache
def commit() -> str:
    """The commit of the code that runs, marked when code or notebooks differ from it.

    "unknown" outside a checkout.
    """
    try:
        head = _git("rev-parse", "--short=12", "HEAD")
        changed = _git("status", "--porcelain", "--", ".", "../notebooks")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{head}-modified" if changed else head


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(PACKAGE), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _imported(module: str) -> set[str]:
    """A module and what it imports of this package, however far down."""
    found: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in found or (name != module and name.startswith(IDLE_MODULES)):
            continue
        found.add(name)
        waiting.extend(_imports_of(name))
    return found


def _imports_of(module: str) -> Iterator[str]:
    for node in ast.walk(_statements(module)):
        if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith(
            "trajtransfer"
        ):
            continue
        if _file(str(node.module)).exists():
            yield str(node.module)
        for alias in node.names:
            inner = f"{node.module}.{alias.name}"
            if _file(inner).exists():
                yield inner


@lru_cache
def _statements(module: str) -> ast.Module:
    """The syntax tree of a module without docstrings."""
    tree = ast.parse(_file(module).read_text())
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if not isinstance(body, list) or not body or not isinstance(body[0], ast.Expr):
            continue
        if isinstance(body[0].value, ast.Constant) and isinstance(body[0].value.value, str):
            del body[0]
    return tree


def _file(module: str) -> Path:
    """The file of a module of this package; packages hold no statements."""
    return (PACKAGE / Path(*module.split(".")[1:])).with_suffix(".py")
