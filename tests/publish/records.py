"""Records for tests, made of nothing, and where two of them differ."""

from __future__ import annotations

from trajtransfer.paper.storage.outcomes import Provenance, RecordFile

ORIGIN = {
    "profile": "quick",
    "parameters": {"setting": "mnist5k-mlp"},
    "data": {"mnist-5k": "abc"},
    "commit": "c0ffee",
    "device": "cpu",
    "versions": {"torch": "2"},
    "seconds": {"training": 1.4},
}


def record(measures=None, tables=None, **changes):
    """A record with these measures and tables."""
    measures = measures or {}
    return RecordFile(
        name="r",
        provenance=Provenance(**(ORIGIN | changes)),
        measures=measures,
        counts=dict.fromkeys(measures, "pairs"),
        errors=dict.fromkeys(measures, 0.0),
        tables=tables or {},
    )


def places(found) -> list[str]:
    """Where differences are."""
    return [difference.place for difference in found]


def on_one_machine(reference: RecordFile) -> RecordFile:
    """A record of a machine that says which processor it has."""
    device = "cpu, AMD EPYC with AVX2 (1 of 2 cores)"
    origin = reference.provenance.model_copy(update={"device": device})
    return reference.model_copy(update={"provenance": origin})
