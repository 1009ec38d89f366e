"""Speed and memory as ratios: whatever is compared runs in one process, in turn where it does not take minutes.

``python -m benchmarks`` runs everything and writes ``runs/benchmarks.json`` and ``runs/benchmarks.md``; see ``--help``.
"""
