"""Ages of files by the clock of their own file server: the clocks of nodes may be minutes apart."""

import tempfile
import time
from pathlib import Path


def now(folder: Path) -> float:
    """Return the time of the file server that has `folder`, in seconds as `st_mtime` counts them.

    Where nothing can be written there, this machine's own clock has to do.
    """
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".partial-clock-") as file:
            # Written: the time of a file without content may be this machine's.
            file.write(b"\n")
            file.flush()
            return Path(file.name).stat().st_mtime
    except OSError:
        return time.time()


def age(path: Path) -> float:
    """Return how long ago the file was written, in seconds. Raises FileNotFoundError where there is none."""
    written = path.stat().st_mtime
    return max(0.0, now(path.parent) - written)
