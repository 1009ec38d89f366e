"""Batches, losses and options that a transfer refuses."""

from __future__ import annotations

import math

import torch
from torch.nn import functional as F

from tests.bad_inputs.transfers import NAN, batch, filled, inputs_as, labels_as, state
from trajtransfer.one_call import UNTRAINED

DATA = [
    ("integer inputs", {"batches": inputs_as(torch.int64)}, "of shape (2, 4) and torch.int64"),
    (
        "narrow inputs",
        {"batches": [(torch.randn(8, 3), torch.zeros(8, dtype=torch.long))]},
        "of shape (2, 3)",
    ),
    ("inputs with NaN", {"batches": [batch(NAN)]}, "batch 1 of batches: the inputs hold NaN"),
    (
        "later inputs with infinity",
        {"batches": [batch(), batch(math.inf)]},
        "step 1: batch 2 of batches: the inputs hold NaN or infinite",
    ),
    (
        "selection with NaN",
        {"selection": [batch(), batch(NAN)]},
        "batch 2 of selection: the inputs hold NaN",
    ),
    (
        "labels with NaN",
        {"batches": [(batch()[0], torch.full((8,), NAN))], "loss": F.mse_loss},
        "the labels hold NaN",
    ),
    ("label above the classes", {"batches": [batch(label=2)]}, "label 2 is none of the 2 classes"),
    ("label below 0", {"batches": [batch(label=-1)]}, "label -1 is none of the 2 classes"),
    (
        "selection with a label above",
        {"selection": [batch(label=9)]},
        "label 9 is none of the 2 classes",
    ),
    (
        "every label ignored",
        {"batches": [(batch()[0], torch.full((8,), -100))]},
        "the loss of the target initialisation is nan",
    ),
    (
        "float labels",
        {"batches": labels_as(torch.float32)},
        "cross-entropy takes labels of int64, got torch.float32",
    ),
    (
        "bool labels",
        {"batches": labels_as(torch.bool)},
        "cross-entropy takes labels of int64, got torch.bool",
    ),
    (
        "fewer labels than inputs",
        {"batches": [(batch()[0], batch()[1][:5])]},
        "no samples with a label each",
    ),
    ("no samples", {"batches": [(batch()[0][:0], batch()[1][:0])]}, "no samples with a label each"),
    ("steps=0", {"steps": 0}, "at least one step, got steps=0"),
    ("steps=-1", {"steps": -1}, "at least one step, got steps=-1"),
    ("steps=2.5", {"steps": 2.5}, "steps=2.5 is not a whole number"),
    ("steps=True", {"steps": True}, "steps=True is not a whole number"),
    ("steps in words", {"steps": "30"}, "steps='30' is not a whole number"),
    ("steps=10**9", {"steps": 10**9}, "steps=1000000000 is more than 10,000"),
    ("seed=0.5", {"seed": 0.5}, "seed=0.5 is not a whole number"),
    ("seed=None", {"seed": None}, "seed=None is not a whole number"),
    ("seed=True", {"seed": True}, "seed=True is not a whole number"),
    ("seed=2**63", {"seed": 2**63}, "seed=9223372036854775808 does not fit"),
    (
        "method that knows the answer",
        {"method": "oracle"},
        f"unknown method 'oracle'; known: {', '.join(UNTRAINED)}",
    ),
    ("list of methods", {"method": ["gmt"]}, "unknown method ['gmt']"),
    ("unknown schedule", {"schedule": "linear"}, "unknown schedule 'linear'"),
    ("unknown cache", {"cache": "disk"}, "unknown cache 'disk'; known: device, host, half"),
    ("empty selection", {"selection": []}, "selection is empty"),
    (
        "iterator for a selection",
        {"selection": lambda: iter([batch()])},
        "selection is a list_iterator; pass a list",
    ),
    ("pair for a selection", {"selection": batch()}, "batch 1 of selection: data must be"),
    ("tensor for a selection", {"selection": batch()[0]}, "selection is a Tensor; pass a list"),
    ("no batches", {"batches": []}, "batches is empty or cannot be started again"),
    (
        "batches that end",
        {"batches": lambda: iter([batch()])},
        "batches is a list_iterator; pass a list",
    ),
    ("None for batches", {"batches": None}, "batches is a NoneType; pass a list"),
    (
        "pair for batches",
        {"batches": batch()},
        "batch 1 of batches: data must be a Split or a pair",
    ),
    (
        "batches of triples",
        {"batches": [(*batch(), batch()[1])]},
        "fails on the first inputs of batches",
    ),
    (
        "batches without labels",
        {"batches": [{"x": batch()[0], "y": batch()[1]}]},
        "got a dict with x, y",
    ),
    (
        "batches of lists",
        {"batches": lambda: [tuple(x.tolist() for x in batch())]},
        "got a tuple of list and list",
    ),
    ("no loss", {"loss": None}, "loss is a NoneType; pass a function"),
    (
        "loss per sample",
        {"loss": lambda o, y: F.cross_entropy(o, y, reduction="none")},
        "the loss returned (8,)",
    ),
    ("loss that is a float", {"loss": lambda o, y: 1.0}, "the loss returned a float"),
    (
        "loss without gradient",
        {"loss": lambda o, y: F.cross_entropy(o.detach(), y)},
        "step 1: the loss does not depend on the parameters",
    ),
    (
        "loss of other shapes",
        {"loss": lambda o, y: F.cross_entropy(o[:, None, :1], y)},
        "the loss fails on outputs (8, 2)",
    ),
    (
        "loss that is NaN",
        {"loss": lambda o, y: NAN * F.cross_entropy(o, y)},
        "the loss of the target initialisation is nan",
    ),
    (
        "loss that is huge",
        {"loss": lambda o, y: 1e30 * F.cross_entropy(o, y)},
        "step 1: the products of the vectors overflow torch.float32 in the gains of units '0'",
    ),
    (
        "target near the largest float",
        {"target": state(3, 1e38)},
        "the loss of the target initialisation is nan",
    ),
    (
        "ends further apart than floats",
        {"source": (filled(-3e38), filled(3e38))},
        "their difference overflows torch.float32",
    ),
    ("source of 1e20", {"source": (state(1), state(2, 1e20))}, "step 2: the gradient of the"),
]
