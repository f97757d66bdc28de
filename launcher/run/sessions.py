"""Who works on a run: a record for each session, from which others see what is running.

A session is one Ray Tune run over some of a run's trials, on this machine or in a SLURM job. Its record is written
anew every few seconds, so a record that is old without having ended belongs to a session that was killed.
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
from launcher.run import file_clock

# A record is written again after this long; readers allow for slow shared file systems.
BEAT_EVERY_S = 15.0
_DEAD_AFTER_S = 120.0


@dataclass
class Session:
    """One session's record. `job` is SLURM's id (`123`, or `123_4` of an array), None outside of SLURM.

    `group` is what a failed trial is not tried again in: one launch here, one submitted job or array in SLURM, which
    may take several sessions to get through. `ended` says how the session ended, None while it has not.
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
        """Say whether the session was at work a moment ago."""
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
            # Array tasks start at the same time: whoever makes the file first has the name.
            with suppress(FileExistsError):
                path.touch(exist_ok=False)
                break
            number += 1
        self._path = path
        self.session = Session(path.stem, group or path.stem, job, list(trials))
        self.beat([], force=True)

    def beat(self, running: Iterable[str], force: bool = False) -> None:
        """Tell what is running now; written when it changed or when the last word is old, until the session ends."""
        if self.session.ended is not None:
            return
        now = sorted(running)
        if force or now != self.session.running or time.time() - self.session.beat > BEAT_EVERY_S:
            self.session.running, self.session.beat = now, time.time()
            self._write()

    def end(self, how: str) -> None:
        """Tell that the session has ended, and how: `done`, `interrupted`, `time limit` ..."""
        self.session.running, self.session.ended = [], how
        self._write()

    def _write(self) -> None:
        write_text(self._path, json.dumps(asdict(self.session)) + "\n")


def read(folder: Path) -> list[Session]:
    """Return the sessions of a run, the oldest first."""
    sessions = []
    paths = list(folder.glob("session-*.json"))
    now = file_clock.now(folder) if paths else 0.0
    for path in paths:
        # A name that was taken this moment has no content yet.
        with suppress(ValueError, OSError):
            content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            session = Session(**content)
            # The writer's clock may be minutes off: what counts is when the file server wrote the record.
            session.beat = time.time() - max(0.0, now - path.stat().st_mtime)
            sessions.append(session)
    # By number, which is the order they were made in, whatever the clocks of their hosts.
    return sorted(sessions, key=lambda session: int(session.name.rpartition("-")[2]))


def newest_of_each_job(sessions: Iterable[Session]) -> dict[str | None, Session]:
    """Return the last session of each SLURM job; under None that of launches outside of SLURM."""
    return {session.job: session for session in sessions}


def at_work(history: Iterable[Session]) -> dict[str, Session]:
    """Return the trials that are being trained now, each with the session that does."""
    newest = newest_of_each_job(history).values()
    return {trial: session for session in newest if session.alive for trial in session.running}
