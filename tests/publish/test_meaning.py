"""Parameters that cannot be meant are refused before a kernel starts."""

from __future__ import annotations

import pytest
from conftest import ROOT

from trajtransfer.algorithms import METHODS
from trajtransfer.paper.settings import SETTINGS
from trajtransfer.paper.storage.project import RunError
from trajtransfer.publish import meaning
from trajtransfer.publish.meaning import check_meaning
from trajtransfer.publish.parameters import parameters
from trajtransfer.publish.profiles import profile_of

TRANSFER = ROOT / "notebooks" / "transfer.ipynb"
INPUTS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PROFILES = sorted(path.stem for path in (ROOT / "notebooks" / "profiles").glob("*.yaml"))
CASES = [
    ("transfer", "steps", 10**9, r"steps=1e\+09 cannot be meant; give a value from 0 to 10000"),
    ("transfer", "steps", -1, "steps=-1 cannot be meant"),
    ("transfer", "width", float("nan"), "width=nan is not a finite number"),
    ("transfer", "width", float("inf"), "width=inf is not a finite number"),
    ("transfer", "width", 1e9, r"width=1e\+09 cannot be meant"),
    ("transfer", "pairs", "3-3", "seed pair 3-3: source and target are the same run"),
    ("transfer", "pairs", f"1-{2**63}", "seed pair 1-9223372036854775808: seeds are whole numbers"),
    ("transfer", "pairs", "1-2, 1-2", "names a pair twice"),
    ("transfer", "pairs", "", "is not of the form '1-2, 3-4'"),
    ("transfer", "pairs", "-1-2", "is not of the form '1-2, 3-4'"),
    ("transfer", "setting", "mnits", "unknown setting 'mnits'; known: mnist-mlp"),
    ("transfer", "setting", "", "unknown setting ''"),
    ("transfer", "preset", "v1", "unknown preset 'v1'; known: paper, released-code"),
    ("transfer", "schedule", "linear", "unknown schedule 'linear'; known: uniform, cosine"),
    (
        "transfer",
        "methods",
        ["naive", "naive"],
        r'methods=\["naive", "naive"\] names a method twice',
    ),
    (
        "transfer",
        "methods",
        ["gmt", "sgd"],
        rf'unknown methods \["sgd"\]; known: {", ".join(METHODS)}',
    ),
    ("transfer", "methods", [], r"methods=\[\] names no method; give one at least"),
    ("transfer", "device", "cpu:99", "device 'cpu:99' is not available"),
    ("transfer", "device", "meta", "device 'meta' is not available: it holds no numbers"),
    ("transfer", "device", "hpu", "device 'hpu' is not available"),
    ("transfer", "device", "abacus", "device 'abacus' is not available"),
    (
        "transfer",
        "batch_size",
        10**5,
        r"a batch of 100000 cannot be drawn from 3848 images; choose a batch_size in 1..3848",
    ),
    ("transfer", "batch_size", -3, "batch_size=-3 cannot be meant"),
    ("accelerated_training", "panel", "3z", "unknown panel '3z'; known for this notebook: 6a, 6b"),
    ("accelerated_training", "panel", "5a", "unknown panel '5a'; known for this notebook: 6a"),
    ("accelerated_training", "next_lr", -1.0, "next_lr=-1 cannot be meant"),
    ("assumption_p", "settings", ["mnits"], "unknown setting 'mnits'; known: mnist-mlp"),
    ("assumption_p", "settings", [], r"settings=\[\] names no setting; give one at least"),
    (
        "assumption_p",
        "settings",
        ["mnist5k-mlp", "mnist5k-mlp"],
        r'settings=\["mnist5k-mlp", "mnist5k-mlp"\] names a setting twice',
    ),
    ("assumption_p", "widths", [16, 16], r"widths=\[16, 16\] names a number twice"),
    ("assumption_p", "widths", [16, -1], r"widths=\[16, -1\]: -1 cannot be meant; give numbers"),
    ("assumption_p", "widths", [10**7], "10000000 cannot be meant; give numbers from 1e-06"),
    ("assumption_p", "widths", [10**6], "width=1000000 is not within"),
    ("assumption_p", "every", 0, "every=0 cannot be meant; give a value from 1"),
    ("assumption_p", "panel", "", "unknown panel ''"),
    ("basins", "positions", 1, "positions=1 cannot be meant; give a value from 2"),
    ("basins", "resolution", 10**6, r"resolution=1e\+06 cannot be meant"),
    ("coordinate_descent", "limits", [99999999999], "99999999999 cannot be meant; choose at most"),
    ("coordinate_descent", "limits", [0], r"limits=\[0\]: the numbers must be positive"),
    ("coordinate_descent", "limits", [], r"limits=\[\] names no number; give one at least"),
    ("coordinate_descent", "restarts", 0, "restarts=0 cannot be meant"),
    ("cost", "lengths", [2, 2], r"lengths=\[2, 2\] names a number twice"),
    ("cost", "lengths", [10**9], "1000000000 cannot be meant; choose at most 10000"),
    ("cost", "lengths", [20000], r"lengths=\[20000\]: 20000 cannot be meant; choose at most 10000"),
    ("cost", "pair", "1-2, 3-4", "names 2 pairs; this notebook follows one"),
    ("ensembles", "share", 1.5, "share=1.5 cannot be meant; give a value from 0.001 to 1"),
    ("ensembles", "task", "MNIST", "unknown task 'MNIST'; known: CIFAR-10"),
    ("ensembles", "groups", ["1-2", "1-1"], "source and target are the same run"),
    ("ensembles", "groups", [], r"groups=\[\] names no group; give one at least"),
    ("ensembles", "groups", ["1-2; 2-1"], "is not of the form '1-2, 3-4'"),
    ("generalization", "fraction", 0.0, "fraction=0 cannot be meant"),
    (
        "generalization",
        "fraction",
        1e-5,
        "the training batch of 128 is larger than the training set of 0",
    ),
    (
        "generalization",
        "setting",
        "mnist5k-mlp",
        "starts from random weights; choose a setting that is pre-trained",
    ),
    ("movement", "learning_rates", [0.0], "0.0 cannot be meant; give numbers from 1e-06"),
    ("movement", "weight_decays", [-1e-4], "-0.0001 cannot be meant; give numbers from 0"),
    ("movement", "training_epochs", [0], "the numbers must be positive"),
    ("movement", "batch_sizes", [64, 10**6], "a batch of 1000000 cannot be drawn from"),
    ("own_network", "epochs", -1, "epochs=-1 cannot be meant"),
    ("theorem", "draws", 0, "draws=0 cannot be meant"),
    ("theorem", "widths", [], r"widths=\[\] names no number; give one at least"),
    ("trajectories", "decay", "steps", "unknown learning-rate schedule 'steps'; known: constant"),
]


