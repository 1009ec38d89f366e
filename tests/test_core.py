"""The core stands alone: using it loads torch, numpy, scipy and numba, and no other dependency."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions

import pytest
from conftest import ROOT
from packaging.requirements import Requirement

import trajtransfer as tt

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
OWN = ("torch", "numpy", "scipy", "numba")
NAMES = [name for name in tt.__all__ if not tt._MODULE_OF[name].startswith("paper.")]
ALONE = """
import torch.export, numpy, scipy.optimize, numba
torch.export.export(torch.nn.Linear(1, 1), (torch.zeros(2, 1),), strict=False)
"""
LOOKED_UP = f"import trajtransfer\nfor name in {NAMES}: getattr(trajtransfer, name)"
USED = """
import torch, trajtransfer as tt
model = torch.nn.Sequential(torch.nn.Linear(4, 300), torch.nn.ReLU(), torch.nn.Linear(300, 2))
states = [{name: x + i for name, x in model.state_dict().items()} for i in range(3)]
batch = (torch.randn(8, 4), torch.arange(8) % 2)
result = tt.transfer(model, (states[0], states[1]), states[2], [batch], steps=1)
tt.match([(result.params, tt.parameters(model))], result.spec)
tt.interpolate(result.params, tt.parameters(model), lambda x: tt.evaluate(model, x, batch))
"""


def named(package: str) -> str:
    """A package as registries spell it."""
    return re.sub(r"[-_.]+", "-", package).lower()


def loaded(code: str) -> set[str]:
    """The packages of which a fresh process has loaded something after running code."""
    code += "\nimport json, sys; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    packages = packages_distributions()
    found = set()
    for name in json.loads(done.stdout):
        module = name.partition(".")[0]
        found.update(map(named, packages.get(module, ())))
    return found


@pytest.fixture(scope="module")
def others() -> set[str]:
    """What the project declares besides the four packages of the core, and these do not load."""
    declared = [*PROJECT["dependencies"]]
    for group in PROJECT["optional-dependencies"].values():
        declared += group
    packages = {named(Requirement(text).name) for text in declared}
    return packages - {"trajtransfer"} - loaded(ALONE)


def test_there_is_something_to_leave_out(others):
    assert {"torchvision", "matplotlib", "pandas", "pydantic", "safetensors"} <= others
    assert others.isdisjoint(OWN)


@pytest.mark.parametrize("code", [LOOKED_UP, USED], ids=["looked up", "used"])
def test_the_core_loads_its_four_packages_only(code, others):
    found = loaded(code)
    assert found.isdisjoint(others), found & others


def test_its_requirements_are_these_four():
    assert {Requirement(text).name for text in PROJECT["dependencies"]} == set(OWN)
