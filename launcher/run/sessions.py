"""Who works on a run: one record per session, from which others see what is running.

A session is one Ray Tune run over some of a run's trials, on this machine or in a SLURM job. Its record is
rewritten every few seconds, so an old record of a session that has not ended belongs to one that was killed.
"""

import json
import os
import socket
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from deepemotion.files import write_text

# A record is rewritten after this long; readers allow for slow shared file systems.
BEAT_EVERY_S = 15.0
_DEAD_AFTER_S = 120.0


@dataclass
class Session:
    """One session's record. `job` is SLURM's id (`123`, or `123_4` of an array), None outside of SLURM.

    A failed trial is not tried again within one `group`: one launch on this machine, or one submitted job or array in
    SLURM, which may take several sessions to finish. `ended` says how the session ended, None while it has not.
    """

    name: str
    group: str
    job: str | None
    trials: list[str]
    running: list[str] = field(default_factory=list)
    host: str = field(default_factory=socket.gethostname)
    pid: int = field(default_factory=os.getpid)
    started: float = field(default_factory=time.time)
    beat: float = field(default_factory=time.time)
    ended: str | None = None

    @property
    def alive(self) -> bool:
        """Return whether the session was at work a moment ago."""
        if self.ended is not None or time.time() - self.beat > _DEAD_AFTER_S:
            return False
        return self.host != socket.gethostname() or Path(f"/proc/{self.pid}").exists()


class SessionFile:
    """The record of a session of this process."""

    def __init__(self, folder: Path, trials: Iterable[str], group: str | None, job: str | None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        number = len(list(folder.glob("session-*.json"))) + 1
        while True:
            path = folder / f"session-{number:03d}.json"
            # Array tasks start at the same time: the first to create the file gets the name.
            with suppress(FileExistsError):
                path.touch(exist_ok=False)
                break
            number += 1
        self._path = path
        self.session = Session(path.stem, group or path.stem, job, list(trials))
        self.beat([], force=True)

    def beat(self, running: Iterable[str], force: bool = False) -> None:
        """Record what is running now, if that has changed or the record is old, until the session ends."""
        if self.session.ended is not None:
            return
        now = sorted(running)
        if force or now != self.session.running or time.time() - self.session.beat > BEAT_EVERY_S:
            self.session.running, self.session.beat = now, time.time()
            self._write()

    def end(self, how: str) -> None:
        """Record that the session has ended, and how: `done`, `interrupted`, `time limit` ..."""
        self.session.running, self.session.ended = [], how
        self._write()

    def _write(self) -> None:
        write_text(self._path, json.dumps(asdict(self.session)) + "\n")


def read(folder: Path) -> list[Session]:
    """Return the sessions of a run, the oldest first."""
    sessions = []
    for path in folder.glob("session-*.json"):
        # A name that was taken this moment has no content yet.
        with suppress(ValueError, OSError):
            content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            sessions.append(Session(**content))
    return sorted(sessions, key=lambda session: session.started)


def newest_of_each_job(sessions: Iterable[Session]) -> dict[str | None, Session]:
    """Return the last session of each SLURM job; under None that of launches outside of SLURM."""
    return {session.job: session for session in sessions}


def at_work(history: Iterable[Session]) -> dict[str, Session]:
    """Return the trials that are being trained now, each with the session that does."""
    newest = newest_of_each_job(history).values()
    return {trial: session for session in newest if session.alive for trial in session.running}
