"""Watches the processes without which a session cannot continue: the driver, gcs_server, raylet and its agents."""

from collections import Counter
from contextlib import suppress

import psutil

# A process that is stopped (SIGSTOP) at so many looks in a row is as good as dead. Looks are counted instead of seconds
# because a job that SLURM suspends is stopped as a whole.
_STOPPED_LOOKS = 10
_AGENTS = {"dashboard/agent.py": "DashboardAgent", "runtime_env/agent/main.py": "RuntimeEnvAgent"}


class Lifelines:
    """The processes that matter among the descendants of the process `keeper`."""

    def __init__(self, keeper: int) -> None:
        self._keeper = keeper
        self._known: dict[int, tuple[psutil.Process, str]] = {}
        self._stopped: Counter[int] = Counter()

    def add(self, pid: int, name: str) -> None:
        """Watch a process under this name."""
        with suppress(psutil.NoSuchProcess):
            self._known[pid] = psutil.Process(pid), name

    def find(self) -> None:
        """Find those of Ray that have started since the last call. This reads the whole process table."""
        with suppress(psutil.NoSuchProcess):
            for process in psutil.Process(self._keeper).children(recursive=True):
                with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                    if process.pid not in self._known and (name := _part_of_ray(process)) is not None:
                        self._known[process.pid] = process, name

    def dead(self) -> str | None:
        """Return in words that one has ended or is stopped at every look, None if all are alive."""
        for pid, (process, name) in self._known.items():
            status = _status(process)
            if status in (psutil.STATUS_DEAD, psutil.STATUS_ZOMBIE):
                return f"{name} died"
            self._stopped[pid] = self._stopped[pid] + 1 if status == psutil.STATUS_STOPPED else 0
            if self._stopped[pid] >= _STOPPED_LOOKS:
                return f"{name} was stopped"
        return None


def _part_of_ray(process: psutil.Process) -> str | None:
    name: str = process.name()
    if name in ("gcs_server", "raylet"):
        return name
    words = process.cmdline()[:4]
    # An agent changes its command line once it has started.
    if words and words[0].startswith("ray::") and words[0].endswith("Agent"):
        return str(words[0].removeprefix("ray::"))
    return next((agent for word in words for script, agent in _AGENTS.items() if word.endswith(script)), None)


def _status(process: psutil.Process) -> str:
    try:
        return str(process.status()) if process.is_running() else str(psutil.STATUS_DEAD)
    except psutil.NoSuchProcess:
        return str(psutil.STATUS_DEAD)
