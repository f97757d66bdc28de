"""How much memory this machine has for new processes."""

from collections.abc import Iterator
from pathlib import Path

_CGROUPS, _OWN_CGROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def available_memory() -> int:
    """Return the bytes that new processes may use: the host's available memory, or less where a cgroup says so.

    A cgroup's limit applies to all cgroups below it; that of a SLURM job or of a user's slice is some levels up.
    """
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    available = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    for limit in _cgroup_limits():
        if limit.is_file() and (text := limit.read_text(encoding="ascii").strip()).isdigit():
            available = min(available, int(text))
    return available


def _cgroup_limits() -> Iterator[Path]:
    """Yield where the limits of this process's cgroups and of all above them would be, of versions 2 and 1."""
    for line in _OWN_CGROUPS.read_text(encoding="utf-8").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            top, name = _CGROUPS, "memory.max"
        elif "memory" in controllers.split(","):
            top, name = _CGROUPS / "memory", "memory.limit_in_bytes"
        else:
            continue
        own = top / path.lstrip("/")
        yield from (folder / name for folder in (own, *own.parents) if folder.is_relative_to(top))
