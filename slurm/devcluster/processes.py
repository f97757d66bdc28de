"""Processes that are named by more than a number: a number that was reused never names another's process."""

import contextlib
import os
import select
import signal
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from errors import UserError


def replace_text(path: Path, text: str) -> None:
    """Write a file that is never there in part, however this process ends."""
    new = path.with_name(f"{path.name}.{os.getpid()}")
    new.write_text(text, encoding="utf-8")
    new.replace(path)


def _identity(pid: int) -> str | None:
    """Return what only this process has: the boot and its start time in clock ticks. None where it has ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The name, in parentheses, may hold spaces and parentheses; the state is field 3, the start time field 22.
    fields = stat.rpartition(")")[2].split()
    if fields[0] in "ZX":
        return None
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip() + " " + fields[19]


@dataclass(frozen=True)
class Process:
    """A process, by its id and by what tells it from a later one with the same id."""

    pid: int
    identity: str

    @classmethod
    def of(cls, pid: int) -> "Process | None":
        """Return the process that has this id now, or None."""
        identity = _identity(pid)
        return None if identity is None else cls(pid, identity)

    @classmethod
    def read(cls, record: Path) -> "Process | None":
        """Return the process that `write` recorded, or None where there is no whole record."""
        try:
            pid, _, identity = record.read_text(encoding="utf-8").strip().partition(" ")
            return cls(int(pid), identity)
        except (OSError, ValueError):
            return None

    def write(self, record: Path) -> None:
        """Record this process in a file."""
        replace_text(record, f"{self.pid} {self.identity}\n")

    def alive(self) -> bool:
        """Return whether it runs: an ended one whose parent has not looked yet does not."""
        return _identity(self.pid) == self.identity


def kill(processes: Iterable[Process], within_s: float = 30) -> None:
    """Kill these processes, and return when none is left. Those that ended long ago are none of its business."""
    descriptors = []
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            descriptor = os.pidfd_open(process.pid)
            descriptors.append((process, descriptor))
            # Asked only now: the descriptor keeps naming this process even if the number is reused meanwhile.
            if process.alive():
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    deadline = time.monotonic() + within_s
    for process, descriptor in descriptors:
        waiting = select.poll()
        waiting.register(descriptor, select.POLLIN)
        left_ms = max(0, 1000 * (deadline - time.monotonic()))
        if process.alive() and not waiting.poll(left_ms):
            raise UserError(f"process {process.pid} does not end though it was killed")
        os.close(descriptor)


def network(pid: int | str) -> str | None:
    """Return the name of a process's network namespace, unique while anything uses it; None where it has ended."""
    try:
        return str(Path(f"/proc/{pid}/ns/net").readlink())
    except OSError:
        return None


def kill_networks(processes: Iterable[Process], networks: Collection[str]) -> None:
    """Kill all that runs in those of these network namespaces that one of these processes is in.

    A namespace that none of them is in may have left its name to another's. This process's own is left alone.
    """
    descriptors = []
    for process in processes:
        with contextlib.suppress(OSError):
            # Held open, so that the namespace keeps its name while its processes are killed.
            descriptors.append(os.open(f"/proc/{process.pid}/ns/net", os.O_RDONLY))
    held = {str(Path(f"/proc/self/fd/{descriptor}").readlink()) for descriptor in descriptors}
    meant = (held & set(networks)) - {network("self")}
    # Again until none is found: one may have started another meanwhile.
    while found := _inside(meant):
        kill(found)
    for descriptor in descriptors:
        os.close(descriptor)


def _inside(networks: Collection[str | None]) -> list[Process]:
    pids = (int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal())
    found = [Process.of(pid) for pid in pids if network(pid) in networks]
    return [process for process in found if process]
