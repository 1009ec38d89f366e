"""Speed and memory as ratios: what is compared runs in one process, in turn if it takes no minutes.

``python -m benchmarks`` runs everything and writes ``runs/benchmarks.json`` and
``runs/benchmarks.md``; see ``--help``.
"""
