"""A freezer hierarchy for each node, by which SLURM finds all processes of a job, those that became daemons too.

Only cgroup v1 has such a hierarchy; where there is none, SLURM follows parent processes instead and misses daemons.
"""

import contextlib
import time
from pathlib import Path

from cluster import Cluster
from errors import UserError


def freezer() -> Path | None:
    """Return where the cgroup v1 freezer hierarchy is mounted for writing, or None."""
    for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines():
        _, target, kind, options, *_ = line.split()
        words = options.split(",")
        # SLURM looks for a folder of this very name.
        if kind == "cgroup" and "freezer" in words and "rw" in words and target.endswith("/freezer"):
            return Path(target)
    return None


def folder(cluster: Cluster, node: str) -> Path | None:
    """Return the node's own freezer folder as the machine sees it, or None where there is no hierarchy."""
    root = freezer()
    return root / f"{cluster.name}-{node}" if root else None


def remove(cluster: Cluster, within_s: float = 20) -> None:
    """Remove the freezer folders of all hosts that do not run."""
    root = freezer()
    for path in root.glob(f"{cluster.name}-*") if root else ():
        if not cluster.process(path.name.removeprefix(f"{cluster.name}-")):
            _remove(path, time.monotonic() + within_s)


def _remove(root: Path, deadline: float) -> None:
    while root.is_dir():
        # A killed process that is frozen (scontrol suspend) ends only when it is thawed.
        for state in root.rglob("freezer.state"):
            with contextlib.suppress(OSError):
                state.write_text("THAWED")
        for path in [*sorted(root.rglob("*/"), reverse=True), root]:
            # Busy as long as its last process is on its way out.
            with contextlib.suppress(OSError):
                path.rmdir()
        if root.is_dir() and time.monotonic() > deadline:
            raise UserError(f"cannot remove {root}: see the processes in {root}/**/cgroup.procs")
        time.sleep(0.02)
