"""The figures of ``docs/PERFORMANCE.md``: ``python -m benchmarks`` runs all, each is a script with --help."""
