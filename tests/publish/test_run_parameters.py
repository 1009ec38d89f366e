"""Parameters that cannot be meant are refused before a kernel starts."""

from __future__ import annotations

import pytest
from conftest import ROOT

from trajtransfer.paper.storage.project import RunError
from trajtransfer.publish import run_parameters

TRANSFER = ROOT / "notebooks" / "transfer.ipynb"
CASES = [
    ("transfer", "steps", 10**9, "steps=1e\\+09 cannot be meant; give a value from 0 to 10000"),
    ("transfer", "steps", -1, "steps=-1 cannot be meant"),
    ("transfer", "width", float("nan"), "width=nan is not a finite number"),
    ("transfer", "width", float("inf"), "width=inf is not a finite number"),
    ("transfer", "width", 1e9, "width=1e\\+09 cannot be meant"),
    ("transfer", "pairs", "3-3", "seed pair 3-3: source and target are the same run"),
    ("transfer", "pairs", f"1-{2**63}", "seed pair 1-9223372036854775808: seeds are whole numbers below"),
    ("transfer", "pairs", "1-2, 1-2", "names a pair twice"),
    ("transfer", "pairs", "", "is not of the form '1-2, 3-4'"),
    ("transfer", "pairs", "-1-2", "is not of the form '1-2, 3-4'"),
    ("transfer", "setting", "mnits", "unknown setting 'mnits'; known: mnist-mlp"),
    ("transfer", "setting", "", "unknown setting ''"),
    ("transfer", "preset", "v1", "unknown preset 'v1'; known: paper, released-code"),
    ("transfer", "schedule", "linear", "unknown schedule 'linear'; known: uniform, cosine"),
    ("transfer", "methods", "naive, naive", "names a method twice"),
    ("transfer", "methods", "sgd", "unknown methods"),
    ("transfer", "device", "cpu:99", "device 'cpu:99' is not available"),
    ("transfer", "device", "meta", "device 'meta' is not available: it holds no numbers"),
    ("transfer", "device", "hpu", "device 'hpu' is not available"),
    ("transfer", "device", "abacus", "device 'abacus' is not available"),
    ("transfer", "batch_size", 10**5, "a batch of 100000 cannot be drawn from 3848 images; choose a batch_size in 1..3848"),
    ("transfer", "batch_size", -3, "batch_size=-3 cannot be meant"),
    ("accelerated_training", "panel", "3z", "unknown panel '3z'; known for this notebook: 6a, 6b, 6c, 6d"),
    ("accelerated_training", "panel", "5a", "unknown panel '5a'; known for this notebook: 6a"),
    ("accelerated_training", "next_lr", -1.0, "next_lr=-1 cannot be meant"),
    ("assumption_p", "widths", "16,16", "'16,16' names a number twice"),
    ("assumption_p", "widths", "16;32", "is not a list of whole numbers"),
    ("assumption_p", "every", 0, "every=0 cannot be meant; give a value from 1"),
    ("assumption_p", "panel", "", "unknown panel ''"),
    ("basins", "positions", 1, "positions=1 cannot be meant; give a value from 2"),
    ("basins", "resolution", 10**6, "resolution=1e\\+06 cannot be meant"),
    ("coordinate_descent", "limits", "99999999999", "cannot be meant"),
    ("coordinate_descent", "limits", "0", "the numbers must be positive"),
    ("coordinate_descent", "restarts", 0, "restarts=0 cannot be meant"),
    ("cost", "lengths", "2, 2", "names a number twice"),
    ("cost", "lengths", "1000000000", "cannot be meant"),
    ("cost", "lengths", "20000", "steps=20000 cannot be meant; choose at most 10000"),
    ("cost", "pair", "1-2, 3-4", "names 2 pairs; this notebook follows one"),
    ("ensembles", "share", 1.5, "share=1.5 cannot be meant; give a value from 0.001 to 1"),
    ("ensembles", "task", "MNIST", "unknown task 'MNIST'; known: CIFAR-10"),
    ("ensembles", "groups", "1-2; 1-1", "source and target are the same run"),
    ("generalization", "fraction", 0.0, "fraction=0 cannot be meant"),
    ("generalization", "fraction", 1e-5, "the training batch of 128 is larger than the training set of 0"),
    ("generalization", "setting", "mnist5k-mlp", "starts from random weights; choose a setting that is pre-trained"),
    ("own_network", "epochs", -1, "epochs=-1 cannot be meant"),
    ("theorem", "draws", 0, "draws=0 cannot be meant"),
    ("trajectories", "decay", "steps", "unknown learning-rate schedule 'steps'; known: constant, cosine"),
]


@pytest.mark.parametrize(("notebook", "name", "value", "message"), CASES, ids=lambda x: str(x)[:20])
def test_what_cannot_be_meant_is_refused(notebook, name, value, message):
    path = ROOT / "notebooks" / f"{notebook}.ipynb"
    with pytest.raises(RunError, match=message):
        run_parameters.check_meaning(path, {name: value})


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_the_defaults_can_be_meant(path):
    run_parameters.check_meaning(path, {})


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_every_parameter_is_checked(path):
    """A new number needs a range, a new text a reader."""
    handled = {*run_parameters.RANGES, *run_parameters._READERS, *run_parameters.OF_A_SETTING, "setting", "panel"}
    asked = {name for name, parameter in run_parameters.parameters(path).items() if parameter.type != "bool"}
    assert asked <= handled


@pytest.mark.parametrize(("name", "value"), [("width", True), ("steps", False), ("steps", 2.5), ("fast", 1), ("fast", "yes")])
def test_values_of_another_type_are_refused(name, value):
    with pytest.raises(RunError, match=rf"transfer: {name}={value!r} is not of type"):
        run_parameters.check(TRANSFER, {name: value})


def test_the_data_that_was_looked_at_is_told_by_its_checksum():
    assert run_parameters.check_meaning(TRANSFER, {}).keys() == {"mnist-5k"}
