"""Benchmarks: each measures this package and its alternative in the same run.

``python -m benchmarks`` runs them all and writes the table of ``docs/explanation/performance.md``.
"""
