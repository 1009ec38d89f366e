"""Claims: measures of the curves, criteria fixed before the run, and verdicts computed from the two.

The same function turns the paper's reported curves and our own into measures, so both columns of the claims
page mean the same thing.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trajtransfer.records import markdown_table, reported


@dataclass(frozen=True)
class Curve:
    """Accuracy in [0, 1] after steps t = 1..T on the validation split, and on the split that chooses a step."""

    accuracy: tuple[float, ...]
    selection: tuple[float, ...]

    @property
    def first(self) -> float:
        """Accuracy after the first step."""
        return self.accuracy[0]

    @property
    def final(self) -> float:
        """Accuracy after the last step."""
        return self.accuracy[-1]

    @property
    def peak(self) -> float:
        """Accuracy after the step that is best on the selection split."""
        return self.accuracy[self.selection.index(max(self.selection))]


Curves = Mapping[str, Sequence[Curve]]


def curves_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Curve]]:
    """Tidy rows of a transfer as method -> one curve per seed pair."""
    grouped: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        grouped.setdefault((row["method"], row["pair"]), []).append(row)
    curves: dict[str, list[Curve]] = {}
    for (method, _), mine in grouped.items():
        curve = Curve(tuple(r["accuracy"] for r in mine), tuple(r["selection_accuracy"] for r in mine))
        curves.setdefault(method, []).append(curve)
    return curves


def reported_curves(panel: str) -> dict[str, list[Curve]]:
    """The paper's mean curves of a panel; the paper chooses the step on the validation split itself."""
    means = {c["label"].lower(): tuple(y / 100 for y in c["mean"]) for c in reported()[panel]["curves"]}
    return {method: [Curve(mean, mean)] for method, mean in means.items()}


def transfer_measures(curves: Curves) -> dict[str, list[float]]:
    """What the claims about Figure 5 speak of, one value per curve; differences are in accuracy.

    Of each method: its first, final and best accuracy (at the step chosen on the selection split), its rise from
    first to final and its fall from best to final; of each method against another: the three differences.
    """
    measures: dict[str, list[float]] = {}
    for method, ours in curves.items():
        measures |= {f"{method}-{name}": [getattr(c, name) for c in ours] for name in ("first", "final", "peak")}
        measures[f"{method}-rise"] = [c.final - c.first for c in ours]
        measures[f"{method}-fall"] = [c.peak - c.final for c in ours]
        for other in curves.keys() - {method}:
            for name in ("first", "final", "peak"):
                pairs = zip(ours, curves[other], strict=True)
                measures[f"{method}-{name}-minus-{other}"] = [getattr(a, name) - getattr(b, name) for a, b in pairs]
    return dict(sorted(measures.items()))


def panel_title(panel: str) -> str:
    """What a panel of the paper shows."""
    title: str = reported()[panel]["title"]
    return title


def method_table(curves: Curves, reported_: Curves) -> list[dict[str, Any]]:
    """First, best and last accuracy (%) per method, ours as mean ± std over pairs and the paper's mean."""
    table = []
    for method, ours in curves.items():
        row: dict[str, Any] = {"method": method}
        for name, which in (("first", "first"), ("best", "peak"), ("last", "final")):
            row[f"{name} step"] = _percent([getattr(c, which) for c in ours])
            row[f"{name}, paper"] = _percent([getattr(c, which) for c in reported_.get(method, [])])
        table.append(row)
    return table


def _percent(values: Sequence[float]) -> str:
    if not values:
        return "–"
    spread = f" ± {100 * statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{100 * statistics.fmean(values):.1f}{spread}"


def verdict(claim: Mapping[str, Any], records: Mapping[str, Mapping[str, Any]]) -> str:
    """``holds`` when the mean of every check meets its criterion, ``fails`` when one does not.

    ``not run here`` when a record is missing; ``chapter to come`` when the claim has no checks yet.
    """
    checks = claim.get("checks") or []
    if not checks:
        return "chapter to come"
    values = [_values(check, records) for check in checks]
    if any(v is None for v in values):
        return "not run here"
    return "holds" if all(_met(c, v) for c, v in zip(checks, values, strict=True) if v) else "**fails**"


def claims_page(claims: Sequence[Mapping[str, Any]], records: Mapping[str, Mapping[str, Any]]) -> str:
    """Two Markdown tables: a verdict per claim, and the checks behind them with the paper's value and ours."""
    summary = [{"": c["id"], "claim": c["claim"], "paper": c["where"], "verdict": verdict(c, records)} for c in claims]
    checks = [
        {
            "": claim["id"],
            "measure": check["says"],
            "paper": _reported_value(check),
            "ours (mean ± std, n)": _summary(values),
            "data": _data(records[check["record"]]),
            "criterion": _criterion(check),
            "met": "yes" if _met(check, values) else "**no**",
        }
        for claim in claims
        for check in claim.get("checks") or []
        if (values := _values(check, records))
    ]
    return f"{markdown_table(summary)}\n\n## The checks behind the verdicts\n\n{markdown_table(checks)}\n"


def runs_page(records: Mapping[str, Mapping[str, Any]]) -> str:
    """One Markdown table over all runs: parameters, code, machine and time."""
    rows = []
    for name, record in records.items():
        origin = record["provenance"]
        rows.append({
            "run": name,
            "profile": origin["profile"],
            "parameters": ", ".join(f"{k} = {v}" for k, v in origin["parameters"].items()),
            "data": ", ".join(f"{k} ({v})" for k, v in origin["data"].items()),
            "commit": origin["commit"],
            "device": origin["device"],
            "torch": origin["versions"]["torch"],
            "seconds": round(sum(origin["seconds"].values())),
        })  # fmt: skip
    return markdown_table(rows) + "\n"


def _values(check: Mapping[str, Any], records: Mapping[str, Mapping[str, Any]]) -> list[float] | None:
    record = records.get(check["record"])
    if record is None:
        return None
    if check["measure"] not in record["measures"]:
        raise ValueError(f"claims.yml asks the record {check['record']!r} for an unknown measure {check['measure']!r}")
    values: list[float] = record["measures"][check["measure"]]
    return values


def _met(check: Mapping[str, Any], values: Sequence[float]) -> bool:
    mean = statistics.fmean(values)
    return mean >= check["at_least"] if "at_least" in check else mean <= check["at_most"]


def _criterion(check: Mapping[str, Any]) -> str:
    return f"≥ {check['at_least']:g}" if "at_least" in check else f"≤ {check['at_most']:g}"


def _summary(values: Sequence[float]) -> str:
    spread = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.3f}{spread}, n = {len(values)}"


def _reported_value(check: Mapping[str, Any]) -> str:
    if "panel" not in check:
        return "–"
    value = transfer_measures(reported_curves(check["panel"]))[check["measure"]][0]
    return f"{value:.3f} (Fig. {check['panel']})"


def _data(record: Mapping[str, Any]) -> str:
    return ", ".join(record["provenance"]["data"])
