"""What a profile will ask for: its networks, rows and notebooks, with their counted work.

It is an estimate, read off the parameters of the runs without data. Networks of all settings and
seeds of a run are counted, also where it takes them before their training; trainings that go on
from transferred weights, shorter ones and those of other recipes (ensembles, movement), evaluations
while training, and what a notebook computes in the open are not: it is a lower bound.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from itertools import product

import torch

from trajtransfer.paper import architectures
from trajtransfer.paper.datasets.errors import MissingDataError
from trajtransfer.paper.networks import present
from trajtransfer.paper.seeds import Seeds, seed_pair, seed_pairs
from trajtransfer.paper.setting import PHOTOGRAPHS, Setting
from trajtransfer.paper.storage.outcomes import RecordFile
from trajtransfer.paper.storage.plans import Run
from trajtransfer.paper.work import sample_operations
from trajtransfer.publish.meaning import chosen_settings
from trajtransfer.publish.parameters import Values

SELECTION = 0.05  # of the training images, and then, as `tasks` cuts them,
VALIDATION = 0.1  # of the others
FORWARD = 1 / 3  # of the operations of a gradient
ASSUMED = 1e13  # operations a second of a GPU of the A100 class on small networks
COPIES = 3  # of the weights in a checkpoint, at most: with momentum, and while it is replaced
# Channels, side, classes and training images of each data set, as its authors publish them.
PUBLIC = {
    "mnist": (1, 28, 10, 60_000),
    "mnist-5k": (1, 28, 10, 4_500),
    "fashion-mnist": (1, 28, 10, 60_000),
    "cifar-10": (3, 32, 10, 50_000),
    "cifar-100": (3, 32, 100, 50_000),
    "imagenet": (3, 256, 1_000, 1_281_167),
    "cars": (3, 256, 196, 8_144),
    "cub": (3, 256, 200, 5_994),
}


@dataclass(frozen=True)
class Expected:
    """A job to come: its floating-point `operations`, the most `bytes` that it keeps, its needs.

    A network is trained in so many `epochs`, after each of which it can go on; other jobs have one.
    """

    name: str
    kind: str
    operations: float = 0.0
    bytes: int = 0
    needs: tuple[str, ...] = ()
    epochs: int = 1
    there: bool = False


def expected(
    runs: Iterable[Run], given: Iterable[Values], device: str = "cpu"
) -> dict[str, Expected]:
    """The jobs of runs with their complete parameters, by name, each behind all that it needs.

    A network that several runs need is one job. `device` is that of the networks that are there.
    Raises ``ValueError`` for parameters that cannot be meant.
    """
    found: dict[str, Expected] = {}
    for run, values in zip(runs, given, strict=True):
        needs: list[str] = []
        for job in _of_run(run, values, device):
            found.setdefault(job.name, job)
            if job.kind != "network":
                needs.append(job.name)
        found[run.name] = Expected(run.name, "notebook", needs=tuple(needs))
    return found


def rates(records: Iterable[RecordFile]) -> dict[str, float]:
    """Kind of device -> floating-point operations a second, by the trainings of some records."""
    sums: dict[str, list[float]] = {}
    for record in records:
        rows = record.tables.get("standard", [])
        kind = "cpu" if record.provenance.device.startswith("cpu") else "cuda"  # by its own name
        known = sums.setdefault(kind, [0.0, 0.0])
        for row in rows:
            known[0] += 1e9 * float(row["GFLOP"] or 0)
            known[1] += float(row["seconds"] or 0)
    return {kind: work / seconds for kind, (work, seconds) in sums.items() if seconds}


def summary(jobs: Iterable[Expected], known: Mapping[str, float]) -> str:
    """Jobs by kind: how many, their operations, disk space and hours.

    Hours are those of all jobs one after another, at the `rates` that are `known`. Of networks it
    is said how many are there; rows have addresses that only their notebooks can tell.
    """
    listed = list(jobs)
    lines = []
    for kind in ("network", "rows", "notebook"):
        own = [job for job in listed if job.kind == kind]
        left = [job for job in own if not job.there]
        there = f" ({len(own) - len(left)} there)" if kind == "network" else ""
        work = f"{_work(left):.1e} operations, {_space(left):.1f} GB"
        lines.append(f"{kind:10}{len(own):6}{there}, to do: {work}")
    left = [job for job in listed if not job.there]
    for kind, rate in known.items():
        hours = _work(left) / rate / 3600
        lines.append(f"at {rate:.1e} operations a second ({kind}, as recorded): {hours:,.1f} hours")
    for kind in sorted({"cpu", "cuda"} - set(known)):
        at = f"; at {ASSUMED:.0e} operations a second: {_work(left) / ASSUMED / 3600:,.1f} hours"
        lines.append(f"{kind}: no record says how fast it is{at if kind == 'cuda' else ''}")
    return "\n".join(lines)


def _work(jobs: Iterable[Expected]) -> float:
    return sum(job.operations for job in jobs)


def _space(jobs: Iterable[Expected]) -> float:
    return sum(job.bytes for job in jobs) / 1e9


def _of_run(run: Run, values: Values, device: str) -> Iterator[Expected]:
    methods = [str(method) for method in values.get("methods", [])] or ["fgmt"]
    settings = chosen_settings(values)
    if "fraction" in values:  # the same with a poorly pre-trained start
        settings += [setting.with_source_fraction(values["fraction"]) for setting in settings]
    for setting, seeds in product(settings, _pairs(values)):
        needs = []
        for seed in seeds:
            *parents, own = _networks(setting, seed, device)
            yield from (*parents, own)
            needs.append(own.name)
        for method in methods:
            work = _transfer(setting, method)
            name = f"{run.name} {setting.name} w{setting.width:g} {method} {seeds}"
            yield Expected(name, "rows", work, needs=tuple(needs))


def _pairs(values: Values) -> Sequence[Seeds]:
    if "pair" in values:
        return [seed_pair(str(values["pair"]))]
    if "groups" in values:
        return [seeds for group in values["groups"] for seeds in seed_pairs(str(group))]
    return seed_pairs(str(values["pairs"])) if "pairs" in values else []


def _networks(setting: Setting, seed: int, device: str) -> list[Expected]:
    """A network, after what it starts from."""
    parents = _networks(setting.pretrained, seed, device) if setting.pretrained else []
    identity = sha256(json.dumps(setting.training(), sort_keys=True).encode()).hexdigest()[:8]
    each, weights = _structure(setting.architecture, setting.width, *_shape(setting))
    epochs = setting.recipe.epochs
    own = Expected(
        f"{setting.name} w{setting.width:g} {identity} seed {seed}",
        "network",
        epochs * _images(setting) * each,
        4 * COPIES * weights,
        tuple(parent.name for parent in parents[-1:]),
        epochs,
        _is_there(setting, seed, device),
    )
    return [*parents, own]


def _transfer(setting: Setting, method: str) -> float:
    """The operations of gradients and of scores of all steps."""
    each, _ = _structure(setting.architecture, setting.width, *_shape(setting))
    steps = setting.steps
    pairs = {"gmt": steps * (steps + 1) / 2, "fgmt": steps}.get(method, 0)
    scored = _images(setting) * (SELECTION + VALIDATION)
    return each * (2 * setting.batch_size * pairs + FORWARD * steps * scored)


def _images(setting: Setting) -> float:
    """Training images, about."""
    *_, classes, images = PUBLIC[setting.dataset]
    share = len(setting.classes) / classes if setting.classes else 1
    return setting.fraction * share * images * (1 - SELECTION) * (1 - VALIDATION)


def _shape(setting: Setting) -> tuple[tuple[int, int, int], int]:
    """The shape of images, and how many classes there are."""
    channels, side, classes, _ = PUBLIC[setting.dataset]
    side = (setting.size or side) // setting.pool
    return (channels, side, side), len(setting.classes or range(classes))


@lru_cache
def _structure(
    architecture: str, width: float, shape: tuple[int, int, int], classes: int
) -> tuple[int, int]:
    """The operations of the gradient of one image, and the number of weights."""
    model = architectures.build(architecture, shape, classes, width, 0)
    images = torch.zeros(2, *shape)
    weights = sum(p.numel() for p in model.parameters())
    return sample_operations(model, (images, torch.zeros(2, dtype=torch.long))), weights


def _is_there(setting: Setting, seed: int, device: str) -> bool:
    """Whether a network of a device is kept here; without its data none is."""
    if setting.dataset in PHOTOGRAPHS:
        return False  # they would be decoded to see it
    try:
        return present(setting, seed, device)
    except MissingDataError:
        return False
