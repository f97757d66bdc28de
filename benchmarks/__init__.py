"""Reproducible measurements: each module with a `main` is a stage, run as `python -m benchmarks.STAGE [--quick]`."""
