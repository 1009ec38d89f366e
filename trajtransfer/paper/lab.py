"""The laboratory: a setting on a device, with everything that experiments ask of it made once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any

import pandas as pd
import torch
from torch import nn

from trajtransfer.algorithms import METHODS, Gradients, Step, Trajectory
from trajtransfer.matching.assignment import prepare
from trajtransfer.objective import Score, evaluate, paired_gradients, running_statistics
from trajtransfer.paper import architectures, networks, requests
from trajtransfer.paper.datasets.tasks import Split, Task, sample
from trajtransfer.paper.devices import select_device
from trajtransfer.paper.networks import Network
from trajtransfer.paper.recipe import Recipe
from trajtransfer.paper.seeds import Seeds
from trajtransfer.paper.setting import Setting
from trajtransfer.paper.settings import settings
from trajtransfer.paper.storage.progress import progress
from trajtransfer.paper.structures import Analysis, analysed, digest
from trajtransfer.paper.unit_of_work import Unit
from trajtransfer.paper.units import Clock
from trajtransfer.paper.work import step_work
from trajtransfer.params import Params, parameters
from trajtransfer.permutation import PermutationSpec
from trajtransfer.schedules import SCHEDULES
from trajtransfer.trajectory import Line

Row = dict[str, Any]


class Lab:
    """Everything about a `setting` on a device: its task, its specification, its trained networks.

    `device` is ``"auto"`` (CUDA when there) or a name; `clock` says how long it took to make what
    this laboratory hands out. Laboratories work side by side in processes, not in threads: PyTorch
    draws initial weights and dropout from a generator that all threads share.
    """

    def __init__(self, setting: Setting, device: str = "auto", clock: Clock | None = None):
        self.setting = setting
        self.device = str(select_device(device))
        self.clock = clock or Clock()
        self.expected: tuple[int, ...] = ()  # seeds that are asked for with the first network
        self._networks: dict[int, Network] = {}

    def of(self, setting: Setting) -> Lab:
        """The laboratory of another setting on the same device, with the same clock."""
        return Lab(setting, self.device, self.clock)

    @cached_property
    def task(self) -> Task:
        """What the networks are trained on."""
        return networks.task_of(self.setting, self.device)

    @cached_property
    def model(self) -> nn.Module:
        """The structure of the networks; its weights say nothing."""
        return architectures.build(**self._structure, seed=0).to(self.device)

    @property
    def _structure(self) -> dict[str, Any]:
        """What decides the structure of the networks."""
        about = {"architecture": self.setting.architecture, "width": self.setting.width}
        return about | {"shape": self.task.shape, "classes": self.task.classes}

    @property
    def spec(self) -> PermutationSpec:
        """The specification of the networks, checked for invariance."""
        return self._analysis.spec

    @property
    def sample_operations(self) -> int:
        """The floating-point operations of the gradient of one sample."""
        return self._analysis.sample_operations

    @cached_property
    def _analysis(self) -> Analysis:
        two = self.task.train.subset(torch.arange(2))  # BatchNorm refuses one
        return analysed(self._structure, two.tensors())

    def network(self, seed: int) -> Network:
        """The trained network of a seed, trained now unless it is kept.

        Where others train, all that are `expected` are asked for with it.
        """
        if seed not in self._networks:
            self._ask_for([seed])
            self._networks[seed] = networks.network(self.setting, seed, self.device)
        return self._networks[seed]

    def networks(self, seeds: Iterable[int]) -> list[Network]:
        """The `network` of each seed. Where others train, all that are missing are asked for."""
        wanted = list(seeds)
        self._ask_for(wanted)
        return [self.network(seed) for seed in wanted]

    def _ask_for(self, seeds: Sequence[int]) -> None:
        if requests.asking() and networks.missing([self.setting], seeds, self.device):
            wanted = dict.fromkeys([*seeds, *self.expected])
            requests.ask(networks.missing([self.setting], wanted, self.device))

    def recorded(self, seed: int) -> list[Params]:
        """The start of a training and its weights after every epoch."""
        return networks.recorded(self.setting, seed, self.device)

    def initialised(self, seed: int) -> nn.Module:
        """The network of a seed before training: freshly drawn, or pre-trained under a new head."""
        return networks.initialised(self.setting, seed, self.device)

    def start(self, seed: int) -> Params:
        """The weights of `initialised`."""
        return parameters(self.initialised(seed))

    def continued(self, recipe: Recipe, start: Params, seed: int, label: str) -> Network:
        """A network of this task trained from the weights `start`; its name has the `label`."""
        return networks.continued(self.setting, recipe, start, seed, label, self.device)

    def line(self, seed: int, schedule: str = "") -> Line:
        """The linear trajectory of a source at the times of the setting, or of another schedule."""
        return self.along(self.network(seed), schedule)

    def along(self, source: Network, schedule: str = "") -> Line:
        """The linear trajectory of any trained network at the times of this setting."""
        times = SCHEDULES[schedule or self.setting.schedule](self.setting.steps)
        return Line(source.start, source.end, times)

    def batches(self, seed: int) -> Iterator[Split]:
        """Endless mini-batches of B training samples, drawn by a seed."""
        generator = torch.Generator().manual_seed(seed)
        return sample(self.task.train, self.setting.batch_size, generator)

    def gradients(self, seed: int) -> Gradients:
        """Both gradients at (target point, source point), on the next of the `batches`."""
        return paired_gradients(self.model, self.batches(seed))

    def scores(self, params: Params, *splits: str) -> list[Score]:
        """Loss and accuracy on some splits.

        Running statistics, where there are any, are estimated anew from B' training samples.
        """
        count = self.setting.statistics
        if count:
            some = next(sample(self.task.train, count, torch.Generator().manual_seed(0)))
            params = params | running_statistics(self.model, params, some)
        return [evaluate(self.model, params, getattr(self.task, split)) for split in splits]

    def score(self, params: Params) -> Score:
        """Loss and accuracy on the validation split."""
        (found,) = self.scores(params, "validation")
        return found

    def steps(
        self, method: str, seeds: Seeds, line: Trajectory | None = None, sweeps: int = 100
    ) -> Iterator[Step]:
        """The steps of one method from the source to the target of a pair of seeds.

        `line` is the source trajectory (default: the linear one of the setting). The seed of the
        source draws mini-batches and orders; `sweeps` bounds those of each match of GMT and FGMT.
        """
        if method not in METHODS:
            raise ValueError(f"unknown method {method!r}; known: {', '.join(METHODS)}")
        prepare()
        chosen = METHODS[method]
        source = self.line(seeds.source) if line is None else line
        start = self.network(seeds.target).start
        order = torch.Generator().manual_seed(seeds.source)
        if chosen.knows == "nothing":
            return chosen.steps(source, start, self.spec)
        if chosen.knows == "end":
            end = self.network(seeds.target).end
            return chosen.steps(source, start, self.spec, end, generator=order)
        gradients = self.gradients(seeds.source)
        return chosen.steps(source, start, self.spec, gradients, generator=order, max_sweeps=sweeps)

    def follow(
        self, method: str, seeds: Seeds, line: Trajectory | None = None, sweeps: int = 100
    ) -> Iterator[tuple[Step, Row]]:
        """The `steps` of a method, each with its row (`rows_of`)."""
        line = self.line(seeds.source) if line is None else line
        steps = self.steps(method, seeds, line, sweeps)
        rows = self.rows_of(method, seeds, steps)
        return progress(rows, f"{method} {seeds}", total=len(line) - 1)

    def rows_of(
        self, method: str, seeds: Seeds, steps: Iterator[Step]
    ) -> Iterator[tuple[Step, Row]]:
        """Steps of a transfer, each with its tidy row.

        Accuracies are fractions; `agreement` is the matching objective over its bound and
        `agreement_identity` the same without a permutation; `samples`, `GFLOP` and `assignments`
        are the `step_work`, and `seconds` the processor time of the step alone, evaluation
        excluded.
        """
        before = None
        for step, seconds in _timed(steps):
            about = {"pair": str(seeds), "method": method, "t": step.t}
            yield step, about | self._row(step, before) | {"seconds": seconds}
            before = step

    def _row(self, step: Step, before: Step | None) -> Row:
        validation, selection = self.scores(step.params, "validation", "selection")
        matching = step.matching
        work = step_work(self.setting.batch_size, self.sample_operations, step, before)
        return {
            "accuracy": validation.accuracy,
            "loss": validation.loss,
            "selection_accuracy": selection.accuracy,
            "agreement": matching and matching.objective[-1] / matching.bound,
            "agreement_identity": matching and matching.objective[0] / matching.bound,
            "gradient_pairs": step.gradient_pairs,
            **work,
        }

    def unit(self, make: Callable[..., Any], *arguments: Any) -> Unit:
        """The unit of work ``make(self, *arguments)``."""
        return Unit(self, make, arguments)

    def kept(self, make: Callable[..., Any], *arguments: Any) -> Any:
        """The content of a `unit`: read back where it is kept, else made now and kept."""
        return self.unit(make, *arguments).content()

    def table(self, make: Callable[..., list[Row]], *arguments: Any) -> pd.DataFrame:
        """The rows of a `unit` as a frame."""
        return self.unit(make, *arguments).table()

    @property
    def identity(self) -> dict[str, Any]:
        """What of this laboratory decides the numbers that come out of it."""
        return {
            "setting": self.setting.identity(),
            "data": self.checksums(),
            "structure": digest(self._analysis),
        }

    def checksums(self) -> dict[str, str]:
        """Data set -> checksum for everything that is trained on, pre-training included."""
        return networks.checksums(self.setting, self.device)


def labs(
    names: Sequence[str], widths: Sequence[float] = (), *, device: str = "auto", **changes: Any
) -> list[Lab]:
    """The laboratories of several settings, each at all of the `widths` (none: its own)."""
    clock = Clock()
    return [Lab(chosen, device, clock) for chosen in settings(names, widths, **changes)]


def _timed(steps: Iterator[Step]) -> Iterator[tuple[Step, float]]:
    """Each step with the seconds that the processor spent on it alone."""
    while True:
        clock = time.process_time()
        step = next(steps, None)
        if step is None:
            return
        yield step, time.process_time() - clock
