"""Unfinished subject files: who is writing them, and why writing failed."""

import errno
import fcntl
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO


def cause(error: Exception) -> str:
    """Return why a file could not be written, and what to do if the disk is full."""
    # HDF5 gives the system's reason only inside a long text.
    system_error = re.search(r"errno = (\d+)", str(error))
    number = int(system_error[1]) if system_error else getattr(error, "errno", None)
    if number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return f"{os.strerror(number)}; free some space, or choose another --out"
    return os.strerror(number) if number else str(error).splitlines()[0]


def remove_abandoned(path: Path) -> None:
    """Remove what killed packings of this file left behind: temporary files that no living process holds."""
    for partial in path.parent.glob(f".partial-*-{path.name}"):
        # It may be gone by now, or belong to a colleague.
        with suppress(OSError), partial.open("rb") as file:
            if lock(file):
                partial.unlink()


def lock(file: BinaryIO) -> bool:
    """Lock a file unless another process holds it. Without locks, as on some shared file systems, return False."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
