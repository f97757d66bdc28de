"""The process that keeps a driver: it ends all of the driver's processes as soon as the driver or the launch has ended.

    the launch             session record, live line, signals, tables
      '- the keeper        ends everything below it, even if the launch was killed with SIGKILL
           '- the driver   is connected to Ray and runs Tune; its output goes to a file
                '- Ray     gcs_server, raylet and its agents, workers

All but Ray's own are forked, so that the work can be any function. The keeper adopts processes whose parent died
(PR_SET_CHILD_SUBREAPER), and so finds all of them.
"""

import ctypes
import os
import select
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Never

import psutil

# What the launch writes into the pipe to the keeper when it wants the driver to end; a closed pipe means that it died.
END = b"e"
_SIGNALS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR2}
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_POLL_S = 0.2
# How long killed processes may take to disappear (seconds).
_KILLED_S = 10.0


def fork(target: Callable[[], None]) -> int:
    """Run `target` in a new process, which ignores the signals of this one; return its id."""
    sys.stdout.flush()
    sys.stderr.flush()
    # Until the child has its own handlers, a signal would run those of the parent.
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        pid = os.fork()
        if pid == 0:
            _run_as_child(target)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    return pid


def keep(launch: int, folder: Path, output: Path, work: Callable[[], None]) -> None:
    """Run the driver until it ends, or the launch does at the other end of the pipe `launch`; end all that is left.

    Standard output and error of the driver and of Ray are appended to `output`. Removes `folder` if the launch died.
    """
    # Ctrl-C on the terminal is for the launch alone.
    os.setsid()
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    _redirect(output)
    keeper = os.getpid()

    def drive() -> None:
        os.close(launch)
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        # Ray's workers end by it, and so does the driver when SLURM sends it to every process of a job.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if os.getppid() == keeper:
            work()

    driver = fork(drive)
    word: bytes | None = None
    while word is None and driver not in _reaped():
        if select.select([launch], [], [], _POLL_S)[0]:
            word = os.read(launch, 1)
    _end_descendants()
    if word == b"":
        shutil.rmtree(folder, ignore_errors=True)


def _run_as_child(target: Callable[[], None]) -> Never:
    code = 1
    try:
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        target()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _redirect(output: Path) -> None:
    log = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for descriptor, target in ((1, log), (2, log), (0, os.open(os.devnull, os.O_RDONLY))):
        os.dup2(target, descriptor)


def _reaped() -> set[int]:
    """Return the children that have ended since the last call."""
    ended = set()
    with suppress(ChildProcessError):
        while pid := os.waitpid(-1, os.WNOHANG)[0]:
            ended.add(pid)
    return ended


def _end_descendants() -> None:
    deadline = time.monotonic() + _KILLED_S
    # Those that were started in the meantime are killed as well.
    while (processes := psutil.Process().children(recursive=True)) and time.monotonic() < deadline:
        for process in processes:
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                process.kill()
        time.sleep(0.02)
        _reaped()


def _prctl(option: int, value: int) -> None:
    ctypes.CDLL(None).prctl(option, value)
