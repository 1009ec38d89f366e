"""Unification of axis labels: which entries of two axes have to move together.

While a network is traced, every axis of every tensor is a tuple of `Piece`, each holding whole
`Units`. Where two axes meet (an addition, a weight applied to an activation) they are unified as in
logic programming: a group of units is replaced by another one, by coarser blocks, by several parts,
or by nothing movable at all ("frozen"). Freezing is always valid, so it is the answer to every
conflict.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import NamedTuple


class Units:
    """A group of units that is still being found out; `becomes` is what it was replaced by.

    An `idle` one is of equal entries, which may move and need not: no weight is known to have them.
    Units may lie `inside` larger ones, equally many in each: then they move with these.
    """

    __slots__ = ("becomes", "idle", "inside", "size")

    def __init__(self, size: int, idle: bool = False):
        self.size = size
        self.idle = idle
        self.inside: Units | None = None
        self.becomes: Label | None = None

    def freeze(self) -> None:
        """Let nothing move these units, and hence not the larger ones that they are inside of."""
        if self.inside is not None:
            freeze(self.larger())
        self.becomes = fixed(self.size)

    def larger(self) -> Label:
        """The axis of the units that these are inside of, one entry for each."""
        assert self.inside is not None
        return resolve((Piece(self.inside, self.inside.size),))

    def be_blocks(self) -> None:
        """Let nothing move these units inside the larger ones, which is always valid."""
        assert self.inside is not None
        block = self.size // self.inside.size
        self.becomes = tuple(_widened(piece, block) for piece in self.larger())


class Piece(NamedTuple):
    """`size` entries of an axis, of which `block` neighbours belong to one unit.

    `units` is None where nothing moves.
    """

    units: Units | None
    size: int
    block: int = 1


Label = tuple[Piece, ...]


def fixed(size: int) -> Label:
    """The label of an axis that nothing moves."""
    return (Piece(None, size),)


def fresh(size: int, block: int = 1, idle: bool = False) -> Label:
    """The label of an axis of `size` entries in blocks of `block`, with nothing known of it yet."""
    return (Piece(Units(size // block, idle), size, block),) if size > block else fixed(size)


def resolve(label: Iterable[Piece]) -> Label:
    """Replace every group of units by what it has become; join neighbouring immovable pieces."""
    pieces: list[Piece] = []
    waiting = [*label][::-1]
    while waiting:  # no recursion: groups are replaced hundreds of times in a deep network
        piece = waiting.pop()
        if piece.units is None or piece.units.becomes is None:
            pieces += [piece] * (piece.size > 0)
        else:
            waiting += [_widened(q, piece.block) for q in _shortened(piece.units)][::-1]
    joined: list[Piece] = []
    for immovable, run in groupby(pieces, key=lambda p: p.units is None):
        if immovable:
            joined.append(Piece(None, sum(p.size for p in run)))
        else:
            joined += run
    return tuple(joined)


def _shortened(units: Units) -> Label:
    """What a group of units has become, and that replaced by what it has become in turn."""
    found: list[Piece] = []
    for piece in units.becomes or ():
        later = piece.units and piece.units.becomes
        found += [_widened(q, piece.block) for q in later] if later else [piece]
    units.becomes = tuple(found)  # so that chains of replacements get shorter
    return units.becomes


def _widened(piece: Piece, block: int) -> Piece:
    """A piece of units as one of entries, of which every unit holds a block."""
    return Piece(piece.units, piece.size * block, piece.block * block)


def unify(a: Label, b: Label) -> Label:
    """Make two axes of the same size move together and return their common label."""
    while True:
        a = resolve(a)
        b = resolve(b)
        conflict = _first_conflict(a, b)
        if conflict is None:
            return a
        _settle(*conflict)


def freeze(label: Label) -> None:
    """Let nothing move the entries of an axis."""
    for piece in resolve(label):
        if piece.units is not None:
            piece.units.freeze()


def put_inside(label: Label, count: int) -> Label | None:
    """Put the entries of an axis inside `count` larger units, and return the label of these.

    None for entries that do not move one by one, or are inside another number of units.
    """
    pieces = resolve(label)
    units = pieces[0].units
    if len(pieces) > 1 or units is None or units.idle or pieces[0].block > 1:
        return None
    if units.inside is None:
        units.inside = Units(count)
    larger = units.larger()
    return larger if size_of(larger) == count else None


def settle_inside(label: Label) -> None:
    """Decide about units inside larger ones, when all of these are known.

    Where nothing moves any of the larger ones, units move inside of each independently.
    """
    nested = _nested(label)
    while nested:
        units = nested.pop()
        larger = units.larger()
        size = units.size // size_of(larger)
        if all(piece.units is None for piece in larger):
            units.becomes = sum((fresh(size) for _ in range(size_of(larger))), start=())
        elif len(larger) > 1 or larger[0].block > 1 or _nested(larger):
            units.be_blocks()
            nested += _nested(larger)


def _nested(label: Label) -> list[Units]:
    """The units of an axis that are inside larger ones."""
    return [p.units for p in resolve(label) if p.units is not None and p.units.inside is not None]


def movable(label: Label) -> bool:
    """Whether anything may still move entries of this axis that are not all alike."""
    return any(piece.units is not None and not piece.units.idle for piece in resolve(label))


def split(label: Label, sizes: Sequence[int]) -> list[Label]:
    """Cut an axis into parts of the given sizes that move independently of each other."""
    parts = [fresh(size) for size in sizes]
    unify(label, sum(parts, start=()))
    return [resolve(part) for part in parts]


def _first_conflict(a: Label, b: Label) -> tuple[Piece, Piece] | None:
    """The first pair of pieces that start at the same entry and do not agree."""
    left = list(a)
    right = list(b)
    while left and right:
        p = left.pop(0)
        q = right.pop(0)
        if p == q:
            continue
        if p.units is not None or q.units is not None:
            return p, q
        # Both are immovable and of different length: go on behind the shorter.
        longer = left if p.size > q.size else right
        longer.insert(0, Piece(None, abs(p.size - q.size)))
    if left or right:
        raise ValueError(f"axes of {size_of(a)} and {size_of(b)} entries cannot be unified")
    return None


def _settle(p: Piece, q: Piece) -> None:
    """Resolve one conflict by replacing at least one group of units."""
    if p.size < q.size or (p.size == q.size and (p.units is None or q.block < p.block)):
        p, q = q, p  # now p is the longer, or of the same length, movable and in the finer blocks
    nested = [units for units in (p.units, q.units) if units is not None and units.inside]
    if nested and p[1:] == q[1:] and p.block == 1:
        _settle_nested(p, q)
    elif nested:
        nested[0].be_blocks()
    elif p.units is None:  # a longer immovable piece
        assert q.units is not None
        q.units.freeze()
    elif p.size > q.size:
        cut, rest = divmod(q.size, p.block)
        if rest or p.units is q.units:
            p.units.freeze()
        else:
            idle = p.units.idle
            p.units.becomes = fresh(cut, idle=idle) + fresh(p.units.size - cut, idle=idle)
    elif q.units is None or q.block % p.block:
        p.units.freeze()
    else:
        q.units.idle &= p.units.idle
        p.units.becomes = (Piece(q.units, q.size // p.block, q.block // p.block),)


def _settle_nested(p: Piece, q: Piece) -> None:
    """The same for pieces of one length, in single units of which some are inside larger ones."""
    assert p.units is not None
    if q.units is None:
        p.units.freeze()
    elif p.units.inside is None:
        p.units.becomes = (q,)
    elif q.units.inside is None:
        q.units.becomes = (p,)
    elif p.units.inside.size == q.units.inside.size:
        unify(p.units.larger(), q.units.larger())
        q.units.becomes = (p,)
    else:
        p.units.be_blocks()


def size_of(label: Label) -> int:
    """How many entries an axis has."""
    return sum(piece.size for piece in label)
