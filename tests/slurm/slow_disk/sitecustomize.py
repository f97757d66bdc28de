"""A shared disk as slow as a test says: Python runs this at its start where the folder is on its PYTHONPATH.

A trial then waits for its disk rather than computes: it lives until it is disturbed, however fast or busy the machine,
and leaves the cores to others. Each of its syncs takes the seconds in the file that SYNC_SECONDS names, which may
change. The session that runs it writes as fast as ever: SLURM gives it little time to stop.
"""

import os
import time
from pathlib import Path

_SECONDS = Path(os.environ["SYNC_SECONDS"])
_fsync = os.fsync


def _slow_fsync(descriptor: int) -> None:
    began = time.monotonic()
    of_a_trial = "trials" in Path(f"/proc/self/fd/{descriptor}").readlink().parts
    while of_a_trial and time.monotonic() - began < float(_SECONDS.read_text()):
        time.sleep(0.02)
    _fsync(descriptor)


os.fsync = _slow_fsync
