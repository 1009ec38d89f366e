"""pyproject.toml, the lock file, environment.yml and the workflows are kept in step."""

from __future__ import annotations

import ast
import os
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
EXTRAS = PROJECT["optional-dependencies"]
EVERYTHING = [*PROJECT["dependencies"], *EXTRAS["paper"], *EXTRAS["cluster"], *EXTRAS["dev"]]
OWN = {"trajtransfer[paper]", "trajtransfer[cluster]"}  # extras that ask for another one
PACKAGE = ROOT / "trajtransfer"
PARTS = {path.name for path in PACKAGE.iterdir() if path.is_dir()}
SOURCES = sorted(PACKAGE.rglob("*.py"))
PYTHON = sorted(
    path
    for folder in ("trajtransfer", "tests", "benchmarks")
    for path in (ROOT / folder).rglob("*.py")
)


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("text", [text for text in EVERYTHING if text not in OWN])
def test_every_dependency_is_locked_within_its_range(text):
    requirement = Requirement(text)
    versions = {plain(name): version for name, version in LOCKED.items()}
    assert requirement.specifier.contains(versions[plain(requirement.name)])


def test_the_core_needs_four_packages_and_the_extras_need_the_paper():
    names = {Requirement(text).name for text in PROJECT["dependencies"]}
    assert names == {"torch", "numpy", "scipy", "numba"}
    assert "trajtransfer[paper]" in EXTRAS["cluster"] and "trajtransfer[paper]" in EXTRAS["bench"]
    assert "trajtransfer[cluster]" in EXTRAS["dev"]


def test_who_does_not_ask_for_the_engine_gets_none_of_it():
    others = [*PROJECT["dependencies"], *EXTRAS["paper"], *EXTRAS["bench"]]
    assert not [text for text in others if "snakemake" in text or "[cluster]" in text]


def test_the_lock_pins_exactly_and_lists_no_cuda_packages():
    assert all(re.fullmatch(r"[\w.]+", version) for version in LOCKED.values())
    assert not [name for name in LOCKED if re.search("nvidia|cuda|triton", name)]
    assert (LOCKED["torch"], LOCKED["torchvision"]) == ("2.13.0", "0.28.0")


@pytest.mark.skipif("PYTEST_XDIST_WORKER" not in os.environ, reason="one process has no groups")
def test_the_tests_of_a_file_stay_on_one_worker(request):
    """Else what they share is made on each: pytest 9.2 makes xdist forget its groups silently."""
    assert request.node.nodeid.endswith("@test_packaging")


def test_conda_takes_the_same_pins():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    python, pip_itself, pip = environment["dependencies"]
    known = Requirement(f"python{PROJECT['requires-python']}")
    assert known.specifier.contains(python.split("=")[1]) and pip_itself == "pip=24.3.1"
    assert pip["pip"] == ["-r requirements.lock", "-e ."]


def imported(path) -> set[str]:
    """The packages that a module imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            found.add(str(node.module).split(".")[0])
    return found - set(sys.stdlib_module_names) - {"trajtransfer"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_are_declared(path):
    """What a module imports is a dependency of its part of the package, not somebody else's."""
    core = {Requirement(text).name for text in PROJECT["dependencies"]}
    paper = {Requirement(text).name.replace("-", "_") for text in EXTRAS["paper"]} | {"yaml"}
    through = {"nbclient", "jupyter_client", "nbformat", "traitlets", "IPython"}  # of papermill
    part = path.relative_to(PACKAGE).parts[0]
    optional = {"safetensors"} if part == "states.py" else set()  # for who has such files
    paper |= {"snakemake"} if path.parent.name == "cluster" else set()  # of an extra of its own
    allowed = core | paper | through if part in ("paper", "publish") else core | optional
    assert imported(path) <= allowed


def test_versions_agree():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == PROJECT["version"]
    assert f"## {PROJECT['version']}" in (ROOT / "CHANGELOG.md").read_text()
    assert PROJECT["license"] == citation["license"] == "Apache-2.0"


def test_workflows_call_what_the_readme_calls():
    commands = {}
    for path in (ROOT / ".github" / "workflows").glob("*.yml"):
        workflow = yaml.safe_load(path.read_text())
        steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
        commands[path.stem] = [step.get("run", "") for step in steps]
    assert commands.keys() == {"tests", "book", "links", "gpu"}
    assert "make test" in commands["tests"] and "make book" in commands["book"]
    assert any("make reproduce" in command for command in commands["gpu"])
    assert "make test" in (ROOT / ".ci" / "run").read_text()


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_modules_and_functions_stay_small(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 280
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            first = node.body[1] if ast.get_docstring(node) and node.body[1:] else node.body[0]
            assert node.end_lineno - first.lineno < 35, node.name


@pytest.mark.parametrize("path", PYTHON, ids=lambda p: str(p.relative_to(ROOT)))
def test_lines_are_short_and_hold_one_step(path):
    """At most 100 characters, and no ``a, b = x, y``, which is two steps."""
    text = path.read_text()
    assert not [line for line in text.splitlines() if len(line) > 100]
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Tuple):
            assert not several(node.targets[0]) or exchanged(node), f"line {node.lineno}"


def several(target: ast.expr) -> bool:
    return isinstance(target, ast.Tuple)


def exchanged(node: ast.Assign) -> bool:
    """Whether an assignment exchanges values, which is one step."""
    targets = {ast.unparse(target) for target in node.targets[0].elts}
    return targets == {ast.unparse(value) for value in node.value.elts}


HELP = [["--help"], ["run", "--help"], ["reproduce", "--help"], ["rnu"], ["run"]]


@pytest.mark.parametrize("command", HELP)
def test_help_and_refusals_do_not_wait_for_torch(command):
    code = (
        "import sys; from trajtransfer.publish import cli\n"
        "try: cli.main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "sys.exit(bool({'torch', 'numpy', 'papermill', 'pydantic'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, *command], capture_output=True)
    assert done.returncode == 0


def test_names_are_those_of_their_modules_whatever_was_imported_first():
    code = (
        "import trajtransfer.algorithms, trajtransfer.landscape, trajtransfer as tt\n"
        "assert callable(tt.transfer) and callable(tt.interpolate)\n"
        "assert set(tt._MODULE_OF) == set(tt.__all__)\n"
        "named = [getattr(tt, name) for name in tt.__all__ if name not in ('Axis', 'METHODS')]\n"
        "assert all(found.__module__.startswith('trajtransfer') for found in named)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr == ""
