"""Shared fixtures: seeded generators, a small trained pair, a project folder of one's own."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from trajtransfer import networks

ROOT = Path(__file__).parent.parent


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """An empty project: cached networks and data of the test live here."""
    monkeypatch.setenv("TRAJTRANSFER_HOME", str(tmp_path))
    monkeypatch.delenv("TRAJTRANSFER_DATA", raising=False)
    networks.task.cache_clear()
    return tmp_path
