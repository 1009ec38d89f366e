"""What a profile is expected to ask for, and how long a cluster that is only computed takes."""

from __future__ import annotations

import pytest

from benchmarks import cluster
from tests.publish.records import record
from trajtransfer.paper.storage.plans import Run
from trajtransfer.publish.cluster import forecast
from trajtransfer.publish.cluster.forecast import Expected

pytestmark = pytest.mark.slow

TWO = {"pairs": "1-2, 1-3", "methods": ["naive", "gmt"], "width": 16.0}


def of(setting, **given):
    run = Run(name="some", notebook="transfer")
    return forecast.expected([run], [{"setting": setting} | TWO | given])


def kinds(jobs):
    return [job.kind for job in jobs.values()]


def test_networks_are_shared_and_rows_are_those_of_every_method_and_pair(project):
    jobs = of("mnist5k-mlp")
    assert sorted(kinds(jobs)) == ["network"] * 3 + ["notebook"] + ["rows"] * 4
    assert not any(job.there for job in jobs.values())
    assert len(jobs["some"].needs) == 4
    rows = jobs[jobs["some"].needs[0]]
    assert [jobs[name].kind for name in rows.needs] == ["network", "network"]


def test_a_fine_tuned_network_needs_what_it_starts_from(project):
    jobs = of("digits59-mlp")
    assert kinds(jobs).count("network") == 6
    (own, *_) = [job for job in jobs.values() if job.needs and job.kind == "network"]
    (parent,) = own.needs
    assert jobs[parent].kind == "network" and not jobs[parent].needs
    assert list(jobs).index(parent) < list(jobs).index(own.name)


def test_a_poor_start_is_trained_too(project):
    """Two networks, each after its own pre-training, on a part of the data or on all of it."""
    alone = of("digits59-mlp", pairs="1-2")
    both = of("digits59-mlp", pairs="1-2", fraction=0.1)
    assert kinds(both).count("network") == 2 * kinds(alone).count("network") == 8
    work = sorted(job.operations for job in both.values() if job.kind == "network")
    assert work[0] == work[1] < 0.2 * work[-1]


def test_gmt_takes_the_pairs_of_gradients_that_it_computes_again(project):
    work = {}
    for name, steps in (("few", 2), ("many", 4)):
        jobs = of("mnist5k-mlp", steps=steps).values()
        rows = [job for job in jobs if job.kind == "rows" and "1-2" in job.name]
        naive, gmt = (job.operations for job in rows)
        work[name] = gmt - naive
    assert work["many"] / work["few"] == pytest.approx(10 / 3)


def test_hours_are_those_of_recorded_trainings(project):
    rows = [{"GFLOP": 2.0, "seconds": 1.0}, {"GFLOP": 4.0, "seconds": 2.0}]
    faster = [{"GFLOP": 800.0, "seconds": 1.0}]
    known = forecast.rates([record(tables={"standard": rows}), record()])
    assert known == {"cpu": 2e9}
    on_a_gpu = record(tables={"standard": faster}, device="NVIDIA A100-SXM4-80GB")
    assert forecast.rates([on_a_gpu]) == {"cuda": 8e11}
    said = forecast.summary(of("mnist5k-mlp").values(), known)
    assert "network        3 (0 there), to do:" in said
    assert "at 2.0e+09 operations a second (cpu, as recorded)" in said
    assert "cuda: no record says how fast it is; at 1e+13 operations a second: " in said


def chain_and_fan(count):
    """A network of ten epochs, so many jobs that need it, and one that needs all."""
    first = Expected("first", "network", 1000 * forecast.ASSUMED, epochs=10)
    jobs = [
        Expected(f"row {i}", "rows", 90 * forecast.ASSUMED, needs=("first",)) for i in range(count)
    ]
    last = Expected("last", "notebook", needs=tuple(job.name for job in jobs))
    return {job.name: job for job in (first, *jobs, last)}


def test_a_cluster_takes_its_longest_way_or_its_work():
    jobs = chain_and_fan(20)
    work = sum(map(cluster.seconds, jobs.values()))
    longest = max(cluster.ways(jobs).values())
    assert longest == pytest.approx(1010 + 100 + 10)
    for workers, expected in ((1, work), (10, 1010 + 2 * 100 + 10), (50, longest)):
        found = cluster.simulated(jobs, workers, kills=0.0)
        assert 3600 * found.makespan == pytest.approx(expected)
        assert (found.waste, found.started) == (0.0, len(jobs))


def test_kills_cost_time_and_whole_epochs_are_kept():
    jobs = chain_and_fan(20)
    calm = cluster.simulated(jobs, 4, kills=0.0)
    hit = cluster.simulated(jobs, 4, kills=20.0)
    assert hit.started > calm.started and hit.makespan > calm.makespan and hit.waste > 0
    assert hit == cluster.simulated(jobs, 4, kills=20.0)
    whole = {"first": Expected("first", "network", 1000 * forecast.ASSUMED, epochs=1)}
    parts = {"first": Expected("first", "network", 1000 * forecast.ASSUMED, epochs=100)}
    lost = [cluster.simulated(one, 1, kills=10.0).waste for one in (whole, parts)]
    assert lost[0] > 5 * lost[1]
