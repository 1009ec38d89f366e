"""Run the benchmarks and write their table."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks import assignment, matching, training, transfer
from benchmarks.measure import Row, table, write

BENCHMARKS = {"assignment": assignment.run, "matching": matching.run, "transfer": transfer.run, "training": training.run}


def main(arguments: list[str] | None = None) -> list[Row]:
    """Print each table as soon as it is there; write all of them after each."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which of {', '.join(BENCHMARKS)}; default: all (half an hour)")
    parser.add_argument("--smoke", action="store_true", help="small sizes, half a minute")
    parser.add_argument("--output", type=Path, default=Path("runs/benchmarks"), help="path of the results without suffix")
    options, results = parser.parse_args(arguments), []
    if unknown := set(options.names) - BENCHMARKS.keys():
        parser.error(f"unknown benchmarks {sorted(unknown)}")
    for name in options.names or BENCHMARKS:
        rows = BENCHMARKS[name](options.smoke)
        print(table(rows), flush=True)
        results += rows
        write(options.output, results)
    return results


if __name__ == "__main__":
    main()
