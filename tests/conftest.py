"""Shared fixtures: seeded generators, the published book, a project folder of one's own."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

# One thread, as the reference copies: the same sums on every machine. Before torch is imported, and
# for the kernels that tests start.
os.environ["OMP_NUM_THREADS"] = "1"

import pytest
import torch
from hypothesis import HealthCheck, settings

from trajtransfer.paper import networks
from trajtransfer.publish import build

settings.register_profile(
    "noisy machine",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=True,
)
settings.load_profile("noisy machine")
ROOT = Path(__file__).parent.parent
# Files that train networks, start processes or look at all published notebooks, and networks that
# take long to trace.
LONG = {
    "test_bad_inputs",
    "test_cli",
    "test_contributing",
    "test_core",
    "test_executed",
    "test_figures",
    "test_gain_cache",
    "test_lab",
    "test_mutations",
    "test_networks",
    "test_pages",
    "test_record",
    "test_subsequent",
    "test_work",
}
LARGE = ("vgg", "densenet", "resnet", "ResNet", "mobilenet")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of a file on one worker; those of notebooks and the book come first."""
    for item in items:
        large = any(name in item.name for name in LARGE)
        if large or "chapters" in item.path.parts or item.path.stem in LONG:
            item.add_marker(pytest.mark.slow)
        if not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group(item.path.stem))
    items.sort(key=lambda item: item.path.parent.name != "publish")


@pytest.fixture(scope="session")
def html(tmp_path_factory) -> Path:
    """The book of the published results, built in a copy of what git tracks, without data.

    The repository has an address there, so that the pages have links to it.
    """
    root = tmp_path_factory.mktemp("book")
    shutil.copy(ROOT / "_toc.yml", root)
    settings = (ROOT / "_config.yml").read_text().replace("OWNER", "somebody")
    (root / "_config.yml").write_text(settings)
    command = ["git", "ls-files", "book", "notebooks"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    for name in listed.stdout.split():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, root / name)
    return build.book(root, root / "book" / "published").parent


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Iterator[None]:
    """One project for a module, so that each of its networks is trained once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRAJTRANSFER_HOME", str(tmp_path_factory.mktemp("project")))
        networks.task.cache_clear()
        yield


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """An empty project: kept networks and tables, and data of the test live here."""
    monkeypatch.setenv("TRAJTRANSFER_HOME", str(tmp_path))
    monkeypatch.delenv("TRAJTRANSFER_DATA", raising=False)
    networks.task.cache_clear()
    return tmp_path
