"""A reader's own network in one call: the README's example, and what goes wrong with a clear message."""

from __future__ import annotations

import re

import pytest
import torch
from conftest import ROOT
from torch import nn

import trajtransfer as tt


def test_the_example_of_the_readme_works_as_pasted(capsys):
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    with torch.random.fork_rng():
        exec(compile(example, "README.md", "exec"), {})
    before, after = map(float, re.search(r"accuracy (\S+) -> (\S+) at step", capsys.readouterr().out).groups())
    assert after >= before + 0.2


def test_the_examples_of_the_reference_run_one_after_another(project, capsys):
    examples = "\n".join(re.findall(r"```python\n(.*?)```", (ROOT / "book" / "api.md").read_text(), re.DOTALL))
    with torch.random.fork_rng():
        exec(compile(examples, "api.md", "exec"), {})
    assert len(capsys.readouterr().out.splitlines()) >= 10
    for name in tt.__all__:  # every public name stands in the reference
        assert re.search(rf"auto\w+:: {name}$", (ROOT / "book" / "api.md").read_text(), re.MULTILINE), name


def networks(seed: int, make=lambda: nn.Sequential(nn.Linear(6, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 2))):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return make()


def batches(generator, n=5):
    inputs = torch.randn(n, 64, 6, generator=generator)
    return [(x, (x[:, 0] * x[:, 1] > 0).long()) for x in inputs]


def trained(model, data):
    start = {name: x.clone() for name, x in model.state_dict().items()}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for x, y in data * 30:
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    return start, model.state_dict()


def test_a_permuted_target_becomes_the_permuted_source(generator):
    data = batches(generator)
    start, end = trained(networks(1), data)
    model = networks(1)
    spec = tt.permutation_spec(model, data[0][0])
    planted = tt.Permutation.random(spec, generator)
    target = planted(tt.Params({name: start[name] for name in spec.axes}))
    result = tt.transfer(model, (start, end), target, data, steps=3)
    assert result.permutation == planted and result.t == 3
    expected = planted(tt.Params({name: end[name] for name in result.params}))
    assert (result.params - expected).norm() <= 1e-5 * expected.norm()
    assert [s.loss for s in result.scores] == sorted((s.loss for s in result.scores), reverse=True)
    model.load_state_dict(result.state_dict())


@pytest.mark.parametrize("method", ["gmt", "fgmt"])
def test_the_best_step_is_chosen_on_the_selection_batches(method, generator):
    data = batches(generator)
    start, end = trained(networks(1), data)
    result = tt.transfer(networks(2), (start, end), networks(2).state_dict(), data, method=method, steps=4, selection=data[:2])
    losses = [score.loss for score in result.scores]
    assert len(losses) == 5 and losses[result.t] == min(losses)
    chosen = (torch.cat([x for x, _ in data[:2]]), torch.cat([y for _, y in data[:2]]))
    again = tt.evaluate(networks(2), result.params | result.buffers, chosen)
    assert again.loss == pytest.approx(losses[result.t], rel=1e-5)


def test_the_model_is_left_as_it_was(generator):
    data, model = batches(generator), networks(2).train()
    before = {name: x.clone() for name, x in model.state_dict().items()}
    tt.transfer(model, trained(networks(1), data), before, data, steps=2)
    assert all(torch.equal(x, before[name]) for name, x in model.state_dict().items())
    assert model.training and model[1].momentum == 0.1


def test_bad_input_is_refused(generator):
    data, model = batches(generator), networks(1)
    state = model.state_dict()
    other = networks(1, lambda: nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 2))).state_dict()
    with pytest.raises(ValueError, match="unknown method 'FGM'; known: gmt, fgmt"):
        tt.transfer(model, (state, state), state, data, method="FGM")
    with pytest.raises(ValueError, match="unknown schedule"):
        tt.transfer(model, (state, state), state, data, schedule="linear")
    with pytest.raises(ValueError, match=r"the end of the source does not fit the model at \['0\.weight'"):
        tt.transfer(model, (state, other), state, data)
    with pytest.raises(ValueError, match="at least one step"):
        tt.transfer(model, (state, state), state, data, steps=0)
    with pytest.raises(ValueError, match="batches is empty or cannot be started again"):
        tt.transfer(model, (state, state), state, iter(data[:2]), steps=4)


def test_the_guard_runs_before_any_matching(generator, monkeypatch):
    import sys

    data, model = batches(generator), networks(1)
    right = tt.permutation_spec(model, data[0][0])
    wrong = tt.PermutationSpec(right.sizes, {**right.axes, "0.bias": ((tt.Segment(None, 64),),)}, right.buffers)
    monkeypatch.setattr(sys.modules["trajtransfer.one_call"], "permutation_spec", lambda *a: wrong)
    with pytest.raises(ValueError, match="changes the output of Sequential"):
        tt.transfer(model, (model.state_dict(),) * 2, model.state_dict(), data)


class Tied(nn.Module):
    """A layer under two names, a fixed table, and a buffer that is not kept in a state dict."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(6, 6)
        self.again, self.head = self.first, nn.Linear(6, 2)
        self.register_buffer("table", torch.rand(6, 6))
        self.register_buffer("scratch", torch.zeros(1), persistent=False)

    def forward(self, x):
        x = x @ self.table
        return self.head(torch.relu(self.first(x)) + torch.tanh(self.again(2 * x)) + self.scratch)


def test_tied_names_and_buffers(generator):
    data = batches(generator)
    start, end = trained(networks(1, Tied), data)
    target, model = networks(2, Tied), networks(3, Tied)
    result = tt.transfer(model, (start, end), target.state_dict(), data, steps=2)
    state = result.state_dict()
    model.load_state_dict(state)
    assert torch.equal(state["first.weight"], state["again.weight"]) and "scratch" not in state
    assert torch.equal(state["table"], target.table)
