"""Benchmarks beside what users would otherwise run: `python -m bench`. docs/performance.md explains the rules."""
