"""pyproject.toml, the lock file, environment.yml and the workflows are kept in step."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib

import pytest
import yaml
from conftest import ROOT
from packaging.requirements import Requirement

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCKED = dict(line.split("==") for line in (ROOT / "requirements.lock").read_text().splitlines())
EVERYTHING = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]]


@pytest.mark.parametrize("text", EVERYTHING)
def test_every_dependency_is_locked_within_its_range(text):
    requirement = Requirement(text)
    names = {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in LOCKED.items()}
    assert requirement.specifier.contains(names[requirement.name])


def test_the_lock_pins_exactly_and_lists_no_cuda_packages():
    assert all(re.fullmatch(r"[\w.]+", version) for version in LOCKED.values())
    assert not [name for name in LOCKED if re.search("nvidia|cuda|triton", name)]
    assert (LOCKED["torch"], LOCKED["torchvision"]) == ("2.13.0", "0.28.0")


def test_conda_takes_the_same_pins():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    python, pip_itself, pip = environment["dependencies"]
    assert (
        Requirement(f"python{PROJECT['requires-python']}").specifier.contains(python.split("=")[1]) and pip_itself == "pip=24.3.1"
    )
    assert pip["pip"] == ["-r requirements.lock", "-e ."]


def test_imports_are_declared():
    """Every third-party package that the library imports is a dependency of its own, not somebody else's."""
    declared = {Requirement(text).name.replace("-", "_") for text in PROJECT["dependencies"]} | {"yaml", "mlxtend"}
    transitive = {"numpy", "nbclient", "jupyter_client", "nbformat", "traitlets", "IPython"}  # of torch, papermill and ipykernel
    for path in (ROOT / "trajtransfer").glob("*.py"):
        for name in re.findall(r"^\s*(?:from|import) (\w+)", path.read_text(), re.MULTILINE):
            assert name in declared | transitive | {"trajtransfer"} or name in sys.stdlib_module_names, (path.name, name)


def test_versions_agree():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == PROJECT["version"]
    assert f"## {PROJECT['version']}" in (ROOT / "CHANGELOG.md").read_text()
    assert PROJECT["license"] == citation["license"] == "Apache-2.0"


def test_workflows_call_what_the_readme_calls():
    workflows = {path.stem: yaml.safe_load(path.read_text()) for path in (ROOT / ".github" / "workflows").glob("*.yml")}
    assert workflows.keys() == {"tests", "book", "links", "gpu"}
    commands = {
        name: [step.get("run", "") for job in workflow["jobs"].values() for step in job["steps"]]
        for name, workflow in workflows.items()
    }
    assert "make test" in commands["tests"] and "make book" in commands["book"]
    assert any("make reproduce" in command for command in commands["gpu"])
    assert "make test" in (ROOT / ".ci" / "run").read_text()


def test_modules_and_functions_stay_small():
    import ast

    for path in (ROOT / "trajtransfer").glob("*.py"):
        text = path.read_text()
        assert len(text.splitlines()) <= 280, path.name
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                assert node.end_lineno - node.lineno < 45, (path.name, node.name)


@pytest.mark.parametrize("command", [["--help"], ["run", "--help"], ["reproduce", "--help"], ["rnu"], ["run"]])
def test_help_and_refusals_do_not_wait_for_torch(command):
    code = "import sys; from trajtransfer.publish import cli\ntry: cli.main(sys.argv[1:])\nexcept SystemExit: pass\n"
    code += "sys.exit(bool({'torch', 'numpy', 'papermill', 'pydantic'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code, *command], capture_output=True).returncode == 0


def test_names_are_those_of_their_modules_whatever_was_imported_first():
    code = "import trajtransfer.algorithms, trajtransfer.landscape, trajtransfer as tt\n"
    code += "assert callable(tt.transfer) and callable(tt.interpolate) and set(tt._MODULE_OF) == set(tt.__all__)\n"
    code += "named = [getattr(tt, name) for name in tt.__all__ if name not in ('Axis', 'METHODS')]\n"
    code += "assert all(found.__module__.startswith('trajtransfer') for found in named)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stderr == ""
