"""The objective of matching and the gains of one group of units, as the paper writes them down.

Nothing is kept here, so that anyone can read it: each call sums over all pairs again. `gain_cache`
is the same thing fast, and the tests hold it to this one.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from trajtransfer.params import Params
from trajtransfer.permutation import Permutation
from trajtransfer.specification import Axis

VectorPair = tuple[Params, Params]  # (target side, source side)


def objective(pairs: Sequence[VectorPair], pi: Permutation) -> float:
    """``sum_t <y_t, pi(x_t)>`` over the `pairs` (y_t, x_t), which hold no buffers; in float64."""
    return sum(y @ pi(x) for y, x in pairs)


def gains(pairs: Sequence[VectorPair], pi: Permutation, units: str) -> Tensor:
    """The matrix (n, n) of what each choice for one group of n units adds to `objective`.

    Entry (i, j) is what the objective receives when unit i of the target side meets unit j of the
    source side, while all other groups stay as in `pi`: the inner product of the entries of both
    units, summed over all tensors and pairs. The best permutation of the group maximises the sum of
    n entries, one in each row and column (equation 3 of the paper).

    Where the group stands on two axes of one tensor, each of the two is moved while the other stays
    as in `pi`: then this is the derivative of the objective, which is quadratic in the group.
    """
    size = pi.spec.sizes[units]
    first = next(iter(pairs[0][0].values()))
    total = first.new_zeros(size, size)
    for y, x in pairs:
        for name, number in pi.spec.places[units]:
            if name in y:
                axis = pi.spec.axes[name][number]
                rows = unit_rows(y[name], number, axis, units)
                columns = unit_rows(_beside(pi, name, x[name], number), number, axis, units)
                total += rows @ columns.T
    return total


def _beside(pi: Permutation, name: str, x: Tensor, number: int) -> Tensor:
    """A tensor of which `pi` has moved all axes but one."""
    for axis, entries in pi.entries(name).items():
        if axis != number:
            x = x.index_select(axis, entries.to(x.device))
    return x


def unit_rows(x: Tensor, number: int, axis: Axis, units: str) -> Tensor:
    """The entries of each unit as one row (n, entries); `axis` is axis `number` of the tensor."""
    pieces = x.split([part.size for part in axis], dim=number)
    rows = []
    for part, piece in zip(axis, pieces, strict=True):
        if part.units == units:
            count = part.size // part.block
            rows.append(piece.movedim(number, 0).reshape(count, -1))
    return side_by_side(rows)


def side_by_side(rows: Sequence[Tensor]) -> Tensor:
    """Matrices of equally many rows as one, without a copy where there is only one."""
    return rows[0] if len(rows) == 1 else torch.cat(list(rows), dim=1)
