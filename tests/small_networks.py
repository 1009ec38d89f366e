"""Small networks for the laws: each shows another way in which axes of weights move together."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Net(nn.Module):
    """Layers by name and a forward pass given as a function of the network and its inputs."""

    def __init__(self, forward: Callable[[Net, Tensor], Tensor], **layers: nn.Module):
        super().__init__()
        for name, layer in layers.items():
            setattr(self, name, layer)
        self.run = forward

    def forward(self, x: Tensor) -> Tensor:
        return self.run(self, x)


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 6), nn.Tanh(), nn.Linear(6, 3))


def convolutional() -> nn.Module:
    """Blocks: a feature map of 3x3 pixels flattened into a linear layer."""
    return nn.Sequential(
        nn.Conv2d(2, 6, 3, padding=1),
        nn.BatchNorm2d(6),
        nn.GELU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(6 * 9, 8),
        nn.LayerNorm(8),
        nn.Linear(8, 3),
    )


class Residual(nn.Module):
    """A stream that two branches write to, one of them gated."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv1d(2, 6, 1)
        self.inner = nn.Conv1d(6, 5, 3, padding=1)
        self.back = nn.Conv1d(5, 6, 1)
        self.head = nn.Linear(6, 3)
        self.squeeze = nn.Linear(6, 4)
        self.gate = nn.Linear(4, 6)
        self.norm = nn.GroupNorm(1, 6)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = x + self.back(torch.relu(self.inner(self.norm(x))))
        gate = torch.sigmoid(self.gate(F.silu(self.squeeze(x.mean(-1)))))
        x = x * gate.unsqueeze(-1)
        return self.head(x.amax(2))


class Dense(nn.Module):
    """Concatenation: axes of several segments, then a shortcut around them."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(1, 4, 1)
        self.b = nn.Conv2d(1, 5, 1)
        self.norm = nn.BatchNorm2d(9)
        self.mix = nn.Conv2d(9, 7, 1)
        self.head = nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        both = torch.cat([self.a(x), self.b(x)], 1)
        mixed = self.mix(F.relu(self.norm(both)))
        return self.head(torch.cat([both, mixed], dim=1).mean((2, 3)))


class AddedConcatenation(nn.Module):
    """A group that has to be split because it meets a concatenation."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(5, 3)
        self.b = nn.Linear(5, 4)
        self.c = nn.Linear(5, 7)
        self.head = nn.Linear(7, 2)

    def forward(self, x: Tensor) -> Tensor:
        both = torch.cat([self.a(x), self.b(x)], -1)
        return self.head(torch.relu(both + self.c(x)))


class Attention(nn.Module):
    """Heads are blocks of the projections; queries and keys share units inside them as a whole."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(4, 8)
        self.q = nn.Linear(8, 6)
        self.k = nn.Linear(8, 6)
        self.v = nn.Linear(8, 6)
        self.out = nn.Linear(6, 8)
        self.head = nn.Linear(8, 3)

    def heads(self, projected: Tensor) -> Tensor:
        return projected.view(projected.shape[0], projected.shape[1], 3, 2).transpose(1, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        q = self.heads(self.q(x))
        k = self.heads(self.k(x))
        v = self.heads(self.v(x))
        weights = torch.matmul(q, k.transpose(-2, -1)).softmax(-1)
        mixed = torch.matmul(weights, v).transpose(1, 2).flatten(2)
        return self.head((x + self.out(mixed)).mean(1))


def grouped() -> nn.Module:
    """Depthwise, depthwise with multiplier, few large groups, many small ones, and GroupNorm."""
    return nn.Sequential(
        nn.Conv2d(2, 6, 1),
        nn.Conv2d(6, 6, 3, padding=1, groups=6),
        nn.ReLU(),
        nn.Conv2d(6, 12, 1, groups=6),
        nn.ReLU(),
        nn.Conv2d(12, 8, 1),
        nn.GroupNorm(2, 8),
        nn.ReLU(),
        nn.Conv2d(8, 8, 1, groups=2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 3),
    )


class Split(nn.Module):
    """A gate from the two halves of one layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(5, 12)
        self.second = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        a, b = self.first(x).chunk(2, dim=-1)
        return self.second(a * torch.sigmoid(b))


class Shared(nn.Module):
    """One layer used twice: its units meet themselves."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(4, 6)
        self.head = nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.relu(self.embed(x)) + torch.tanh(self.embed(x + 1)))


def transformer() -> nn.Module:
    """PyTorch's own layer: a stream, heads, and hidden units; its head flattens all positions."""
    layer = nn.TransformerEncoderLayer(8, nhead=2, dim_feedforward=6, dropout=0.0, batch_first=True)
    return nn.Sequential(nn.Linear(4, 8), layer, nn.Flatten(), nn.Linear(8 * 5, 3))


class Recurrent(nn.Module):
    """Gates that share their units, two directions, and units that feed back into themselves."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(3, 6)
        self.loop = nn.Linear(6, 6)
        self.lstm = nn.LSTM(6, 5, batch_first=True, bidirectional=True)
        self.head = nn.Linear(10, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        x = x + torch.relu(self.loop(x))
        return self.head(self.lstm(x)[0].mean(1))


class UNet(nn.Module):
    """Down and up again, with what was there before beside what comes back."""

    def __init__(self) -> None:
        super().__init__()
        self.before = nn.Conv2d(1, 4, 3, padding=1)
        self.down = nn.Conv2d(4, 6, 2, stride=2)
        self.up = nn.ConvTranspose2d(6, 5, 2, stride=2)
        self.after = nn.Conv2d(9, 2, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        before = torch.relu(self.before(x))
        back = torch.relu(self.up(torch.relu(self.down(before))))
        return self.after(torch.cat([back, before], 1)).mean((2, 3))
