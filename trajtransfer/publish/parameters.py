"""The typed parameters of notebooks: what there is, and given values converted to their types.

Nothing here needs papermill or PyTorch, so that what is asked or mistyped is answered at once.
"""

from __future__ import annotations

import ast
import io
import json
import tokenize
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from trajtransfer.paper.storage.documents import DocumentError
from trajtransfer.paper.storage.project import RunError
from trajtransfer.paper.storage.reading import MEND, parse_yaml, read_notebook

KINDS: dict[str, type] = {"int": int, "float": float, "str": str, "bool": bool, "list": list}
WORDS = {"true": True, "false": False}
FORM = "name: type = default  # help"
# What lists hold, by the type of the elements of their default, and what is taken for it.
ELEMENTS = {int: "whole numbers", float: "numbers", str: "texts"}
TAKEN: dict[type, tuple[type, ...]] = {int: (int,), float: (int, float), str: (str,)}
NUMBERS = (8, 32)  # an example of a list of numbers
Values = Mapping[str, Any]


class Parameter(NamedTuple):
    """A parameter of a notebook: its `kind` is one of int, float, str, bool and list."""

    name: str
    kind: str
    default: Any
    help: str

    @property
    def element(self) -> type:
        """What a list holds: the type of what its default holds, whole numbers for an empty one."""
        return type(self.default[0]) if self.default else int


def notebooks(root: Path) -> list[Path]:
    """The notebooks of the project at `root`, by name. Raises `RunError` outside a checkout."""
    found = sorted((root / "notebooks").glob("*.ipynb"))
    if not found:
        place = root / "notebooks"
        raise RunError(
            f"there are no notebooks in {place}; run this inside a checkout of trajtransfer"
        )
    return found


def parameters(path: Path) -> dict[str, Parameter]:
    """The typed parameters of a notebook, without `record`, which the runner sets itself.

    Raises `DocumentError` for a notebook whose parameters are not of the form that `FORM` shows.
    """
    cells = read_notebook(path, MEND).cells
    tagged = [cell.source for cell in cells if "parameters" in cell.metadata.get("tags", [])]
    try:
        found = _declared("\n".join(tagged))
    except (SyntaxError, ValueError) as error:
        raise DocumentError(path, f"its parameters cannot be read ({error})", MEND) from error
    return {parameter.name: parameter for parameter in found if parameter.name != "record"}


def parse_assignment(text: str) -> tuple[str, str]:
    """``NAME=VALUE`` in two. Raises `RunError` without an equals sign."""
    name, equals, value = text.partition("=")
    if not equals:
        raise RunError(f"-p {text}: expected NAME=VALUE")
    return name.strip(), value.strip()


def written(value: Any) -> str:
    """A value as it is written after ``-p NAME=``: lists in YAML, everything else as it is."""
    if not isinstance(value, list):
        return str(value)
    return json.dumps(value, ensure_ascii=False, default=str)


def shown(parameter: Parameter) -> str:
    """The default of a parameter for readers: texts in quotes, lists as they are written."""
    default = parameter.default
    return written(default) if isinstance(default, list) else repr(default)


def convert(path: Path, given: Values) -> dict[str, Any]:
    """Parameters converted to their types.

    Texts, as a command line gives them, are read as numbers, words or lists in YAML. Raises
    `RunError` that names an unknown parameter or an unfit value.
    """
    known = parameters(path)
    if unknown := sorted(set(given) - set(known)):
        names = ", ".join(map(repr, unknown))
        raise RunError(f"{path.stem} has no parameter {names}; it has: {', '.join(known)}")
    try:
        return {name: _converted(known[name], value) for name, value in given.items()}
    except ValueError as error:
        raise RunError(f"{path.stem}: {error}") from error


def _declared(source: str) -> list[Parameter]:
    """The parameters that a cell declares. Raises ``ValueError`` or ``SyntaxError`` for others."""
    statements = ast.parse(source, "parameters").body
    comments = _comments(source)
    return [_parameter(one, comments.get(one.end_lineno or 0, "")) for one in statements]


def _comments(source: str) -> dict[int, str]:
    """The comment of each line that has one."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {
        token.start[0]: token.string.removeprefix("#").strip()
        for token in tokens
        if token.type == tokenize.COMMENT
    }


def _parameter(statement: ast.stmt, comment: str) -> Parameter:
    match statement:
        case ast.AnnAssign(
            target=ast.Name(id=name), annotation=ast.Name(id=kind), value=ast.expr() as value
        ) if kind in KINDS:
            found = Parameter(name, kind, ast.literal_eval(value), comment)
        case _:
            raise ValueError(f"line {statement.lineno} is not of the form `{FORM}`")
    if type(found.default) is not KINDS[kind]:
        raise ValueError(f"the default of {name} is not of type {kind}")
    if isinstance(found.default, list):
        _require_elements(found, found.default)
    return found


def _converted(parameter: Parameter, value: Any) -> Any:
    """A value of the type of a parameter. Raises ``ValueError`` where it has another."""
    if parameter.kind == "list":
        return _list(parameter, value)
    try:
        return _scalar(parameter.kind, value)
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise ValueError(
            f"{parameter.name}={value!r} is not of type {parameter.kind} "
            f"(default: {parameter.default!r})"
        ) from error


def _scalar(kind: str, value: Any) -> Any:
    if kind == "bool":
        return value if isinstance(value, bool) else WORDS[str(value).lower()]
    if isinstance(value, bool | list) or (kind == "int" and isinstance(value, float)):
        raise TypeError
    return KINDS[kind](value)


def _list(parameter: Parameter, value: Any) -> list[Any]:
    """A list, which may be given as a text in YAML."""
    found = value
    if isinstance(value, str):
        try:
            found = parse_yaml(value)
        except ValueError:
            found = None
    if not isinstance(found, list):
        raise ValueError(f"{parameter.name}={value!r} is not a list, such as {_example(parameter)}")
    _require_elements(parameter, found)
    return [parameter.element(item) for item in found]


def _require_elements(parameter: Parameter, items: list[Any]) -> None:
    """Raise ``ValueError`` for a list of something else than the parameter holds."""
    kind = parameter.element
    if kind not in ELEMENTS:
        raise ValueError(f"{parameter.name} holds neither numbers nor texts")
    if not all(isinstance(item, TAKEN[kind]) and not isinstance(item, bool) for item in items):
        raise ValueError(
            f"{parameter.name}={written(items)} is not a list of {ELEMENTS[kind]}, "
            f"such as {_example(parameter)}"
        )


def _example(parameter: Parameter) -> str:
    """A list of two such as the parameter takes."""
    return written(parameter.default[:2] or list(NUMBERS))
