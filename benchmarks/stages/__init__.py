"""The measurements, one a file: `python -m benchmarks.stages.NAME [--quick]` runs one."""
