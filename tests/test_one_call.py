"""A reader's own network in one call: the README's example, and what goes wrong with a clear message."""

from __future__ import annotations

import itertools
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
    with pytest.raises(ValueError, match="unknown method 'FGM'; known: naive, gmt, fgmt"):
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
    wrong = tt.PermutationSpec(right.sizes, {**right.axes, "0.bias": ((tt.AxisPart(None, 64),),)}, right.buffers)
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


# --- dtypes, grad modes, and errors that say at which step


def inputs_of(dtype):
    generator = torch.Generator().manual_seed(0)
    return [(x.to(dtype), y) for x, y in batches(generator)]


def state_of(seed, dtype):
    return {name: x.clone() for name, x in networks(seed).to(dtype).state_dict().items()}


def small_transfer(dtype=torch.float32, **options):
    states = [state_of(seed, dtype) for seed in (1, 2, 3)]
    options = {"batches": inputs_of(dtype), "steps": 2, **options}
    return tt.transfer(networks(4).to(dtype), (states[0], states[1]), states[2], **options)


def equal(a, b):
    same = [torch.equal(a.params[name], b.params[name]) for name in a.params]
    return all(same) and a.permutation == b.permutation and a.scores == b.scores


@pytest.mark.parametrize("method", ["gmt", "fgmt"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_every_floating_type_is_transferred_and_kept(dtype, method):
    result = small_transfer(dtype, method=method)
    assert {x.dtype for x in result.params.values()} == {dtype} and result.permutation.indices["0"].dtype == torch.int64
    networks(1).to(dtype).load_state_dict(result.state_dict())


TYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]


@pytest.mark.parametrize(("model", "other"), list(itertools.permutations(TYPES, 2)))
@pytest.mark.parametrize("role", ["start", "end", "target", "batches"])
def test_a_type_that_differs_from_that_of_the_model_is_named(model, other, role):
    given = {name: state_of(seed, model) for seed, name in enumerate(("start", "end", "target"))}
    given["batches"] = inputs_of(model)
    given[role] = inputs_of(other) if role == "batches" else state_of(5, other)
    with pytest.raises(ValueError) as error:
        tt.transfer(networks(4).to(model), (given["start"], given["end"]), given["target"], given["batches"], steps=2)
    words = "the first inputs of batches" if role == "batches" else f"the {role} "
    assert words in str(error.value) and str(model) in str(error.value) and str(other) in str(error.value)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_the_grad_mode_of_the_caller_changes_nothing_and_stays(mode):
    plain = small_transfer()
    with mode():
        before = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
        found = small_transfer()
        assert (torch.is_grad_enabled(), torch.is_inference_mode_enabled()) == before
    assert equal(plain, found)


def test_tensors_made_in_inference_mode_are_transferred_outside():
    with torch.inference_mode():
        data, states, model = inputs_of(torch.float32), [state_of(seed, torch.float32) for seed in (1, 2, 3)], networks(4)
    assert equal(tt.transfer(model, (states[0], states[1]), states[2], data, steps=2), small_transfer())


def test_grad_mode_is_left_alone_by_an_error(generator):
    with torch.no_grad(), pytest.raises(ValueError, match=r"label [56] is none of the 2 classes"):
        small_transfer(batches=[(x, y + 5) for x, y in batches(generator)])
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("kind", [list, tuple, lambda data: torch.utils.data.DataLoader(data, batch_size=None)])
def test_batches_and_selection_may_be_anything_that_starts_again(kind, generator):
    data = batches(generator)
    assert equal(small_transfer(batches=kind(data), selection=kind(data)), small_transfer(batches=data, selection=data))


def test_no_step_is_chosen_by_a_loss_that_is_not_finite():
    """A later step that is NaN is passed over; one at the start would win against all."""
    calls = iter(range(1000))

    def loss(outputs, labels):
        scale = float("nan") if not torch.is_grad_enabled() and next(calls) == bad else 1.0
        return scale * nn.functional.cross_entropy(outputs, labels)

    bad = 1
    result = small_transfer(loss=loss)
    assert result.t != 1 and result.scores[1].loss != result.scores[1].loss
    bad, calls = 0, iter(range(1000))
    with pytest.raises(ValueError, match="the loss of the target initialisation is nan on the selection batches"):
        small_transfer(loss=loss)


@pytest.mark.parametrize(
    ("wrong", "step", "words"),
    [(1, 1, "the gradient of the target"), (2, 1, "the gradient of the source"), (3, 2, "the gradient of the target")],
)
def test_a_gradient_that_overflows_names_its_step_and_side(wrong, step, words):
    calls = iter(range(1, 1000))

    def loss(outputs, labels):
        scale = float("inf") if torch.is_grad_enabled() and next(calls) == wrong else 1.0
        return scale * nn.functional.cross_entropy(outputs, labels)

    with pytest.raises(ValueError, match=rf"step {step}: {words} is not finite at '0\.weight': the numbers overflow"):
        small_transfer(loss=loss)


def test_an_error_of_ones_own_batches_comes_through(generator):
    class Broken(ValueError):
        pass

    def data():
        yield batches(generator)[0]
        raise Broken("my file is broken")

    with pytest.raises(Broken, match="my file is broken"):
        small_transfer(batches=data())


def test_tied_names_and_buffers_of_other_values_are_refused(generator):
    data, states = batches(generator), [networks(seed, Tied).state_dict() for seed in (1, 2, 3)]
    untied = states[2] | {"again.weight": states[2]["first.weight"] + 1}
    with pytest.raises(ValueError, match=r"the target holds different tensors 'first\.weight' and 'again\.weight'"):
        tt.transfer(networks(4, Tied), (states[0], states[1]), untied, data, steps=2)
    with pytest.raises(ValueError, match="the target does not fit the model at the buffer 'table'"):
        tt.transfer(networks(4, Tied), (states[0], states[1]), states[2] | {"table": torch.zeros(2)}, data, steps=2)


def test_selection_of_samples_of_two_shapes_is_refused():
    model = nn.Sequential(nn.AdaptiveAvgPool1d(6), nn.Flatten(), nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2))
    state, labels = model.state_dict(), torch.zeros(4, dtype=torch.long)
    data = [(torch.randn(4, 1, n), labels) for n in (6, 12)]
    with pytest.raises(ValueError, match=r"inputs of shapes \(4, 1, 6\), \(4, 1, 12\)"):
        tt.transfer(model, (state, state), state, data, selection=data)


def test_a_buffer_that_is_not_finite_is_named(generator):
    source, end, target = (networks(seed).state_dict() for seed in (1, 2, 3))
    target["1.running_mean"][3] = float("nan")
    with pytest.raises(ValueError, match=r"the target holds NaN or infinite entries in the buffer '1\.running_mean'"):
        tt.transfer(networks(3), (source, end), target, batches(generator), steps=2)


def test_naive_moves_without_a_permutation_and_methods_that_know_the_answer_are_refused(generator):
    states = [networks(seed).state_dict() for seed in (1, 2, 3)]
    found = tt.transfer(networks(3), tuple(states[:2]), states[2], batches(generator), method="naive", steps=3)
    start, end, target = (tt.Params({n: state[n] for n in found.params}) for state in states)
    assert found.permutation == tt.Permutation.identity(found.spec) and len(found.scores) == 4
    assert (found.params - (target + found.t / 3 * (end - start))).norm() < 1e-5
    with pytest.raises(ValueError, match="unknown method 'oracle'; known: naive, gmt, fgmt"):
        tt.transfer(networks(3), tuple(states[:2]), states[2], batches(generator), method="oracle")
