"""Where transferred networks lie in the loss landscape (section 4.3, Figure 6 of version 1)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import pandas as pd

from trajtransfer.algorithms import Step
from trajtransfer.landscape import Frame, Interpolation, Plane, frame, interpolate, plane
from trajtransfer.objective import Score
from trajtransfer.paper.lab import Lab
from trajtransfer.paper.seeds import Seeds
from trajtransfer.paper.subsequent import best_step, trained_on
from trajtransfer.paper.unit_of_work import tables
from trajtransfer.params import Params

SOURCE = "Source*"
TARGET = "trained target"
Row = dict[str, Any]


def segments(
    lab: Lab, methods: Sequence[str], pairs: Sequence[Seeds], positions: int
) -> pd.DataFrame:
    """Scores along the segments from the transferred network of each method."""
    return tables(
        lab.unit(segments_of_transfer, method, seeds, positions)
        for seeds in pairs
        for method in methods
    )


def segments_of_transfer(lab: Lab, method: str, seeds: Seeds, positions: int) -> list[Row]:
    """Scores along two segments from the network of the last step, as in version 1 of the paper.

    One leads to the permuted source ``pi(source)`` (Source*), the other to the target as it was
    really trained.
    """
    *_, (step, _) = lab.follow(method, seeds)
    source = lab.network(seeds.source).end
    ends = {SOURCE: step.permutation(source), TARGET: lab.network(seeds.target).end}
    return _segment_rows(lab, method, step.params, ends, seeds, positions)


def fine_tuned_segments(lab: Lab, pairs: Sequence[Seeds], positions: int) -> pd.DataFrame:
    """Scores along the segments of `segments_of_fine_tuning` for all pairs."""
    return tables(lab.unit(segments_of_fine_tuning, seeds, positions) for seeds in pairs)


def segments_of_fine_tuning(lab: Lab, seeds: Seeds, positions: int) -> list[Row]:
    """From the trained target to FGMT+FT, to the permuted source, and to the source as it is."""
    ends = _corners(lab, seeds, lab.follow("fgmt", seeds))
    ends["source as it is"] = lab.network(seeds.source).end
    start = ends.pop(TARGET)
    return _segment_rows(lab, TARGET, start, ends, seeds, positions)


def _segment_rows(
    lab: Lab, name: str, start: Params, ends: dict[str, Params], seeds: Seeds, positions: int
) -> list[Row]:
    rows = []
    for end, point in ends.items():
        found = interpolate(start, point, lab.score, positions)
        for position, at in zip(found.positions, found.scores, strict=True):
            about = {"from": name, "to": end, "pair": str(seeds), "position": position}
            rows.append(about | {"loss": at.loss, "accuracy": at.accuracy})
    return rows


def barriers(segments: pd.DataFrame) -> pd.DataFrame:
    """The barriers on each segment: of the loss (nats), and of the accuracy, below its chord.

    `rise` is how far the loss rises above the end of a segment, which is a trained network: other
    than a barrier it does not vanish where the network at the start is bad.
    """
    rows = []
    for (start, end, pair), mine in segments.groupby(["from", "to", "pair"], sort=False):
        scores = tuple(Score(*pair) for pair in zip(mine["loss"], mine["accuracy"], strict=True))
        found = Interpolation(tuple(mine["position"]), scores)
        about = {"from": start, "to": end, "pair": pair, "barrier": found.barrier}
        rise = mine["loss"].max() - mine["loss"].iloc[-1]
        rows.append(about | {"rise": rise, "accuracy barrier": found.accuracy_barrier})
    return pd.DataFrame(rows)


class FineTuned(NamedTuple):
    """A plane, the names of its corners in the order of ``plane.points``, and a path beside it.

    The rows of `path` are the steps of FGMT: where step `t` falls on the plane (`u`, `v`), and its
    `distance` from there.
    """

    plane: Plane
    corners: list[str]
    path: pd.DataFrame


def fine_tuned_plane(lab: Lab, seeds: Seeds, resolution: int) -> FineTuned:
    """The plane through the trained target, FGMT+FT and the permuted source (Figure 7)."""
    found = lab.kept(plane_of_fine_tuning, seeds, resolution)
    scores = tuple(tuple(Score(*at) for at in line) for line in found["scores"])
    points = tuple((u, v) for u, v in found["points"])
    drawn = Plane(tuple(found["u"]), tuple(found["v"]), scores, points)
    return FineTuned(drawn, found["corners"], pd.DataFrame(found["path"]))


def plane_of_fine_tuning(lab: Lab, seeds: Seeds, resolution: int) -> dict[str, Any]:
    """The fields of `FineTuned`, as JSON."""
    walk = list(lab.follow("fgmt", seeds))
    points = _corners(lab, seeds, walk)
    target, tuned, source = points.values()
    found = plane(target, tuned, source, lab.score, resolution=resolution)
    within = frame(target, tuned, source)
    return {
        "u": found.u,
        "v": found.v,
        "scores": found.scores,
        "points": found.points,
        "corners": list(points),
        "path": [_place(within, step) for step, _ in walk],
    }


def _place(within: Frame, step: Step) -> Row:
    u, v, distance = within.coordinates(step.params)
    return {"t": step.t, "u": u, "v": v, "distance": distance}


def plane_rows(found: Plane) -> pd.DataFrame:
    """The grid of a plane as tidy rows."""
    rows = []
    for v, line in zip(found.v, found.scores, strict=True):
        for u, at in zip(found.u, line, strict=True):
            rows.append({"u": u, "v": v, "loss": at.loss, "accuracy": at.accuracy})
    return pd.DataFrame(rows)


def _corners(lab: Lab, seeds: Seeds, walk: Iterable[tuple[Step, Row]]) -> dict[str, Params]:
    """The trained target, FGMT+FT (transferred, then trained), the source moved next to the target.

    The order of its units is that of Git Re-Basin, which has seen the trained target. `walk` has
    the steps of FGMT.
    """
    best, _ = best_step(walk)
    rebasin = next(lab.steps("rebasin", seeds))
    return {
        TARGET: lab.network(seeds.target).end,
        "FGMT+FT": trained_on(lab, "fgmt", seeds, best).end,
        "permuted source": rebasin.permutation(lab.network(seeds.source).end),
    }
