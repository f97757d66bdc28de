"""A slow shared disk: Python runs this at its start where the folder is on its PYTHONPATH.

A trial then waits for its disk rather than computes: it lives long enough to be disturbed, however fast the machine,
and leaves the machine's cores to others.
"""

import os
import time

_SYNC_S = 0.05
_fsync = os.fsync


def _slow_fsync(descriptor: int) -> None:
    time.sleep(_SYNC_S)
    _fsync(descriptor)


os.fsync = _slow_fsync
