"""Whether the parameters of a notebook can be meant: seeds, sizes, names, devices, panels, data.

Everything that can be refused without a kernel is refused here, before the first run of a profile.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from trajtransfer.algorithms import METHODS
from trajtransfer.paper import fitting, networks
from trajtransfer.paper.datasets.errors import MissingDataError
from trajtransfer.paper.devices import require_device
from trajtransfer.paper.reported import panels
from trajtransfer.paper.seeds import seed_pair, seed_pairs
from trajtransfer.paper.setting import PHOTOGRAPHS, Setting
from trajtransfer.paper.settings import SETTINGS, settings
from trajtransfer.paper.storage.project import RunError
from trajtransfer.publish.parameters import Values, parameters, written
from trajtransfer.schedules import MOST_STEPS

# From the least to the largest value of a parameter; what 0 means stands in the help of the
# parameter, and what an empty list means where there can be one.
RANGES: dict[str, tuple[float, float]] = {
    "steps": (0, MOST_STEPS),
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
LEAST = 1e-6  # of a real number that has to be positive
MOST = 10**6  # what a number in a list can be
OF_A_SETTING = (
    "preset",
    "steps",
    "batch_size",
    "schedule",
    "epochs",
    "decay",
    "next_lr",
    "next_epochs",
)
# Networks that get one thread of a CPU: on two, the library that PyTorch uses for convolutions was
# seen to stand still in the gradient of a narrow ResNet (see `objective.memory_format`). One costs
# a small network nothing.
ONE_THREAD = ("resnet10", "resnet18")


def check_meaning(path: Path, given: Values) -> dict[str, str]:
    """Raise `RunError` for converted parameters that cannot be meant.

    `given` are those that replace the notebook's own. Returns the checksums of the data that is
    there and was looked at.
    """
    known = parameters(path)
    values = complete(path, given)
    may_be_empty = {name for name, one in known.items() if "empty:" in one.help}
    try:
        for name, value in values.items():
            _check_number(name, value)
            if name in _READERS and (value or name not in may_be_empty):
                _READERS[name](value)
        if "panel" in values:
            _check_panel(values["panel"], known["panel"].default)
        return _checked_data(values)
    except ValueError as error:
        raise RunError(f"{path.stem}: {error}") from error


def threads(path: Path, given: Values) -> int | None:
    """How many threads of a CPU a notebook gets (none: as many as PyTorch takes)."""
    names = _setting_names(complete(path, given))
    fragile = any(SETTINGS[name].architecture in ONE_THREAD for name in names)
    return 1 if fragile else None


def require_numbers(name: str, values: Sequence[int], most: int = MOST) -> None:
    """Raise ``ValueError`` unless these are whole numbers from 1 to `most`, none of them twice."""
    _require_different(name, values, "number")
    for value in values:
        if value < 1:
            raise ValueError(f"{name}={written(values)}: the numbers must be positive")
        if value > most:
            raise ValueError(
                f"{name}={written(values)}: {value} cannot be meant; choose at most {most}"
            )


def require_reals(name: str, values: Sequence[float], least: float) -> None:
    """Raise ``ValueError`` unless these are numbers from `least` to `MOST`, none of them twice."""
    _require_different(name, values, "number")
    for value in values:
        if not least <= value <= MOST:
            raise ValueError(
                f"{name}={written(values)}: {value} cannot be meant; "
                f"give numbers from {least:g} to {MOST}"
            )


def require_methods(values: Sequence[str]) -> None:
    """Raise ``ValueError`` unless these are methods of the registry, none of them twice."""
    _require_different("methods", values, "method")
    if unknown := [method for method in values if method not in METHODS]:
        raise ValueError(f"unknown methods {written(unknown)}; known: {', '.join(METHODS)}")


def require_settings(values: Sequence[str]) -> None:
    """Raise ``ValueError`` unless these are settings, none of them twice."""
    _require_different("settings", values, "setting")
    for name in values:
        if name not in SETTINGS:
            raise ValueError(f"unknown setting {name!r}; known: {', '.join(SETTINGS)}")


def require_groups(values: Sequence[str]) -> None:
    """Raise ``ValueError`` unless each text names the seed pairs of an ensemble."""
    _require_different("groups", values, "group")
    for group in values:
        seed_pairs(group)


def _require_different(name: str, values: Sequence[Any], what: str) -> None:
    if not values:
        raise ValueError(f"{name}=[] names no {what}; give one at least")
    if len(set(values)) < len(values):
        raise ValueError(f"{name}={written(values)} names a {what} twice")


def complete(path: Path, given: Values) -> dict[str, Any]:
    """The parameters of a notebook with those that replace its own."""
    return {name: one.default for name, one in parameters(path).items()} | dict(given)


def _check_number(name: str, value: Any) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{name}={value} is not a finite number")
    low, high = RANGES.get(name, (-math.inf, math.inf))
    if not isinstance(value, str | bool | list) and not low <= value <= high:
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
    """Check changes of settings, and whether there are as many images as are asked for."""
    checksums: dict[str, str] = {}
    for chosen in chosen_settings(values):
        try:
            fitting.require_fit(chosen)
            if "fraction" in values:
                poor = chosen.with_source_fraction(values["fraction"])
                fitting.require_trainable(poor.pretrained or chosen)
            if chosen.dataset not in PHOTOGRAPHS:
                checksums[chosen.task()] = networks.task_of(chosen).checksum
        except MissingDataError:
            continue  # the run itself says how to get them
    return checksums


def chosen_settings(values: Values) -> list[Setting]:
    """The settings that a notebook with all its parameters is about; it may have none."""
    changes = {name: values[name] for name in OF_A_SETTING if name in values}
    if values.get("batch_sizes"):
        changes["batch_size"] = max(values["batch_sizes"])
    widths = values.get("widths") or [values.get("width", 0)]
    return settings(_setting_names(values), widths, **changes)


def _setting_names(values: Values) -> list[str]:
    if "setting" in values:
        return [values["setting"]]
    return list(values.get("settings", []))


_READERS: dict[str, Callable[[Any], object]] = {
    "pairs": seed_pairs,
    "pair": seed_pair,
    "groups": require_groups,
    "methods": require_methods,
    "settings": require_settings,
    "widths": lambda values: require_reals("widths", values, LEAST),
    "learning_rates": lambda values: require_reals("learning_rates", values, LEAST),
    "weight_decays": lambda values: require_reals("weight_decays", values, 0),
    "training_epochs": lambda values: require_numbers("training_epochs", values),
    "batch_sizes": lambda values: require_numbers("batch_sizes", values),
    "lengths": lambda values: require_numbers("lengths", values, MOST_STEPS),
    "limits": lambda values: require_numbers("limits", values),
    "task": _check_task,
    "device": require_device,
}
