"""Loss, gradients and running statistics against PyTorch's plain way."""

from __future__ import annotations

import copy

import pytest
import torch
from small_networks import mlp
from torch import nn
from torch.nn import functional as F

import trajtransfer as tt
from trajtransfer.objective import gradient, memory_format
from trajtransfer.paper.datasets.tasks import Split


def data(generator, n=50):
    inputs = torch.randn(n, 5, generator=generator)
    return inputs, torch.randint(0, 3, (n,), generator=generator)


def precise(generator, n=50):
    inputs, labels = data(generator, n)
    return inputs.double(), labels


def normalised() -> nn.Module:
    norm = nn.BatchNorm1d(4, momentum=0.3)
    return nn.Sequential(nn.Linear(5, 4), norm, nn.Dropout(0.5), nn.Linear(4, 3))


@pytest.mark.parametrize("micro_batch", [1, 7, 50, 1000])
def test_the_gradient_is_that_of_the_mean_loss(micro_batch, generator):
    model = mlp().double()
    x, y = precise(generator)
    F.cross_entropy(model(x), y).backward()
    found = tt.gradient(model, tt.parameters(model), (x, y), micro_batch=micro_batch)
    for name, p in model.named_parameters():
        assert torch.allclose(found[name], p.grad, rtol=1e-10, atol=1e-14)


def test_the_gradient_at_another_point_leaves_the_model_alone(generator):
    model = mlp()
    batch = data(generator)
    before = tt.parameters(model)
    other = before + tt.gradient(model, before, batch)
    moved = copy.deepcopy(model)
    moved.load_state_dict(dict(other))
    expected = tt.gradient(moved, tt.parameters(moved), batch)
    assert (tt.gradient(model, other, batch) - expected).norm() <= 1e-6 * expected.norm()
    assert (tt.parameters(model) - before).norm() == 0
    assert all(p.grad is None for p in model.parameters())


def test_unused_parameters_have_gradient_zero(generator):
    model = nn.ModuleDict({"used": nn.Linear(5, 3), "idle": nn.Linear(2, 2)})
    model.forward = lambda x: model["used"](x)
    found = tt.gradient(model, tt.parameters(model), data(generator))
    assert float(found["idle.weight"].abs().sum()) == 0


def test_batchnorm_gradients_use_the_batch_and_touch_nothing(generator):
    model = normalised().double().train()
    x, y = precise(generator)
    before = copy.deepcopy(model.state_dict())
    found = tt.gradient(model, tt.parameters(model), (x, y))
    assert all(torch.equal(v, before[name]) for name, v in model.state_dict().items())
    assert model.training
    model[2].p = 0.0
    F.cross_entropy(model(x), y).backward()
    assert all(torch.allclose(found[n], p.grad, atol=1e-12) for n, p in model.named_parameters())


def test_running_statistics_are_the_cumulative_average_and_momentum_is_kept(generator):
    model = normalised().double()
    x, y = precise(generator, 60)
    theta = 2.0 * tt.parameters(model)
    found = tt.running_statistics(model, theta, (x, y), micro_batch=20)
    hidden = F.linear(x, theta["0.weight"], theta["0.bias"])
    assert torch.allclose(found["1.running_mean"], hidden.mean(0))
    variances = torch.stack([part.var(0) for part in hidden.split(20)])
    assert torch.allclose(found["1.running_var"], variances.mean(0))
    assert model[1].momentum == 0.3
    assert float(model[1].running_mean.abs().sum()) == 0


def test_evaluation_uses_the_statistics_it_is_given(generator):
    model = normalised().double()
    x, y = precise(generator)
    theta = tt.parameters(model)
    stale = tt.evaluate(model, theta, (x, y))
    fresh = tt.evaluate(model, theta | tt.running_statistics(model, theta, (x, y)), (x, y))
    model.train()[2].p = 0.0
    model[1].momentum = None
    model(x)
    model.eval()
    assert fresh.loss == pytest.approx(float(F.cross_entropy(model(x), y).detach()))
    assert fresh.loss != stale.loss


def test_evaluate_counts(generator):
    model = mlp()
    x, y = data(generator, 37)
    score = tt.evaluate(model, tt.parameters(model), (x, y), micro_batch=10)
    outputs = model(x).detach()
    assert score.loss == pytest.approx(float(F.cross_entropy(outputs, y)), rel=1e-5)
    assert score.accuracy == pytest.approx(float((outputs.argmax(1) == y).float().mean()))


def test_both_gradients_are_of_the_same_fresh_batch(generator):
    model = mlp().double()
    theta = tt.parameters(model)
    batches = [precise(generator) for _ in range(2)]
    gradients = tt.paired_gradients(model, iter(batches))
    for batch in batches:
        target, source = gradients(2.0 * theta, theta)
        assert (target - tt.gradient(model, 2.0 * theta, batch)).norm() == 0
        assert (source - tt.gradient(model, theta, batch)).norm() == 0


