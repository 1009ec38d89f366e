"""Where transferred networks lie in the loss landscape (section 4.3, and Figure 6 of the first version)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from statistics import fmean
from typing import Any

from trajtransfer.landscape import Interpolation, Plane, interpolate, plane
from trajtransfer.paper.experiment import Pair, follow, scorer
from trajtransfer.paper.measures import mean_text, percent
from trajtransfer.paper.networks import network
from trajtransfer.paper.settings import Setting
from trajtransfer.paper.subsequent import best_step, trained_on
from trajtransfer.params import Params

Row = dict[str, Any]
Profiles = dict[tuple[str, str], Interpolation]


def segments(setting: Setting, methods: Sequence[str], pair: Pair, device: str, positions: int) -> Profiles:
    """Scores along the segments from the transferred network of each method: (method, to what) -> profile.

    The transferred network is that of the last step, as in the first version of the paper. One segment leads to the
    permuted source ``pi(source)`` (Source*), the other to the target as it was really trained.
    """
    source, target = (network(setting, seed, device) for seed in pair)
    evaluate = scorer(setting, target.model, device)
    found = {}
    for method in methods:
        *_, (step, _) = follow(setting, method, pair, device)
        for name, end in (("Source*", step.permutation(source.end)), ("trained target", target.end)):
            found[method, name] = interpolate(step.params, end, evaluate, positions)
    return found


def fine_tuned_segments(setting: Setting, pair: Pair, device: str, positions: int) -> Profiles:
    """The same from the trained target to the two other corners of `fine_tuned_plane`, and to the source unpermuted."""
    points = _corners(setting, pair, device) | {"source as it is": network(setting, pair[0], device).end}
    evaluate = scorer(setting, network(setting, pair[1], device).model, device)
    start = points.pop("trained target")
    return {("trained target", name): interpolate(start, end, evaluate, positions) for name, end in points.items()}


def fine_tuned_plane(setting: Setting, pair: Pair, device: str, resolution: int) -> tuple[Plane, list[str]]:
    """The plane through the trained target, the transferred and then trained network (FGMT+FT), and the permuted source.

    Returns the plane and the names of its corners in the order of ``plane.points`` (Figure 7).
    """
    points = _corners(setting, pair, device)
    evaluate = scorer(setting, network(setting, pair[1], device).model, device)
    target, tuned, source = points.values()
    return plane(target, tuned, source, evaluate, resolution=resolution), list(points)


def segment_rows(profiles: Profiles, pair: Pair) -> list[Row]:
    """Profiles as tidy rows."""
    return [
        {"from": start, "to": end, "pair": f"{pair[0]}-{pair[1]}", "position": position, "loss": at.loss, "accuracy": at.accuracy}
        for (start, end), profile in profiles.items()
        for position, at in zip(profile.positions, profile.scores, strict=True)
    ]


def barrier_rows(profiles: Profiles, pair: Pair) -> list[Row]:
    """The barrier of the loss (nats) on each profile, and how far accuracy falls below the straight line between its ends."""
    return [
        {"from": start, "to": end, "pair": f"{pair[0]}-{pair[1]}", "barrier": p.barrier, "accuracy barrier": p.accuracy_barrier}
        for (start, end), p in profiles.items()
    ]


def mean_barriers(rows: Sequence[Row], start: str, end: str) -> Row:
    """Both barriers of one kind of segment as ``mean ± std`` over the pairs."""
    mine = [row for row in rows if (row["from"], row["to"]) == (start, end)]
    return {
        "barrier (nats)": mean_text([row["barrier"] for row in mine], 3),
        "barrier of accuracy (points)": percent([row["accuracy barrier"] for row in mine]),
    }


def oracle_share(rows: Sequence[Row]) -> float:
    """The mean barrier from Oracle to the trained target over that from FGMT; 1 without any, infinite without FGMT's."""
    oracle, ours = (
        fmean(r["barrier"] for r in rows if (r["from"], r["to"]) == (m, "trained target")) for m in ("oracle", "fgmt")
    )
    if ours:
        return oracle / ours
    return math.inf if oracle else 1.0


def plane_rows(found: Plane) -> list[Row]:
    """The grid of a plane as tidy rows."""
    return [
        {"u": u, "v": v, "loss": at.loss, "accuracy": at.accuracy}
        for v, line in zip(found.v, found.scores, strict=True)
        for u, at in zip(found.u, line, strict=True)
    ]


@lru_cache(maxsize=8)  # both functions above ask for the same corners
def _corners(setting: Setting, pair: Pair, device: str) -> dict[str, Params]:
    """The trained target, FGMT+FT and the source under the last permutation of FGMT."""
    source, target = (network(setting, seed, device) for seed in pair)
    walk = list(follow(setting, "fgmt", pair, device))
    tuned = trained_on(setting, "fgmt", pair, best_step(walk)[0], device)
    return {"trained target": target.end, "FGMT+FT": tuned.end, "permuted source": walk[-1][0].permutation(source.end)}
