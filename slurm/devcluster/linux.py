"""The system calls around namespaces that Python 3.11's standard library lacks."""

import ctypes
import os
import signal
from pathlib import Path

# From linux/sched.h, keyed by the names in /proc/PID/ns.
NAMESPACES = {"net": 0x40000000, "uts": 0x04000000, "ipc": 0x08000000, "pid": 0x20000000, "mnt": 0x00020000}

# From linux/mount.h.
_BIND, _RECURSIVE, _PRIVATE = 0x1000, 0x4000, 0x40000
_PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)


def _call(name: str, *arguments: object, about: str) -> None:
    if getattr(_libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name} {about}: {os.strerror(number)}")


def unshare(*kinds: str) -> None:
    """Move this process to new namespaces of these kinds; of "pid", only its future children."""
    flags = sum(NAMESPACES[kind] for kind in kinds)
    _call("unshare", ctypes.c_int(flags), about=" ".join(kinds))


def enter(pid: int, *kinds: str) -> None:
    """Move this process to the namespaces of process `pid`; of "pid", only its future children."""
    # All are opened first: once inside another mount namespace, /proc may no longer know `pid`.
    opened = [(kind, os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY)) for kind in kinds]
    for kind, descriptor in opened:
        _call("setns", ctypes.c_int(descriptor), ctypes.c_int(NAMESPACES[kind]), about=f"{kind} of {pid}")
        os.close(descriptor)


def _mount(source: str, target: str, kind: str, flags: int, options: str) -> None:
    words = [word.encode() for word in (source, target, kind)]
    _call("mount", *words, ctypes.c_ulong(flags), options.encode(), about=f"{source} on {target}")


def hide_mounts() -> None:
    """Keep all that this process's mount namespace mounts from now on out of every other one."""
    _mount("none", "/", "", _RECURSIVE | _PRIVATE, "")


def mount(kind: str, target: str, options: str = "") -> None:
    """Mount a new file system of a kind ("tmpfs", "proc") on a folder."""
    _mount(kind, target, kind, 0, options)


def bind(source: str | Path, target: str | Path) -> None:
    """Show a file or folder, with what is mounted below it, at another path too."""
    _mount(str(source), str(target), "", _BIND | _RECURSIVE, "")


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent ends."""
    _call("prctl", _PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0, about="PR_SET_PDEATHSIG")
