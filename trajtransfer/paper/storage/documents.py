"""Files that people and earlier runs wrote, read through one validating layer.

A file that is missing, malformed or foreign raises `DocumentError`, which names the file, the place in it and the remedy.
"""

from __future__ import annotations

import hashlib
import json
import math
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import nbformat
import yaml
from nbformat import NotebookNode
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

LISTING = "results.json"  # of a folder of results; what carries it is ours
MEND = "mend it, or take it from the repository again"  # for what the project itself holds
Value = bool | int | float | str
Cell = Value | None
Text = Annotated[str, StringConstraints(min_length=1)]
RunName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_]+$", max_length=100)]
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")]


class DocumentError(ValueError):
    """A file that cannot be read for what it should be: its path, the place in it, and what to do."""

    def __init__(self, path: Path, problem: str, remedy: str):
        super().__init__(f"{path}: {problem}; {remedy}")


class Document(BaseModel):
    """What all documents share: no unknown fields, no conversions, no changes."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Run(Document):
    """One run of a profile: a notebook with parameters, under a name, a title and a note of its own."""

    name: RunName
    notebook: Text
    parameters: dict[str, Value] = {}
    title: Text | None = None
    note: Text | None = None

    @model_validator(mode="after")
    def _leaves_the_listing_alone(self) -> Run:
        if f"{self.name}.json" == LISTING:
            raise ValueError(f"a run cannot be called {self.name!r}: its record would take the place of {LISTING}")
        return self


class Profile(Document):
    """The runs that are made together. No two have one name."""

    description: Text
    runs: Annotated[list[Run], Field(min_length=1)]

    @model_validator(mode="after")
    def _names_each_run_once(self) -> Profile:
        repeated = [name for name, count in Counter(run.name for run in self.runs).items() if count > 1]
        if repeated:
            raise ValueError(f"several runs are called {', '.join(repeated)}")
        return self

    @property
    def names(self) -> list[str]:
        """The names of the runs, in their order."""
        return [run.name for run in self.runs]


class Check(Document):
    """One comparison behind a claim: the mean of a `measure` of a run's record with exactly one bound.

    `panel` names panels of the paper's figures whose curves give the paper's value, `reported` the measure there.
    """

    record: RunName
    measure: Text
    says: Text
    at_least: float | None = None
    at_most: float | None = None
    panel: str = ""
    reported: Text | None = None

    @model_validator(mode="after")
    def _has_one_finite_bound(self) -> Check:
        bounds = [bound for bound in (self.at_least, self.at_most) if bound is not None]
        if len(bounds) != 1 or not math.isfinite(bounds[0]):
            raise ValueError("a check needs exactly one of at_least and at_most, a finite number")
        return self


class Claim(Document):
    """A claim of the paper, where it stands there, and the checks that decide it."""

    id: Text
    claim: Text
    where: Text
    checks: Annotated[list[Check], Field(min_length=1)]


class Provenance(Document):
    """Where the numbers of a record come from; `seconds` of each stage."""

    commit: str
    profile: str
    parameters: dict[str, Value]
    data: dict[str, str]
    device: str
    versions: dict[str, str]
    seconds: dict[str, float]


class RecordFile(Document):
    """The numbers of an executed notebook: tidy rows by table, and the values of each measure, one per seed pair."""

    name: RunName
    provenance: Provenance
    measures: dict[str, list[float]]
    tables: dict[str, list[dict[str, Cell]]]


class Made(Document):
    """A run that was made: what it was made of (`origin`), and the checksums (SHA-256) of its files."""

    origin: str
    files: dict[FileName, str]


class Pending(Made):
    """A run that is complete and on its way to its place when the listing is written: a kill may leave it half moved."""

    name: RunName


class Listing(Document):
    """What a folder of results holds."""

    made_by: Literal["trajtransfer"]
    profile: str
    description: str = ""
    complete: bool
    runs: dict[RunName, Made]
    pending: Pending | None = None
    checksum: str = ""  # of all of the above

    def signed(self) -> Listing:
        """This listing with its checksum."""
        content = self.model_dump_json(exclude={"checksum"})
        return self.model_copy(update={"checksum": hashlib.sha256(content.encode()).hexdigest()})


Kind = TypeVar("Kind", bound=Document)


def read_listing(folder: Path, remedy: str) -> Listing:
    """The listing of a folder of results. Raises `DocumentError` for one that was not written by us, or was changed since."""
    listing = read_json(folder / LISTING, Listing, remedy)
    if listing != listing.signed():
        raise DocumentError(folder / LISTING, "it is not as it was written", remedy)
    return listing


def read_json(path: Path, kind: type[Kind], remedy: str) -> Kind:
    """A JSON file as a `Document`. Raises `DocumentError`, which ends with the `remedy`."""
    return _validated(path, kind, _parsed(path, _json, remedy), remedy)


def read_yaml(path: Path, kind: type[Kind], remedy: str) -> Kind:
    """A YAML file as a `Document`. Raises `DocumentError`, which ends with the `remedy`."""
    return _validated(path, kind, _parsed(path, _yaml, remedy), remedy)


def read_claims(root: Path) -> list[Claim]:
    """The claims of the project at `root`. Raises `DocumentError` for a file that does not hold them."""
    path = root / "book" / "claims.yml"
    content = _parsed(path, _yaml, MEND)
    if not isinstance(content, list) or not content:
        raise DocumentError(path, f"it should be a list of claims and is {_kind(content)}", MEND)
    claims = [_validated(path, Claim, item, MEND, f"claim {number}") for number, item in enumerate(content, 1)]
    repeated = [name for name, count in Counter(claim.id for claim in claims).items() if count > 1]
    if repeated:
        raise DocumentError(path, f"several claims are called {', '.join(repeated)}", MEND)
    return claims


def read_notebook(path: Path, remedy: str) -> NotebookNode:
    """A notebook of format 4. Raises `DocumentError`, which ends with the `remedy`."""
    content = _parsed(path, _json, remedy)
    if not isinstance(content, dict) or content.get("nbformat") != 4:
        raise DocumentError(path, "it is not a notebook of format 4", remedy)
    try:
        with warnings.catch_warnings(action="error", category=FutureWarning):  # nbformat's for cells without names
            nbformat.validate(nbformat.from_dict(content))
            notebook: NotebookNode = nbformat.reads(json.dumps(content), as_version=4)  # joins texts that are lists of lines
    except (nbformat.ValidationError, FutureWarning, AssertionError, AttributeError, LookupError, TypeError, ValueError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise DocumentError(path, f"it is not a valid notebook ({reason})", remedy) from error
    return notebook


class _UniqueKeys(yaml.SafeLoader):
    """Refuses a mapping that names a key twice, of which YAML would keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """The mapping, or a ``YAMLError`` that names the repeated keys and their place."""
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        if repeated := [str(key) for key, count in Counter(map(str, keys)).items() if count > 1]:
            raise yaml.YAMLError(f"{', '.join(repeated)} is given twice{node.start_mark}")
        return super().construct_mapping(node, deep)


