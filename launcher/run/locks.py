"""Locks on a run between processes and hosts: files of its folder under flock."""

import errno
import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from deepemotion.errors import UserError
from deepemotion.files import write_text


def acquire(folder: Path, name: str, *, shared: bool = False, wait: bool = True) -> IO[str]:
    """Return the file `name` of the folder, which holds the lock until it is closed.

    Raises UserError where the folder cannot be written, and without `wait` BlockingIOError where another process holds
    the lock.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / name).open("a+", encoding="utf-8")
    except OSError as error:
        raise UserError(f"{folder}: cannot write: {error.strerror}; choose another --runs folder") from error
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
    except OSError as error:
        # Lustre without its flock option has no locks; there, SLURM's own bookkeeping must suffice.
        if error.errno not in (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP):
            file.close()
            raise
    return file


@contextmanager
def only_one(folder: Path, name: str, every_s: float) -> Iterator[bool]:
    """Yield True to one process at a time, and at most once in `every_s` seconds over all of them.

    The file `name` holds the time of the last turn, in seconds since the epoch, and `NAME.lock` the lock. Where the
    time cannot be read, or is to come since a clock was set back, the next turn is due.
    """
    try:
        lock = acquire(folder, f"{name}.lock", wait=False)
    except BlockingIOError:
        yield False
        return
    last_turn = folder / name
    with lock:
        due = not 0 <= time.time() - _time(last_turn) <= every_s
        yield due
        if due:
            # If the time is not written, on a full disk, another process merely repeats the work.
            with suppress(UserError):
                write_text(last_turn, f"{time.time()}\n")


def _time(path: Path) -> float:
    """Return the time in a file, nan where there is none."""
    try:
        return float(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return float("nan")
