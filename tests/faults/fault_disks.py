"""Small and read-only disks, made by mounting; only root can."""

import contextlib
import functools
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path


def _mount(*words: object) -> bool:
    return subprocess.run(["mount", *map(str, words)], capture_output=True, check=False).returncode == 0


def _unmount(path: Path) -> None:
    # Lazily, since a process that is being ended may still hold a file there.
    subprocess.run(["umount", "-l", str(path)], capture_output=True, check=False)


@functools.cache
def can_mount() -> bool:
    """Say whether this machine and user can make such disks."""
    with tempfile.TemporaryDirectory() as folder:
        if not _mount("-t", "tmpfs", "-o", "size=64k", "tmpfs", folder):
            return False
        _unmount(Path(folder))
    return True


@contextlib.contextmanager
def small_disk(path: Path, kilobytes: int) -> Iterator[None]:
    """Make `path` a disk of that size; at the end it stays mounted, but is large."""
    path.mkdir(parents=True, exist_ok=True)
    if not _mount("-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", path):
        raise OSError(f"{path}: cannot mount")
    yield
    _mount("-o", "remount,size=256m", path)


@contextlib.contextmanager
def read_only(path: Path) -> Iterator[None]:
    """Let nothing below `path` be written meanwhile."""
    if not (_mount("--bind", path, path) and _mount("-o", "remount,ro,bind", path)):
        _unmount(path)
        raise OSError(f"{path}: cannot mount")
    try:
        yield
    finally:
        _unmount(path)


def release(path: Path) -> None:
    """Unmount what `small_disk` left."""
    _unmount(path)
