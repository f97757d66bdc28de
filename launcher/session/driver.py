"""Runs work that uses Ray in a process of its own: whatever Ray does, the launch itself can end or start it again."""

import json
import os
import select
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from launcher.session import keeper

Event = list[Any]
Send = Callable[..., None]

# How long the keeper may take to end all processes once it is asked to (seconds).
_END_S = 20.0


class Driver:
    """A driver process that runs `work`. The function that `work` is called with sends an event to this process.

    Its output goes to `output`, a file in `folder`; the folder is removed if this process is killed.
    """

    def __init__(self, folder: Path, output: Path, work: Callable[[Send], None]) -> None:
        self._events, theirs = os.pipe()
        their_end, self._keeper = os.pipe()
        self._rest = b""
        self._status: int | None = None
        self.ended = False

        def keep() -> None:
            os.close(self._events)
            os.close(self._keeper)
            keeper.keep(their_end, folder, output, lambda: work(_sender(theirs)))

        self.pid = keeper.fork(keep)
        os.close(theirs)
        os.close(their_end)

    def events(self, timeout_s: float) -> Iterator[Event]:
        """Yield the events that have come, after waiting for one at most so long; set `ended` if there will be none."""
        if not select.select([self._events], [], [], timeout_s)[0]:
            return
        received = os.read(self._events, 2**20)
        self.ended = not received
        *lines, self._rest = (self._rest + received).split(b"\n")
        for line in lines:
            yield json.loads(line)

    def end(self, grace_s: float = 0.0) -> None:
        """End the driver and all processes below it, after `grace_s` seconds in which they may end by themselves."""
        self._wait(grace_s)
        with suppress(OSError):
            os.write(self._keeper, keeper.END)
        self._wait(_END_S)
        if self._status is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self._keeper)
        os.close(self._events)

    def _wait(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while self._status is None and time.monotonic() < deadline:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._status = status
            else:
                time.sleep(0.02)


def _sender(descriptor: int) -> Send:
    def send(*event: Any) -> None:
        # Where the launch is gone, the keeper is about to end this process.
        with suppress(BrokenPipeError):
            os.write(descriptor, json.dumps(event).encode() + b"\n")

    return send
