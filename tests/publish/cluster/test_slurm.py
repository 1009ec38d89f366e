"""A real Slurm of one node: what is cancelled, drained or restarted changes no number."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tests import slurm
from tests.folders import ASKING, project
from tests.publish.cluster.test_engine import alone, asking, numbers
from trajtransfer.paper.storage import results

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(slurm.available()), reason=slurm.available()),
]

PATIENCE = 300.0  # seconds
# The plugin waits 40 seconds before it looks at a job, which is right for jobs of hours.
SITE = "slurm-init-seconds-before-status-checks: 1\nlatency-wait: 5\n"


@pytest.fixture
def cluster():
    """In a folder whose name is short: sockets are in it."""
    with tempfile.TemporaryDirectory() as folder, slurm.cluster(Path(folder) / "slurm") as found:
        yield found


def running(cluster):
    return [job for job, state in cluster.jobs().items() if state == "RUNNING"]


def completed(cluster):
    return list(cluster.jobs().values()).count("COMPLETED")


def waited(started, until):
    """Wait until something holds, or the command that was started ends."""
    deadline = time.monotonic() + PATIENCE
    while started.poll() is None and not until():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def command(cluster, root, site):
    """The command that spreads the profile of a project over the cluster."""
    site.mkdir()
    (site / "config.yaml").write_text(SITE)
    words = [sys.executable, "-m", "trajtransfer.publish.cli", "reproduce"]
    words += ["--engine", "snakemake", "--executor", "slurm", "--jobs", "2", "--site", str(site)]
    own = {"TRAJTRANSFER_HOME": str(root), "XDG_CACHE_HOME": str(site)}
    return subprocess.Popen(words, env=cluster.environment | own)


def disturb(cluster, started, root, kills):
    """Cancel so many jobs in the middle; drain the node for a while; restart the controller."""
    killed = 0
    while killed < kills and started.poll() is None:
        waited(started, lambda: running(cluster))
        time.sleep(2.0)
        done = completed(cluster)
        for job in running(cluster)[:1]:
            cluster.cancel(job)
            killed += 1
        waited(started, lambda before=done: completed(cluster) > before)  # it has three tries more
    cluster.drain()
    waited(started, lambda: not running(cluster))
    cluster.resume()
    logs = root / "runs" / "engine"
    seen = len(list(logs.glob("*/logs/**/*.log")))
    waited(started, lambda: len(list(logs.glob("*/logs/**/*.log"))) > seen)
    cluster.restart_controller()
    return killed


def test_the_numbers_are_those_of_one_process(cluster, tmp_path, monkeypatch):
    root = tmp_path / "cluster"
    root.mkdir()
    project(root, ASKING, runs=[asking()])
    started = command(cluster, root, tmp_path / "site")
    assert disturb(cluster, started, root, kills=1) == 1
    assert started.wait(PATIENCE) == 0
    assert "CANCELLED" in cluster.jobs().values()
    _, records = results.read(root / "runs" / "quick")
    rows = alone(tmp_path, monkeypatch)
    assert numbers(records["asking"].tables["curves"]).equals(numbers(rows))
