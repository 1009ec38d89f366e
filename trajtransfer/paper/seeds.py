"""Pairs of seeds: which two training runs a transfer goes between."""

from __future__ import annotations

from typing import NamedTuple

# Each epoch draws from a seed of its own, about a million times larger, which must fit into 63
# bits.
LARGEST = 2**43


class Seeds(NamedTuple):
    """The seeds of a source and a target run; as text ``"1-2"``."""

    source: int
    target: int

    def __str__(self) -> str:
        return f"{self.source}-{self.target}"


def seed_pairs(text: str) -> list[Seeds]:
    """Seeds such as ``"1-2, 3-4"`` (source-target). Raises ``ValueError`` for malformed ones."""
    try:
        pairs = [_seeds(item) for item in text.split(",")]
    except ValueError as error:
        raise ValueError(
            f"pairs={text!r} is not of the form '1-2, 3-4' (source seed, hyphen, target seed)"
        ) from error
    for pair in pairs:
        if pair.source == pair.target:
            raise ValueError(
                f"seed pair {pair}: source and target are the same run; give two different seeds"
            )
        if max(pair) >= LARGEST:
            raise ValueError(f"seed pair {pair}: seeds are whole numbers below {LARGEST}")
    if len(set(pairs)) < len(pairs):
        raise ValueError(f"pairs={text!r} names a pair twice")
    return pairs


def seed_pair(text: str) -> Seeds:
    """The only pair of a text such as ``"1-2"``. Raises ``ValueError`` for several."""
    pairs = seed_pairs(text)
    if len(pairs) > 1:
        raise ValueError(f"pair={text!r} names {len(pairs)} pairs; this notebook follows one")
    return pairs[0]


def _seeds(item: str) -> Seeds:
    source, target = item.split("-")
    return Seeds(int(source), int(target))
