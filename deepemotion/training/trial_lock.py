"""A lock on a trial's directory: whoever trains the trial holds it, so that two attempts never write at the same time.

Attempts overlap where SLURM starts a job twice, where a session was taken for dead, and where trainings outlive the
process that started them.
"""

import errno
import fcntl
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from deepemotion.errors import UserError

_NAME = ".lock"
_LOOK_EVERY_S = 1.0
# The holder gives a sign of life this often; a file system may keep the lock of a node that died until it is back.
_SIGN_EVERY_S = 30.0
_DEAD_AFTER_S = 900.0
_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)


@contextmanager
def held(directory: Path, log: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock of a trial's directory, which is made; wait while another attempt holds it, and log that once.

    The lock ends with its process, however that ends. A holder without a sign of life for 15 minutes is passed over.
    File systems without locks give none. Raises UserError where the directory cannot be written.
    """
    descriptor = _acquire(directory, log)
    ended = threading.Event()
    signs = threading.Thread(target=_give_signs, args=(descriptor, ended), daemon=True)
    signs.start()
    try:
        yield
    finally:
        ended.set()
        signs.join()
        os.close(descriptor)


def _acquire(directory: Path, log: Callable[[str], None]) -> int:
    path = directory / _NAME
    watch = _Watch()
    while True:
        try:
            directory.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise UserError(f"{path}: cannot write: {error.strerror}") from error
        locked = _try_lock(descriptor)
        if locked and not _is_the_file(descriptor, path):
            # Somebody deleted the file meanwhile: whoever comes next would lock another one.
            os.close(descriptor)
            continue
        if not locked and not watch.holder_is_dead(descriptor):
            if watch.first_look:
                log(f"waiting: another attempt ({_holder(descriptor)}) is training this trial")
                watch.first_look = False
            os.close(descriptor)
            time.sleep(_LOOK_EVERY_S)
            continue
        if not locked:
            log(f"no longer waiting: the other attempt ({_holder(descriptor)}) gives no sign of life")
        with suppress(OSError):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"pid {os.getpid()} on {socket.gethostname()}".encode(), 0)
        return descriptor


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    return True


def _is_the_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _holder(descriptor: int) -> str:
    return os.pread(descriptor, 200, 0).decode(errors="replace") or "of an unknown process"


def _give_signs(descriptor: int, ended: threading.Event) -> None:
    while not ended.wait(_SIGN_EVERY_S):
        with suppress(OSError):
            os.utime(descriptor)


class _Watch:
    """How long the holder's sign of life has been the same, by this process's own clock alone."""

    def __init__(self) -> None:
        self.first_look = True
        self._sign: int | None = None
        self._since = time.monotonic()

    def holder_is_dead(self, descriptor: int) -> bool:
        sign = os.fstat(descriptor).st_mtime_ns
        if sign != self._sign:
            self._sign, self._since = sign, time.monotonic()
        return time.monotonic() - self._since > _DEAD_AFTER_S
