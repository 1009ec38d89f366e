"""The typed parameters of notebooks: what there is, and whether what was given can be meant.

Everything that can be refused without a kernel is refused here, before the first run of a profile.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import papermill

from trajtransfer.paper import experiment, networks, settings
from trajtransfer.paper.chapters import ensembles
from trajtransfer.paper.datasets.errors import MissingDataError
from trajtransfer.paper.reported import panels
from trajtransfer.paper.storage.documents import MEND, DocumentError, read_notebook
from trajtransfer.paper.storage.project import RunError

KINDS = {"int": int, "float": float, "str": str, "bool": bool}
WORDS = {"true": True, "false": False}
Values = Mapping[str, Any]
# From the least to the largest value that a parameter can have; what 0 means stands in the help of the parameter.
RANGES: dict[str, tuple[float, float]] = {
    "steps": (0, 10_000),
    "batch_size": (0, 2**31),
    "epochs": (0, 10_000),
    "next_epochs": (0, 10_000),
    "next_lr": (0, 1e3),
    "lr": (1e-12, 1e3),
    "width": (0, 100_000),
    "fraction": (1e-6, 1),
    "share": (1e-3, 1),
    "every": (1, 10**6),
    "iterations": (1, 10**6),
    "positions": (2, 1_000),
    "resolution": (2, 200),
    "draws": (2, 1_000),
    "samples": (1, 10**6),
    "restarts": (1, 1_000),
}
OF_A_SETTING = ("preset", "width", "widths", "steps", "batch_size", "schedule", "epochs", "decay", "next_lr", "next_epochs")


class Parameter(NamedTuple):
    """A parameter of a notebook: its `type` is one of int, float, str and bool."""

    name: str
    type: str
    default: Any
    help: str


def notebooks(root: Path) -> list[Path]:
    """The notebooks of the project at `root`, by name. Raises `RunError` outside a checkout."""
    found = sorted((root / "notebooks").glob("*.ipynb"))
    if not found:
        raise RunError(f"there are no notebooks in {root / 'notebooks'}; run this inside a checkout of trajtransfer")
    return found


def parameters(path: Path) -> dict[str, Parameter]:
    """The typed parameters of a notebook, without `record`, which the runner sets itself."""
    read_notebook(path, MEND)
    try:
        inferred = papermill.inspect_notebook(str(path))
    except ValueError as error:
        raise DocumentError(path, str(error), MEND) from error
    return {
        name: Parameter(name, p["inferred_type_name"], ast.literal_eval(p["default"]), p["help"])
        for name, p in inferred.items()
        if name != "record"
    }


def parse_assignment(text: str) -> tuple[str, str]:
    """``NAME=VALUE`` in two. Raises `RunError` without an equals sign."""
    name, equals, value = text.partition("=")
    if not equals:
        raise RunError(f"-p {text}: expected NAME=VALUE")
    return name.strip(), value.strip()


def check(path: Path, given: Values) -> dict[str, Any]:
    """Parameters converted to their types. Raises `RunError` naming an unknown parameter or an unfit value."""
    known = parameters(path)
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise RunError(f"{path.stem} has no parameter {', '.join(map(repr, unknown))}; it has: {', '.join(known)}")
    return {name: _convert(path.stem, known[name], value) for name, value in given.items()}


def check_meaning(path: Path, given: Values) -> dict[str, str]:
    """Raise `RunError` for converted parameters that cannot be meant: seeds, sizes, names, devices, panels.

    `given` are those that replace the notebook's own. Returns the checksums of the data that is there and was looked at.
    """
    known = parameters(path)
    values = {name: parameter.default for name, parameter in known.items()} | dict(given)
    try:
        for name, value in values.items():
            _check_number(name, value)
            if name in _READERS:
                _READERS[name](value)
        if "panel" in values:
            _check_panel(values["panel"], known["panel"].default)
        return _checked_data(values) if "setting" in values else {}
    except ValueError as error:
        raise RunError(f"{path.stem}: {error}") from error


def _convert(notebook: str, parameter: Parameter, value: Any) -> Any:
    kind = KINDS[parameter.type]
    try:
        if kind is bool:
            return value if isinstance(value, bool) else WORDS[str(value).lower()]
        if isinstance(value, bool) or (kind is int and isinstance(value, float)):
            raise ValueError
        return kind(value)
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise RunError(
            f"{notebook}: {parameter.name}={value!r} is not of type {parameter.type} (default: {parameter.default!r})"
        ) from error


def _check_number(name: str, value: Any) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{name}={value} is not a finite number")
    low, high = RANGES.get(name, (-math.inf, math.inf))
    if not isinstance(value, str | bool) and not low <= value <= high:
        raise ValueError(f"{name}={value:g} cannot be meant; give a value from {low:g} to {high:g}")


def _check_panel(panel: str, default: str) -> None:
    """A panel of the same figure of the paper as the default."""
    known = sorted({label.partition("-")[0] for label in panels()} - {"ensemble"})
    fitting = [label for label in known if label[0] == default[0]]
    if panel not in fitting:
        raise ValueError(f"unknown panel {panel!r}; known for this notebook: {', '.join(fitting)}")


def _check_task(name: str) -> None:
    known = panels()["ensemble-table"]
    if name not in known:
        raise ValueError(f"unknown task {name!r}; known: {', '.join(known)}")


def _checked_data(values: Values) -> dict[str, str]:
    """Check names and changes of settings, and what asks for more images than there are (if they are there)."""
    changes = {name: values[name] for name in OF_A_SETTING if name in values}
    checksums: dict[str, str] = {}
    for chosen in settings.settings(values["setting"], **changes):
        try:
            networks.require_fit(chosen)
            if "fraction" in values:
                networks.require_trainable(chosen.with_source_fraction(values["fraction"]).pretrained or chosen)
            if chosen.dataset not in settings.PHOTOGRAPHS:
                checksums |= {chosen.task(): networks.task_of(chosen).checksum}
        except MissingDataError:
            continue  # the run itself says how to get them
    return checksums


_READERS: dict[str, Callable[[Any], object]] = {
    "pairs": experiment.parse_pairs,
    "pair": experiment.parse_pair,
    "groups": ensembles.parse_groups,
    "methods": experiment.parse_methods,
    "widths": lambda text: settings.numbers(text) if text else [],
    "lengths": lambda text: [settings.setting("mnist5k-mlp", steps=number) for number in settings.numbers(text)],
    "limits": settings.numbers,
    "task": _check_task,
    "device": networks.require_device,
}
