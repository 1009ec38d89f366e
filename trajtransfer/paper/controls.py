"""What stands beside an effect: movements that match nothing, and how far networks moved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import torch

from trajtransfer.paper.lab import Lab
from trajtransfer.paper.seeds import Seeds
from trajtransfer.paper.unit_of_work import tables
from trajtransfer.params import Params
from trajtransfer.permutation import Permutation

RANDOM = "random permutation"
NOISE = "noise"
Row = dict[str, Any]


def controls(lab: Lab, pairs: Sequence[Seeds]) -> pd.DataFrame:
    """The rows of `unmatched` for all pairs."""
    return tables(lab.unit(unmatched, seeds) for seeds in pairs)


def unmatched(lab: Lab, seeds: Seeds) -> list[Row]:
    """Accuracies of a target that is moved as far as by a transfer, in no direction of its own.

    `RANDOM` is the movement of the source under a random permutation, `NOISE` a Gaussian one with
    the norm of the source's in every weight matrix and bias. One draw serves all steps.
    """
    line = lab.line(seeds.source)
    start = lab.network(seeds.target).start
    generator = torch.Generator().manual_seed(seeds.source)
    pi = Permutation.random(lab.spec, generator)
    noise = Params({name: _normal(x, generator) for name, x in start.items()})
    rows = []
    for t in range(1, len(line)):
        shift = line[t] - line[0]
        for method, movement in ((RANDOM, pi(shift)), (NOISE, _as_long_as(shift, noise))):
            validation, selection = lab.scores(start + movement, "validation", "selection")
            about = {"pair": str(seeds), "method": method, "t": t}
            accuracies = {
                "accuracy": validation.accuracy,
                "selection_accuracy": selection.accuracy,
            }
            rows.append(about | accuracies)
    return rows


def trained(lab: Lab, pairs: Sequence[Seeds]) -> pd.DataFrame:
    """The trained networks of each pair, and how far its source moved.

    `movement` is the length of the way over that of the start, ``||end - start|| / ||start||``,
    and `cosine` that of the angle between start and end. Accuracies are those on the validation
    split after the last epoch.
    """
    networks = iter(lab.networks(seed for seeds in pairs for seed in seeds))
    rows = []
    for seeds in pairs:
        source = next(networks)
        target = next(networks)
        start = source.start
        end = source.end
        rows.append(
            {
                "pair": str(seeds),
                "source accuracy": source.history[-1]["accuracy"],
                "target accuracy": target.history[-1]["accuracy"],
                "movement": (end - start).norm() / start.norm(),
                "cosine": (start @ end) / (start.norm() * end.norm()),
            }
        )
    return pd.DataFrame(rows)


def _normal(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    return torch.randn(x.shape, generator=generator).to(x.device)


def _as_long_as(shift: Params, noise: Params) -> Params:
    """The noise with the norm of the movement in every tensor."""
    return Params({name: x * (shift[name].norm() / x.norm()) for name, x in noise.items()})
