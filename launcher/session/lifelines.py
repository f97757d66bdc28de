"""Watches the processes of Ray without which a session cannot continue: gcs_server, raylet and the raylet's agents."""

from contextlib import suppress

import psutil

_AGENTS = {"dashboard/agent.py": "DashboardAgent", "runtime_env/agent/main.py": "RuntimeEnvAgent"}


class Lifelines:
    """The processes that matter among the descendants of `ancestor`."""

    def __init__(self, ancestor: int) -> None:
        self._ancestor = ancestor
        self._known: dict[int, tuple[psutil.Process, str]] = {}

    def find(self) -> None:
        """Find those that have started since the last call. This reads the whole process table."""
        with suppress(psutil.NoSuchProcess):
            for process in psutil.Process(self._ancestor).children(recursive=True):
                with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                    if process.pid not in self._known and (name := _name(process)) is not None:
                        self._known[process.pid] = process, name

    def dead(self) -> str | None:
        """Return the name of one that has ended, None if all are alive."""
        return next((name for process, name in self._known.values() if not _alive(process)), None)


def _name(process: psutil.Process) -> str | None:
    name: str = process.name()
    if name in ("gcs_server", "raylet"):
        return name
    words = process.cmdline()[:4]
    # An agent changes its command line once it has started.
    if words and words[0].startswith("ray::") and words[0].endswith("Agent"):
        return str(words[0].removeprefix("ray::"))
    return next((agent for word in words for script, agent in _AGENTS.items() if word.endswith(script)), None)


def _alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
