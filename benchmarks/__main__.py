"""Run the benchmarks and write their table."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks import assignment, loading, matching, training, transfer
from benchmarks.measure import Row, table, write

BENCHMARKS = {
    "assignment": assignment.run,
    "matching": matching.run,
    "transfer": transfer.run,
    "training": training.run,
    "loading": loading.run,
}


def main(arguments: list[str] | None = None) -> list[Row]:
    """Print each table as soon as it is there; write all of them after each."""
    parser = _parser()
    options = parser.parse_args(arguments)
    unknown = set(options.names) - BENCHMARKS.keys()
    if unknown:
        parser.error(f"unknown benchmarks {sorted(unknown)}")
    results: list[Row] = []
    for name in options.names or BENCHMARKS:
        rows = BENCHMARKS[name](options.smoke)
        print(table(rows), flush=True)
        results += rows
        write(options.output, results)
    return results


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    known = ", ".join(BENCHMARKS)
    which = f"which of {known}; default: all (half an hour)"
    parser.add_argument("names", nargs="*", metavar="NAME", help=which)
    parser.add_argument("--smoke", action="store_true", help="small sizes, half a minute")
    where = "path of the results without suffix"
    parser.add_argument("--output", type=Path, default=Path("runs/benchmarks"), help=where)
    return parser


if __name__ == "__main__":
    main()
