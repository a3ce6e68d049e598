"""Measures trio_ssh beside other SSH implementations: ``python -m benchmarks [P1 P2 ...] [--quick]``. See docs/performance.rst."""
