"""A reader's own network in one call: the examples as pasted, and what a transfer finds."""

from __future__ import annotations

import re
import sys

import pytest
import torch
from conftest import ROOT
from small_transfers import Reader, Tied, batches, network, small_transfer, trained
from torch import nn

import trajtransfer as tt


def examples(path: str) -> list[str]:
    """The Python code of a page."""
    return re.findall(r"```python\n(.*?)```", (ROOT / path).read_text(), re.DOTALL)


def run(code: str, path: str) -> None:
    with torch.random.fork_rng():
        exec(compile(code, path, "exec"), {})


def test_the_example_of_the_readme_works_as_pasted(capsys):
    (example,) = examples("README.md")
    run(example, "README.md")
    found = re.search(r"accuracy (\S+) -> (\S+) at step", capsys.readouterr().out)
    before, after = map(float, found.groups())
    assert after >= before + 0.2


def test_the_examples_of_the_reference_run_one_after_another(project, capsys):
    run("\n".join(examples("book/api.md")), "api.md")
    assert len(capsys.readouterr().out.splitlines()) >= 10


@pytest.mark.parametrize("name", tt.__all__)
def test_every_public_name_stands_in_the_reference(name):
    reference = (ROOT / "book" / "api.md").read_text()
    assert re.search(rf"(auto\w+|data):: {name}$", reference, re.MULTILINE)


@pytest.mark.parametrize("make", [None, Reader], ids=["perceptron", "recurrent"])
def test_a_permuted_target_becomes_the_permuted_source(make, generator):
    data = batches(generator)
    start, end = trained(network(1, make), data)
    model = network(1, make)
    spec = tt.permutation_spec(model, data[0][0])
    planted = tt.Permutation.random(spec, generator)
    target = planted(tt.Params({name: start[name] for name in spec.axes}))
    result = tt.transfer(model, (start, end), target, data, steps=3)
    assert result.permutation == planted
    assert result.t == 3
    expected = planted(tt.Params({name: end[name] for name in result.params}))
    assert (result.params - expected).norm() <= 1e-5 * expected.norm()
    losses = [score.loss for score in result.scores]
    assert len(losses) == 4 and losses[-1] < losses[0]
    model.load_state_dict(result.state_dict())


@pytest.mark.parametrize("method", ["naive", "gmt", "fgmt"])
def test_the_best_step_is_chosen_on_the_selection_batches(method, generator):
    data = batches(generator)
    source = trained(network(1), data)
    target = network(2).state_dict()
    chosen = data[:2]
    result = tt.transfer(network(2), source, target, data, method=method, steps=4, selection=chosen)
    losses = [score.loss for score in result.scores]
    assert len(losses) == 5
    assert losses[result.t] == min(losses)
    both = tuple(torch.cat(part) for part in zip(*chosen, strict=True))
    again = tt.evaluate(network(2), result.params | result.buffers, both)
    assert again.loss == pytest.approx(losses[result.t], rel=1e-5)


def test_naive_moves_without_a_permutation(generator):
    start, end, target = (network(seed).state_dict() for seed in (1, 2, 3))
    result = tt.transfer(
        network(3), (start, end), target, batches(generator), method="naive", steps=3
    )
    assert result.permutation == tt.Permutation.identity(result.spec)
    assert len(result.scores) == 4

    def point(state):
        return tt.Params({name: state[name] for name in result.params})

    expected = point(target) + result.t / 3 * (point(end) - point(start))
    assert (result.params - expected).norm() <= 1e-6 * expected.norm()


@pytest.mark.parametrize("method", ["oracle", "rebasin"])
def test_methods_that_know_the_answer_are_refused(method):
    with pytest.raises(ValueError, match=f"unknown method '{method}'; known: naive, gmt, fgmt"):
        small_transfer(method=method)


def test_the_model_is_left_as_it_was(generator):
    data = batches(generator)
    model = network(2).train()
    before = {name: x.clone() for name, x in model.state_dict().items()}
    tt.transfer(model, trained(network(1), data), before, data, steps=2)
    assert all(torch.equal(x, before[name]) for name, x in model.state_dict().items())
    assert model.training
    assert model[1].momentum == 0.1


def test_tied_names_and_buffers(generator):
    data = batches(generator)
    source = trained(network(1, Tied), data)
    target = network(2, Tied)
    model = network(3, Tied)
    state = tt.transfer(model, source, target.state_dict(), data, steps=2).state_dict()
    model.load_state_dict(state)
    assert torch.equal(state["first.weight"], state["again.weight"])
    assert torch.equal(state["table"], target.table)
    assert "scratch" not in state


def test_the_guard_runs_before_any_matching(generator, monkeypatch):
    data = batches(generator)
    model = network(1)
    right = tt.permutation_spec(model, data[0][0])
    axes = {**right.axes, "0.bias": ((tt.AxisPart(None, 64),),)}
    wrong = tt.PermutationSpec(right.sizes, axes, right.buffers)
    one_call = sys.modules["trajtransfer.one_call"]
    monkeypatch.setattr(one_call, "permutation_spec", lambda *a: wrong)
    with pytest.raises(ValueError, match="changes the output of Sequential"):
        small_transfer()


def test_no_step_is_chosen_by_a_loss_that_is_not_finite():
    """A later step that is NaN is passed over; one at the start would win against all."""

    def spoiled(bad: int):
        """A loss that is NaN at one of the steps that are scored."""
        calls = iter(range(1000))

        def loss(outputs, labels):
            scored = not torch.is_grad_enabled()
            scale = float("nan") if scored and next(calls) == bad else 1.0
            return scale * nn.functional.cross_entropy(outputs, labels)

        return loss

    result = small_transfer(loss=spoiled(1))
    assert result.t != 1
    assert result.scores[1].loss != result.scores[1].loss
    message = "the loss of the target initialisation is nan on the selection batches"
    with pytest.raises(ValueError, match=message):
        small_transfer(loss=spoiled(0))
