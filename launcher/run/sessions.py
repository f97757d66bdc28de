"""Who works on a run: one record per session, from which others see what is running.

A session is one Ray Tune run over some of a run's trials, on this machine or in a SLURM job. Its record is
rewritten every few seconds, so an old record of a session that has not ended belongs to one that was killed.
"""

import json
import math
import os
import socket
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

import pydantic

from deepemotion.console import warn
from deepemotion.files import write_text
from launcher.run import file_clock

# A record is rewritten after this long; readers allow for slow shared file systems.
BEAT_EVERY_S = 15.0
_DEAD_AFTER_S = 120.0

# The damaged records that a process has already named: they are read again and again.
_named: set[Path] = set()


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
        if self.ended is not None or self.silence_left_s <= 0:
            return False
        return self.host != socket.gethostname() or Path(f"/proc/{self.pid}").exists()

    @property
    def silence_left_s(self) -> float:
        """Return for how long the session counts as at work without another sign of life (seconds)."""
        return self.beat + _DEAD_AFTER_S - time.time()


def _require_finite(session: Session) -> Session:
    if not (math.isfinite(session.started) and math.isfinite(session.beat)):
        raise ValueError("a time is not finite")
    return session


_RECORD = pydantic.TypeAdapter(Annotated[Session, pydantic.AfterValidator(_require_finite)])


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

    def add(self, trials: Iterable[str]) -> None:
        """Record further trials that the session is going to train."""
        self.session.trials += trials
        self._write()

    def end(self, how: str) -> None:
        """Record that the session has ended, and how: `done`, `interrupted`, `time limit` ..."""
        self.session.running, self.session.ended = [], how
        self._write()

    def _write(self) -> None:
        write_text(self._path, json.dumps(asdict(self.session)) + "\n")


def read(folder: Path) -> list[Session]:
    """Return the sessions of a run, the oldest first; a damaged record is named once, and left out."""
    numbered = {path.stem.rpartition("-")[2]: path for path in folder.glob("session-*.json")}
    # By number, which is the order they were made in, whatever the clocks of their hosts.
    paths = [numbered[number] for number in sorted(filter(str.isdecimal, numbered), key=int)]
    now = file_clock.now(folder) if paths else 0.0
    records = (_read(path, now) for path in paths)
    return [session for session in records if session is not None]


def _read(path: Path, now: float) -> Session | None:
    """Read a record; `now` is the file server's time."""
    try:
        text, written = path.read_bytes(), path.stat().st_mtime
    except OSError:
        return None
    # A record that was created a moment ago has no content yet.
    if not text:
        return None
    try:
        session = _RECORD.validate_json(text)
    except ValueError:
        if path not in _named:
            _named.add(path)
            warn(f"warning: {path}: damaged, and ignored; delete it once nobody works on the run")
        return None
    # The writer's clock may be minutes off: what counts is when the file server wrote the record.
    session.beat = time.time() - max(0.0, now - written)
    return session


def newest_of_each_job(sessions: Iterable[Session]) -> dict[str | None, Session]:
    """Return the last session of each SLURM job; under None that of launches outside of SLURM."""
    return {session.job: session for session in sessions}


def at_work(history: Iterable[Session]) -> dict[str, Session]:
    """Return the trials that are being trained now, each with the session that does."""
    newest = newest_of_each_job(history).values()
    return {trial: session for session in newest if session.alive for trial in session.running}
