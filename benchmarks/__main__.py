"""Runs stages, all of them by default, each in a process of its own; then lists the last results in the README."""

import argparse
import importlib.util
import subprocess
import sys

from benchmarks import readme
from benchmarks.machine import ROOT

# The quick ones first, so that much is known if somebody stops the rest.
STAGES = (
    *("planning", "tables", "load", "batches", "pack", "pack_subject", "accuracy", "trial_memory"),
    *("streaming", "choices", "epoch", "published_epoch", "makespan", "growth", "explain", "alignment"),
    *("selection", "cluster_maps", "null_controls", "null_rate"),
)


def main() -> None:
    """Run the stages of the command line; exit code 1 if one of them broke. A missed target is no error."""
    there = [name for name in STAGES if importlib.util.find_spec(f"benchmarks.stages.{name}") is not None]
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("stages", nargs="*", metavar="STAGE", help=f"any of {', '.join(there)}")
    parser.add_argument("--quick", action="store_true", help="small shapes, to try the benchmark")
    options = parser.parse_args()
    unknown = sorted(set(options.stages) - set(there))
    if unknown:
        parser.error(f"{unknown[0]}: no such stage; there are {', '.join(there)}")
    broken = []
    for name in options.stages or there:
        words = [sys.executable, "-m", f"benchmarks.stages.{name}", *(["--quick"] if options.quick else [])]
        if subprocess.run(words, check=False, cwd=ROOT).returncode:
            broken.append(name)
    if not options.quick:
        readme.write()
    if broken:
        sys.exit(f"broke: {', '.join(broken)}")


if __name__ == "__main__":
    main()
