"""A shared disk as slow as a test says: Python runs this at its start where the folder is on its PYTHONPATH.

A trial then waits for its disk rather than computes: it lives until it is disturbed, however fast or busy the machine,
and leaves the cores to others. Each sync takes the seconds in the file that SYNC_SECONDS names, which may change.
"""

import os
import time
from pathlib import Path

_SECONDS = Path(os.environ["SYNC_SECONDS"])
_fsync = os.fsync


def _slow_fsync(descriptor: int) -> None:
    began = time.monotonic()
    while time.monotonic() - began < float(_SECONDS.read_text()):
        time.sleep(0.02)
    _fsync(descriptor)


os.fsync = _slow_fsync
