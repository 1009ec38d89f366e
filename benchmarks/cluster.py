"""A cluster that is only computed: how long a profile takes on 1 to 512 workers that fail.

``python -m benchmarks.cluster [PROFILE]`` takes the jobs that the profile is expected to ask for.
A worker does `ASSUMED` operations a second, a job costs `OVERHEAD` seconds more, and is killed as
often as given. A network goes on from its last epoch, other jobs begin again. The job with the
longest way to the end comes first. With ``sweep`` in place of a profile it is 10,000 pairs of the
perceptron of Figure 5a.
"""

from __future__ import annotations

import heapq
import math
import random
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from trajtransfer.paper.storage.plans import Run
from trajtransfer.publish.cluster.forecast import ASSUMED, Expected, expected
from trajtransfer.publish.meaning import complete
from trajtransfer.publish.profiles import profile_of

ROOT = Path(__file__).parents[1]
WORKERS = (1, 2, 8, 64, 512)
OVERHEAD = 10.0  # seconds of a job beside its work: four were measured locally, Slurm adds some
KILLS = (0.0, 0.01, 0.1)  # per worker and hour
PAIRS = 10_000


class Outcome(NamedTuple):
    """Hours until all is done, hours of work that was lost, and jobs that were started."""

    makespan: float
    waste: float
    started: int


def main() -> None:
    """Print a line per number of workers and rate of failures."""
    name = sys.argv[1] if len(sys.argv) > 1 else "paper"
    jobs = sweep() if name == "sweep" else of_profile(name)
    alone = sum(map(seconds, jobs.values())) / 3600
    longest = max(ways(jobs).values()) / 3600
    print(
        f"{name}: {len(jobs)} jobs, {alone:,.1f} hours of work, critical path {longest:,.2f} hours"
    )
    for workers in WORKERS:
        for kills in KILLS:
            found = simulated(jobs, workers, kills)
            busy = alone / (found.makespan * workers)
            lost = found.waste / alone
            words = f"{workers:4} workers, {kills:4} kills an hour: {found.makespan:10,.2f} hours"
            print(f"{words}, {busy:4.0%} busy, {lost:6.1%} lost, {found.started} jobs started")


def of_profile(name: str) -> dict[str, Expected]:
    """The jobs of a profile, as if none was made yet."""
    runs = profile_of(ROOT, name).runs
    given = [complete(ROOT / "notebooks" / f"{one.notebook}.ipynb", one.parameters) for one in runs]
    return expected(runs, given)


def sweep() -> dict[str, Expected]:
    """FGMT on many disjoint pairs of the perceptron of Figure 5a."""
    run = Run(name="sweep", notebook="transfer", parameters={"setting": "mnist-mlp"})
    given = complete(ROOT / "notebooks" / "transfer.ipynb", run.parameters)
    pairs = ", ".join(f"{2 * i + 1}-{2 * i + 2}" for i in range(PAIRS))
    return expected([run], [given | {"pairs": pairs, "methods": ["fgmt"]}])


def seconds(job: Expected) -> float:
    """How long a job takes that nobody kills."""
    return OVERHEAD + job.operations / ASSUMED


def later(jobs: Mapping[str, Expected]) -> dict[str, list[str]]:
    """Job -> the jobs that wait for it."""
    found: dict[str, list[str]] = {name: [] for name in jobs}
    for name, job in jobs.items():
        for need in job.needs:
            found[need].append(name)
    return found


def ways(jobs: Mapping[str, Expected]) -> dict[str, float]:
    """Seconds from the start of each job to the end of all that wait for it."""
    found: dict[str, float] = {}
    behind = later(jobs)
    for name in reversed(list(jobs)):  # a job stands behind all that it needs
        after = max((found[waiting] for waiting in behind[name]), default=0.0)
        found[name] = seconds(jobs[name]) + after
    return found


def simulated(jobs: Mapping[str, Expected], workers: int, kills: float, seed: int = 0) -> Outcome:
    """The jobs on so many workers, each of which is killed at random, so often an hour."""
    drawn = random.Random(seed)
    order = ways(jobs)
    behind = later(jobs)
    missing = {name: set(job.needs) for name, job in jobs.items()}
    ready = [(-order[name], name, 0.0) for name, needs in missing.items() if not needs]
    heapq.heapify(ready)
    running: list[tuple[float, str, float]] = []  # when it ends, its name, the work done by then
    clock = 0.0
    waste = 0.0
    started = 0
    while ready or running:
        while ready and len(running) < workers:
            _, name, done = heapq.heappop(ready)
            life = drawn.expovariate(kills / 3600) if kills else math.inf
            lasts = min(life, seconds(jobs[name]) - done)
            heapq.heappush(running, (clock + lasts, name, done + lasts))
            started += 1
        clock, name, done = heapq.heappop(running)
        if done < seconds(jobs[name]):
            kept = _kept(jobs[name], done)
            waste += done - kept
            heapq.heappush(ready, (-order[name], name, kept))
            continue
        for waiting in behind[name]:
            missing[waiting].discard(name)
            if not missing[waiting]:
                heapq.heappush(ready, (-order[waiting], waiting, 0.0))
    return Outcome(clock / 3600, waste / 3600, started)


def _kept(job: Expected, done: float) -> float:
    """What is left of the work of a killed job: its whole epochs."""
    epoch = (seconds(job) - OVERHEAD) / job.epochs
    if job.epochs == 1 or not epoch:
        return 0.0
    return max(0.0, (done - OVERHEAD) // epoch * epoch)


if __name__ == "__main__":
    main()
