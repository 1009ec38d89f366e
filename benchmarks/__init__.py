"""Speed and memory as ratios: whatever is compared runs in turn in one process, since machines are noisy.

``python -m benchmarks`` runs everything and writes ``runs/benchmarks.json`` and ``runs/benchmarks.md``; see ``--help``.
"""