def test_a_split_is_data_too(generator):
    images = torch.randint(0, 256, (10, 1, 1, 5), generator=generator).to(torch.uint8)
    mean = torch.zeros(1, 1, 1)
    split = Split(images, torch.arange(10), torch.arange(10) % 3, mean, mean + 1)
    model = nn.Sequential(nn.Flatten(), mlp())
    a = tt.gradient(model, tt.parameters(model), split, micro_batch=4)
    b = tt.gradient(model, tt.parameters(model), split.tensors())
    assert (a - b).norm() <= 1e-6 * b.norm()


def test_a_small_rest_does_not_weigh_more_than_it_is(generator):
    """258 samples in batches of at most 256: 129 and 129, not 256 and 2."""
    model = normalised().double()
    x, y = precise(generator, 258)
    theta = tt.parameters(model)
    found = tt.running_statistics(model, theta, (x, y))
    hidden = F.linear(x, theta["0.weight"], theta["0.bias"])
    assert torch.allclose(found["1.running_mean"], hidden.mean(0))
    assert tt.gradient(model, theta, (x[:257], y[:257])).norm() > 0


def test_statistics_that_come_along_are_neither_used_nor_changed(generator):
    model = normalised().double()
    batch = precise(generator)
    theta = tt.parameters(model)
    first = tt.running_statistics(model, theta, batch)
    kept = {name: v.clone() for name, v in first.items()}
    again = tt.running_statistics(model, theta | first, batch)
    for name, v in kept.items():
        assert torch.equal(first[name], v)
        assert torch.equal(again[name], v)
    plain = tt.gradient(model, theta, batch)
    assert (tt.gradient(model, theta | first, batch) - plain).norm() == 0


def test_accuracy_is_not_a_number_where_nothing_is_classified(generator):
    x, _ = data(generator)
    regression = nn.Sequential(nn.Linear(5, 1), nn.Flatten(0))
    score = tt.evaluate(regression, tt.parameters(regression), (x, x[:, 0]), loss=F.mse_loss)
    assert score.accuracy != score.accuracy
    assert score.loss > 0


@pytest.mark.parametrize(
    ("channels", "layout"), [(4, torch.contiguous_format), (8, torch.channels_last)]
)
def test_narrow_pointwise_convolutions_keep_away_from_a_fault_of_onednn(
    channels, layout, generator
):
    """Gradients in the chosen format are those of float64; in the other one processors crash."""
    model = nn.Sequential(
        nn.Conv2d(1, channels, 3),
        nn.Conv2d(channels, 2 * channels, 1, stride=2),
        nn.Flatten(),
        nn.LazyLinear(2),
    )
    x = torch.randn(64, 1, 14, 14, generator=generator)
    y = torch.randint(0, 2, (64,), generator=generator)
    model(x)
    assert memory_format(model) == layout
    exact = gradient(model.double(), tt.parameters(model), (x.double(), y))
    found = gradient(model.float(), tt.parameters(model), (x, y))
    assert (found.to(torch.float64) - exact).norm() <= 1e-5 * exact.norm()


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_gradients_are_the_same_in_every_grad_mode(mode, generator):
    model = normalised()
    batch = data(generator)
    theta = tt.parameters(model)
    plain = tt.gradient(model, theta, batch)
    with mode():
        inside = tt.gradient(model, 1.0 * theta, tuple(x.clone() for x in batch))
        assert not torch.is_grad_enabled()
    assert torch.is_grad_enabled()
    assert (plain - inside).norm() == 0


def test_out_of_memory_stays_what_it_is(generator):
    model = mlp()

    def loss(outputs, labels):
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.OutOfMemoryError, match="out of memory"):
        tt.evaluate(model, tt.parameters(model), data(generator), loss=loss)


@pytest.mark.parametrize("ignored", [[0], [3, 4, 5]])
def test_ignored_labels_do_not_count(ignored, generator):
    model = mlp()
    x, y = data(generator)
    y[ignored] = -100
    kept = y != -100
    whole = tt.evaluate(model, tt.parameters(model), (x, y))
    rest = tt.evaluate(model, tt.parameters(model), (x[kept], y[kept]))
    assert whole.loss == pytest.approx(rest.loss, rel=1e-6)


def test_probabilities_are_labels_too(generator):
    model = mlp()
    x, y = data(generator)
    theta = tt.parameters(model)
    hard = tt.gradient(model, theta, (x, y))
    soft = tt.gradient(model, theta, (x, F.one_hot(y, 3).float()))
    assert (soft - hard).norm() <= 1e-6 * hard.norm()
