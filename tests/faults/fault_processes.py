"""Launches and packings as processes that a fault can hit: by signal, by role, at a chosen moment."""

import contextlib
import ctypes
import multiprocessing.forkserver
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
from fault_commands import Done

# Without any sign of life for this long, a launch hangs: on a busy machine, Ray alone needs minutes to start.
SILENCE_S = 240.0
_PR_SET_CHILD_SUBREAPER = 36


def _line(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error):
        return " ".join(process.cmdline()) or process.name()
    return ""


# What a fault can hit, by the command line of the process.
ROLES: dict[str, Callable[[str], bool]] = {
    "worker": lambda line: line.startswith("ray::"),
    "raylet": lambda line: "raylet/raylet" in line.split(" ")[0],
    "gcs": lambda line: "gcs_server" in line.split(" ")[0],
    "agent": lambda line: "agent" in line and "python" in line.split(" ")[0],
}


class Victim:
    """A program that runs, with all processes below it, those too that its death leaves without a parent.

    A context manager: at its end, nothing of it is left.
    """

    def __init__(self, program: str, words: list[str], watched: Path) -> None:
        self._watched = watched
        self._words = (program, *words)

    def __enter__(self) -> "Victim":
        # Orphans come to this process instead of to init, so that they are found and none stays.
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        multiprocessing.forkserver.ensure_running()
        self._before = {process.pid for process in psutil.Process().children(recursive=True)}
        self._folder = Path(tempfile.mkdtemp(prefix="f-", dir="/tmp"))
        self._err = (self._folder / "err").open("w+")
        script = str(Path(sys.executable).with_name(self._words[0]))
        self.process = subprocess.Popen(
            [script, *self._words[1:]],
            stdout=subprocess.DEVNULL,
            stderr=self._err,
            start_new_session=True,
            env={**os.environ, "TMPDIR": str(self._folder)},
        )
        return self

    def __exit__(self, *_: object) -> None:
        try:
            for _ in range(20):
                family = list(self.family())
                for process in family:
                    with contextlib.suppress(psutil.Error):
                        process.send_signal(signal.SIGKILL)
                if not family:
                    break
                self._reap(family)
            self.process.wait(30)
        finally:
            self._err.close()
            shutil.rmtree(self._folder, ignore_errors=True)

    def family(self) -> Iterator[psutil.Process]:
        """Give the processes that the program started, itself included, as long as they are alive."""
        for process in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if process.pid not in self._before and process.status() != psutil.STATUS_ZOMBIE:
                    yield process

    def of_role(self, role: str) -> list[psutil.Process]:
        """Return the processes of a role: `driver`, or one of ROLES."""
        if role == "driver":
            return [psutil.Process(self.process.pid)] if self.process.poll() is None else []
        return [process for process in self.family() if ROLES[role](_line(process))]

    def send(self, role: str, number: signal.Signals, chosen: float) -> bool:
        """Send a signal to one process of a role (`chosen` in [0, 1) says which), or to the `group`."""
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            if role == "group":
                os.killpg(self.process.pid, number)
                return True
            found = self.of_role(role)
            if found:
                found[int(chosen * len(found))].send_signal(number)
                return True
        return False

    def wait(self) -> Done:
        """Wait for the end, or until nothing has moved for too long."""
        moved, seen = time.monotonic(), -1
        while self.process.poll() is None and time.monotonic() - moved < SILENCE_S:
            newest = _newest(self._watched)
            if newest != seen:
                moved, seen = time.monotonic(), newest
            time.sleep(0.1)
        self._err.seek(0)
        said = self._err.read()
        if self.process.poll() is None:
            said += f"\n(its processes: {self._states()})"
        return Done(self._words, self.process.poll(), "", said)

    def _states(self) -> str:
        """Return what each process does that is still alive, for whoever looks into a hang."""
        states = []
        for process in self.family():
            with contextlib.suppress(psutil.Error, OSError):
                waits_in = Path(f"/proc/{process.pid}/wchan").read_text()
                states.append(f"{_line(process).split('/')[-1][:30]} {process.status()} in {waits_in}")
        return ", ".join(states)

    def wait_for_family(self, patience_s: float) -> None:
        """Wait until the helpers of a program that has ended are gone too."""
        end = time.monotonic() + patience_s
        while any(self.family()) and time.monotonic() < end:
            time.sleep(0.2)

    def _reap(self, family: list[psutil.Process]) -> None:
        time.sleep(0.1)
        for process in family:
            if process.pid != self.process.pid:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(process.pid, os.WNOHANG)


def _newest(folder: Path) -> int:
    """Return the time of the last change below a folder, records apart that a hanging session rewrites all the time."""
    newest = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            if path.parent.name != "sessions" and not path.name.startswith(".aggregates"):
                newest = max(newest, path.stat().st_mtime_ns)
    return newest