@pytest.mark.parametrize(("notebook", "name", "value", "message"), CASES, ids=lambda x: str(x)[:20])
def test_what_cannot_be_meant_is_refused(notebook, name, value, message):
    path = ROOT / "notebooks" / f"{notebook}.ipynb"
    with pytest.raises(RunError, match=f"^{notebook}: .*{message}"):
        check_meaning(path, {name: value})


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: path.stem)
def test_the_defaults_can_be_meant(path):
    check_meaning(path, {})


@pytest.mark.parametrize("notebook", ["assumption_p", "cost"])
def test_no_widths_are_those_of_the_settings(notebook):
    check_meaning(ROOT / "notebooks" / f"{notebook}.ipynb", {"widths": []})


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: path.stem)
def test_every_parameter_is_checked(path):
    """A new number needs a range, a new text or list a reader."""
    handled = {*meaning.RANGES, *meaning._READERS, *meaning.OF_A_SETTING}
    handled |= {"setting", "panel", "widths"}
    asked = {name for name, parameter in parameters(path).items() if parameter.kind != "bool"}
    assert asked <= handled


def test_the_data_that_was_looked_at_is_told_by_its_checksum():
    assert check_meaning(TRANSFER, {}).keys() == {"mnist-5k"}


@pytest.mark.parametrize("profile", PROFILES)
def test_profiles_give_one_thread_to_the_runs_that_would_get_it_by_themselves(profile):
    fragile = 0
    for run in profile_of(ROOT, profile).runs:
        path = ROOT / "notebooks" / f"{run.notebook}.ipynb"
        if meaning.threads(path, run.parameters) == 1:
            assert run.threads == 1, run.name
            fragile += 1
    assert fragile or profile in ("reference", "repeat")  # which have none


def test_a_resnet_gets_one_thread_whoever_names_it():
    descent = ROOT / "notebooks" / "coordinate_descent.ipynb"
    assert SETTINGS[parameters(descent)["setting"].default].architecture == "resnet18"
    assert meaning.threads(descent, {}) == 1
    assert meaning.threads(descent, {"setting": "mnist5k-mlp"}) is None
    similarity = ROOT / "notebooks" / "assumption_p.ipynb"
    assert meaning.threads(similarity, {"settings": ["mnist5k-mlp", "mnist5k-resnet18-tiny"]}) == 1
    assert meaning.threads(ROOT / "notebooks" / "own_network.ipynb", {}) is None
