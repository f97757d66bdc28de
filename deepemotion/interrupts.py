"""Ends a program with exit code 130 on Ctrl-C, SIGTERM and SIGHUP, whatever it is doing, its first imports included.

Programs import this module before anything else. Until they call `listen`, a signal ends them at once.
"""

import os
import signal
import sys
from pathlib import Path

EXIT_INTERRUPTED = 130
# How a person or another program stops this one: Ctrl-C, a plain kill, a terminal that closes.
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PROGRAMS = ("deepemotion", "deepemotion-launch", "cli.py")
_interrupted = False


def listen() -> None:
    """Raise KeyboardInterrupt on these signals from now on, but for those that the shell made us ignore (nohup)."""
    for number in _SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _interrupt)


def check() -> None:
    """Raise KeyboardInterrupt if there was a signal, even if the first exception was swallowed.

    Imports and destructors of libraries can do that.
    """
    if _interrupted:
        raise KeyboardInterrupt


def _interrupt(number: int, frame: object) -> None:
    global _interrupted
    _interrupted = True
    raise KeyboardInterrupt


def _exit(number: int, frame: object) -> None:
    os._exit(EXIT_INTERRUPTED)


# Not where something else, such as a test, imports a program's modules.
if Path(sys.argv[0]).name in _PROGRAMS:
    for _number in _SIGNALS:
        if signal.getsignal(_number) != signal.SIG_IGN:
            signal.signal(_number, _exit)
