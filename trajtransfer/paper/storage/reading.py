"""Documents read from files: what is missing, malformed or foreign is refused by name.

`DocumentError` names the file, the place in it and the remedy.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import nbformat
import yaml
from nbformat import NotebookNode
from pydantic import ValidationError

from trajtransfer.paper.storage.documents import LISTING, Document, DocumentError
from trajtransfer.paper.storage.outcomes import Listing
from trajtransfer.paper.storage.plans import Claims, Contents, PaperItem, repeats

MEND = "mend it, or take it from the repository again"  # for what the project itself holds
ODD_NOTEBOOKS = (  # what nbformat raises for them
    nbformat.ValidationError,
    FutureWarning,
    AssertionError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
)
Kind = TypeVar("Kind", bound=Document)


def read_listing(folder: Path, remedy: str) -> Listing:
    """The listing of a folder of results.

    Raises `DocumentError` for one that was not written by us, or was changed since.
    """
    listing = read_json(folder / LISTING, Listing, remedy)
    if listing != listing.signed():
        raise DocumentError(folder / LISTING, "it is not as it was written", remedy)
    return listing


def read_claims(root: Path) -> Claims:
    """The claims of the project at `root`, with their gates. Raises `DocumentError`."""
    return read_yaml(root / "book" / "claims.yml", Claims, MEND)


def read_contents(root: Path) -> Contents:
    """The table of contents of the project at `root`. Raises `DocumentError`."""
    return read_yaml(root / "_toc.yml", Contents, MEND)


def read_paper_items(root: Path) -> list[PaperItem]:
    """What of the paper is where in the book of the project at `root`. Raises `DocumentError`."""
    return _read_list(root / "book" / "where.yml", PaperItem, "item")


def read_json(path: Path, kind: type[Kind], remedy: str) -> Kind:
    """A JSON file as a `Document`. Raises `DocumentError`, which ends with the `remedy`."""
    return _validated(path, kind, _parsed(path, _json, remedy), remedy)


def read_yaml(path: Path, kind: type[Kind], remedy: str) -> Kind:
    """A YAML file as a `Document`. Raises `DocumentError`, which ends with the `remedy`."""
    return _validated(path, kind, _parsed(path, parse_yaml, remedy), remedy)


def read_notebook(path: Path, remedy: str) -> NotebookNode:
    """A notebook of format 4. Raises `DocumentError`, which ends with the `remedy`."""
    content = _parsed(path, _json, remedy)
    if not isinstance(content, dict) or content.get("nbformat") != 4:
        raise DocumentError(path, "it is not a notebook of format 4", remedy)
    try:
        # nbformat warns of cells without names.
        with warnings.catch_warnings(action="error", category=FutureWarning):
            nbformat.validate(nbformat.from_dict(content))
            # Reading joins texts that are lists of lines.
            notebook: NotebookNode = nbformat.reads(json.dumps(content), as_version=4)
    except ODD_NOTEBOOKS as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise DocumentError(path, f"it is not a valid notebook ({reason})", remedy) from error
    return notebook


def parse_yaml(text: str) -> Any:
    """What a text in YAML says. Raises ``ValueError`` for all that it cannot say."""
    try:
        return yaml.load(text, _UniqueKeys)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError) as error:
        # All of them are what odd tags and scalars raise.
        raise ValueError(" ".join(str(error).split())) from error


class _UniqueKeys(yaml.SafeLoader):
    """Refuses a mapping that names a key twice, of which YAML would keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """The mapping, or a ``YAMLError`` that names the repeated keys and their place."""
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        if repeated := repeats(map(str, keys)):
            raise yaml.YAMLError(f"{', '.join(repeated)} is given twice{node.start_mark}")
        return super().construct_mapping(node, deep)


def _json(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_unique)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise ValueError(f"{place}: {error.msg}") from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if repeated := repeats(key for key, _ in pairs):
        raise ValueError(f"{', '.join(repeated)} is given twice")
    return dict(pairs)


def _read_list(path: Path, kind: type[Kind], what: str) -> list[Kind]:
    """A YAML file that holds a list of documents, each of them `what`."""
    content = _parsed(path, parse_yaml, MEND)
    if not isinstance(content, list) or not content:
        found = "empty" if content is None else f"a {type(content).__name__}"
        raise DocumentError(path, f"it should be a list of {what}s and is {found}", MEND)
    numbered = enumerate(content, 1)
    return [_validated(path, kind, item, MEND, f"{what} {number}") for number, item in numbered]


def _parsed(path: Path, parse: Callable[[str], Any], remedy: str) -> Any:
    try:
        return parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DocumentError(path, "it is not there", remedy) from error
    except OSError as error:
        raise DocumentError(path, error.strerror or str(error), remedy) from error
    except UnicodeDecodeError as error:
        raise DocumentError(path, f"it is not a text (byte {error.start})", remedy) from error
    except ValueError as error:
        raise DocumentError(path, str(error), remedy) from error


def _validated(path: Path, kind: type[Kind], content: Any, remedy: str, place: str = "") -> Kind:
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in (place, *first["loc"]) if part != "")
        message = first["msg"].removeprefix("Value error, ")
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        raise DocumentError(path, f"{where or 'the whole'}: {message}{more}", remedy) from error
