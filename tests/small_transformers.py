"""Transformers as their families lay them out, small: BERT, GPT-2 and a vision transformer."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trajtransfer.paper._torchvision import torchvision

WORDS = 11
LONGEST = 5  # positions
WIDTH = 24
HEADS = 3


def heads_of(x: Tensor) -> Tensor:
    """(n, positions, units) as (n, heads, positions, units of a head)."""
    return x.view(*x.shape[:2], HEADS, -1).transpose(1, 2)


def joined(x: Tensor) -> Tensor:
    return x.transpose(1, 2).flatten(2)


class BertLayer(nn.Module):
    """Normalised after the sums; queries, keys and values are three layers."""

    def __init__(self) -> None:
        super().__init__()
        self.query = nn.Linear(WIDTH, WIDTH)
        self.key = nn.Linear(WIDTH, WIDTH)
        self.value = nn.Linear(WIDTH, WIDTH)
        self.output = nn.Linear(WIDTH, WIDTH)
        self.attention_norm = nn.LayerNorm(WIDTH)
        self.intermediate = nn.Linear(WIDTH, 32)
        self.dense = nn.Linear(32, WIDTH)
        self.norm = nn.LayerNorm(WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        q = heads_of(self.query(x))
        k = heads_of(self.key(x))
        v = heads_of(self.value(x))
        weights = (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(-1)
        x = self.attention_norm(x + self.output(joined(weights @ v)))
        return self.norm(x + self.dense(F.gelu(self.intermediate(x))))


class Bert(nn.Module):
    """Sums of three embeddings, two layers, and a pooler on the first position."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(WORDS, WIDTH)
        self.positions = nn.Embedding(LONGEST, WIDTH)
        self.types = nn.Embedding(2, WIDTH)
        self.norm = nn.LayerNorm(WIDTH)
        self.layers = nn.ModuleList([BertLayer(), BertLayer()])
        self.pooler = nn.Linear(WIDTH, WIDTH)
        self.classifier = nn.Linear(WIDTH, 2)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.words(tokens) + self.positions(torch.arange(tokens.shape[1]))
        x = self.norm(x + self.types(torch.zeros_like(tokens)))
        for layer in self.layers:
            x = layer(x)
        return self.classifier(torch.tanh(self.pooler(x[:, 0])))


class Conv1D(nn.Module):
    """GPT-2's layer: a weight of inputs by outputs."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(0.3 * torch.randn(inputs, outputs))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor) -> Tensor:
        flat = torch.addmm(self.bias, x.view(-1, x.shape[-1]), self.weight)
        return flat.view(*x.shape[:-1], -1)


class Gpt2Block(nn.Module):
    """Normalised before; one layer makes queries, keys and values."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.LayerNorm(WIDTH)
        self.attention = Conv1D(WIDTH, 3 * WIDTH)
        self.projection = Conv1D(WIDTH, WIDTH)
        self.second = nn.LayerNorm(WIDTH)
        self.hidden = Conv1D(WIDTH, 32)
        self.back = Conv1D(32, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (heads_of(part) for part in self.attention(self.first(x)).split(WIDTH, dim=2))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.projection(joined(mixed))
        return x + self.back(F.gelu(self.hidden(self.second(x)), approximate="tanh"))


class Gpt2(nn.Module):
    """Two blocks between a table of words and the same table again; the last word's scores."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(WORDS, WIDTH)
        self.positions = nn.Embedding(LONGEST, WIDTH)
        self.blocks = nn.ModuleList([Gpt2Block(), Gpt2Block()])
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, WORDS, bias=False)
        self.head.weight = self.words.weight

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.words(tokens) + self.positions(torch.arange(tokens.shape[1]))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))[:, -1]


def vision_transformer() -> nn.Module:
    """That of torchvision on four patches, but with a head that is drawn: it is made of zeros."""
    model = torchvision.models.VisionTransformer(
        image_size=8,
        patch_size=4,
        num_layers=2,
        num_heads=HEADS,
        hidden_dim=WIDTH,
        mlp_dim=32,
        num_classes=3,
    )
    model.heads.head.reset_parameters()
    return model
