"""Subject files whose writing has not finished: whose they are, and what stopped it."""

import errno
import fcntl
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO


def cause(error: Exception) -> str:
    """Return why a file could not be written, and what helps where the disk is full."""
    # HDF5 tells the system's reason inside a long text only.
    told = re.search(r"errno = (\d+)", str(error))
    number = int(told[1]) if told else getattr(error, "errno", None)
    if number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return f"{os.strerror(number)}; free some space, or choose another --out"
    return os.strerror(number) if number else str(error).splitlines()[0]


def remove_abandoned(path: Path) -> None:
    """Remove what killed packings of this file left: temporaries that no living process holds."""
    for partial in path.parent.glob(f".partial-*-{path.name}"):
        # Gone meanwhile, or a colleague's: not ours to remove.
        with suppress(OSError), partial.open("rb") as file:
            if lock(file):
                partial.unlink()


def lock(file: BinaryIO) -> bool:
    """Lock a file if nobody holds it. Some shared file systems have no locks: then nothing counts as abandoned."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