def _yaml(text: str) -> Any:
    return yaml.load(text, _UniqueKeys)


def _json(text: str) -> Any:
    return json.loads(text, object_pairs_hook=_unique)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    repeated = [key for key, count in Counter(key for key, _ in pairs).items() if count > 1]
    if repeated:
        raise ValueError(f"{', '.join(repeated)} is given twice")
    return dict(pairs)


def _parsed(path: Path, parse: Callable[[str], Any], remedy: str) -> Any:
    try:
        return parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DocumentError(path, "it is not there", remedy) from error
    except OSError as error:
        raise DocumentError(path, error.strerror or str(error), remedy) from error
    except UnicodeDecodeError as error:
        raise DocumentError(path, f"it is not a text (byte {error.start})", remedy) from error
    except json.JSONDecodeError as error:
        raise DocumentError(path, f"line {error.lineno}, column {error.colno}: {error.msg}", remedy) from error
    except RecursionError as error:
        raise DocumentError(path, "it is nested too deeply", remedy) from error
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError) as error:  # what odd YAML tags raise
        raise DocumentError(path, " ".join(str(error).split()), remedy) from error


def _validated(path: Path, kind: type[Kind], content: Any, remedy: str, place: str = "") -> Kind:
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in (place, *first["loc"]) if part != "")
        message = first["msg"].removeprefix("Value error, ")
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        raise DocumentError(path, f"{where or 'the whole'}: {message}{more}", remedy) from error


def _kind(content: Any) -> str:
    return "empty" if content is None else f"a {type(content).__name__}"
