"""A reader's network, its data and its training, small enough for many transfers in a test."""

from __future__ import annotations

import torch
from torch import nn

import trajtransfer as tt


def network(seed: int, make=None) -> nn.Module:
    """A network with BatchNorm, or what `make` makes, from a seed."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        if make is not None:
            return make()
        return nn.Sequential(nn.Linear(6, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 2))


class Tied(nn.Module):
    """A layer under two names, a fixed table, and a buffer that is not kept in a state dict."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(6, 6)
        self.again = self.first
        self.head = nn.Linear(6, 2)
        self.register_buffer("table", torch.rand(6, 6))
        self.register_buffer("scratch", torch.zeros(1), persistent=False)

    def forward(self, x):
        x = x @ self.table
        return self.head(torch.relu(self.first(x)) + torch.tanh(self.again(2 * x)) + self.scratch)


class Reader(nn.Module):
    """Reads its six inputs two at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(2, 16, batch_first=True)
        self.head = nn.Linear(16, 2)

    def forward(self, x):
        outputs, _ = self.lstm(x.unflatten(1, (3, 2)))
        return self.head(outputs[:, -1])


def batches(generator: torch.Generator, dtype: torch.dtype = torch.float32):
    """Five mini-batches of two classes."""
    found = []
    for x in torch.randn(5, 64, 6, generator=generator):
        found.append((x.to(dtype), (x[:, 0] * x[:, 1] > 0).long()))
    return found


def trained(model: nn.Module, data):
    """The state before and after some training."""
    start = {name: x.clone() for name, x in model.state_dict().items()}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for x, y in data * 30:
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    return start, model.state_dict()


def state(seed: int, dtype: torch.dtype = torch.float32):
    return {name: x.clone() for name, x in network(seed).to(dtype).state_dict().items()}


def small_transfer(dtype: torch.dtype = torch.float32, **options) -> tt.Transfer:
    """Two steps between untrained states; `options` are those of `transfer`."""
    source = (state(1, dtype), state(2, dtype))
    generator = torch.Generator().manual_seed(0)
    options = {"batches": batches(generator, dtype), "steps": 2, **options}
    return tt.transfer(network(4).to(dtype), source, state(3, dtype), **options)
