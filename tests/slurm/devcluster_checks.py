"""What tests of the devcluster itself look at: jobs, and what a cluster leaves on the machine."""

import contextlib
import os
from pathlib import Path


def lines(path):
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def submit(cluster, *words, user=None):
    return cluster.output("sbatch", "--parsable", "--output=%j.out", *words, user=user)


def processes(field):
    """Yield what each process of the machine says about itself in a file or link of /proc."""
    for process in Path("/proc").iterdir():
        if process.name.isdecimal() and int(process.name) != os.getpid():
            with contextlib.suppress(OSError):
                path = process / field
                yield str(path.readlink()) if path.is_symlink() else path.read_text(errors="replace")


def assert_nothing_is_left(folder, networks=(), cgroups=()):
    assert not [words for words in processes("cmdline") if f"{folder}\0" in words or f"{folder}/" in words]
    assert not [mounts for mounts in processes("mountinfo") if f"{folder} " in mounts or f"{folder}/" in mounts]
    assert not set(networks) & set(processes("ns/net"))
    assert not [path for path in cgroups if path.exists()]


def cgroup(cluster, node):
    """Return where the machine shows the node's own freezer hierarchy, or a path that never is."""
    for line in cluster.output("cat", "/proc/self/mountinfo", node=node).splitlines():
        _, _, _, root, target, *_ = line.split()
        if root.startswith("/devcluster-") and target.endswith("/freezer"):
            return Path(target + root)
    return Path("/none")
