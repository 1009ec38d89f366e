"""A unit of work of a laboratory: a function, its arguments, and what it makes of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pandas as pd
import torch

from trajtransfer.paper import networks, requests
from trajtransfer.paper.provenance import circumstances
from trajtransfer.paper.requests import Argument, Request
from trajtransfer.paper.seeds import Seeds
from trajtransfer.paper.setting import Setting
from trajtransfer.paper.storage.progress import progress
from trajtransfer.paper.units import Clock, kept, place, present


class Laboratory(Protocol):
    """What a unit needs of a `Lab`."""

    setting: Setting
    device: str
    clock: Clock

    @property
    def identity(self) -> dict[str, Any]:
        """What of it decides the numbers that come out of it."""


# `networks.network` or `networks.recorded`, of which setting and seed.
Need = tuple[Callable[..., Any], Setting, int]
Needs = Callable[..., Iterable[Need]]
NEEDS: dict[Callable[..., Any], Needs] = {}  # of functions that are marked by `needing`


@dataclass(frozen=True)
class Unit:
    """``make(lab, *arguments)``, made once and kept.

    `make` is a function of a module, its arguments are JSON, pairs of seeds or laboratories, and
    what it returns is JSON, such as a list of tidy rows. It is made anew when its arguments, the
    setting, the data, the specification, the device or the code change, and by nothing else.
    """

    lab: Laboratory
    make: Callable[..., Any]
    arguments: tuple[Any, ...]

    @property
    def name(self) -> str:
        """The readable part of the place where it is kept."""
        setting = self.lab.setting
        words = [self.make.__name__, setting.name, f"w{setting.width:g}"]
        return "-".join([*words, *map(_word, self.arguments)])

    @property
    def address(self) -> dict[str, Any]:
        """All that decides what it makes."""
        return self.lab.identity | {
            "made by": self._made_by,
            "arguments": [_plain(argument) for argument in self.arguments],
            **circumstances(self.make.__module__, self.lab.device),
        }

    @property
    def _made_by(self) -> str:
        return f"{self.make.__module__}.{self.make.__qualname__}"

    def present(self) -> bool:
        """Whether it is kept already."""
        with self.lab.clock.apart():
            return present(self.name, self.address)

    def request(self) -> Request:
        """What to ask others for."""
        key = place(self.name, self.address).parent.name
        about = (key, self._made_by, self.lab.setting, self.lab.device)
        given = tuple(map(_argument, self.arguments))
        return Request(*about, torch.get_num_threads(), given, tuple(self._needs()))

    def _needs(self) -> Iterator[Request]:
        """Networks that are not there."""
        needs = NEEDS.get(self.make, both_ends)
        for make, setting, seed in needs(self.lab, *self.arguments):
            every_epoch = make is networks.recorded
            if not networks.present(setting, seed, self.lab.device, every_epoch):
                yield networks.request(make, setting, seed, self.lab.device)

    def content(self) -> Any:
        """What it makes, read back where it is kept, else made now and kept."""
        return contents([self])[0]

    def table(self) -> pd.DataFrame:
        """Its rows as a frame; what is missing in a column of numbers is NaN."""
        return _frame(self.content())

    def _kept(self) -> Any:
        with self.lab.clock.apart():
            found = kept(self.name, self.address, lambda: self.make(self.lab, *self.arguments))
        self.lab.clock.add(self.make.__name__, found)
        return found.content


def needing(needs: Needs) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Mark a function that needs other networks than `both_ends` of its pairs of seeds."""

    def marked(make: Callable[..., Any]) -> Callable[..., Any]:
        NEEDS[make] = needs
        return make

    return marked


def both_ends(lab: Laboratory, *arguments: Any) -> list[Need]:
    """The trained networks of all pairs of seeds among the arguments."""
    seeds = [seed for pair in arguments if isinstance(pair, Seeds) for seed in pair]
    return [(networks.network, lab.setting, seed) for seed in seeds]


def starts(lab: Laboratory, *arguments: Any) -> list[Need]:
    """What these are pre-trained as: for functions that take them before their own training."""
    parent = lab.setting.pretrained
    return [(make, parent, seed) for make, _, seed in both_ends(lab, *arguments) if parent]


def contents(units: Sequence[Unit]) -> list[Any]:
    """What several units make. Where others make them, all that are missing are asked for."""
    if requests.asking():
        requests.ask(unit.request() for unit in units if not unit.present())
    shown = progress(units, "units of work") if len(units) > 1 else units
    return [unit._kept() for unit in shown]


def tables(units: Iterable[Unit]) -> pd.DataFrame:
    """The tables of several units below each other."""
    return joined([_frame(rows) for rows in contents(list(units))])


def joined(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Frames below each other."""
    return pd.concat(frames, ignore_index=True)


def _frame(rows: Any) -> pd.DataFrame:
    return pd.DataFrame(rows).fillna(math.nan).infer_objects()


def _word(argument: Any) -> str:
    """An argument in a readable name."""
    return argument.setting.name if hasattr(argument, "setting") else str(argument)


def _plain(argument: Any) -> Any:
    """An argument as JSON; of a laboratory, what of it decides numbers."""
    if hasattr(argument, "setting"):
        return argument.identity
    return str(argument) if isinstance(argument, Seeds) else argument


def _argument(argument: Any) -> Argument:
    """An argument as a request has it."""
    if hasattr(argument, "setting"):
        return Argument(setting=argument.setting)
    return Argument(seeds=str(argument)) if isinstance(argument, Seeds) else Argument(argument)
