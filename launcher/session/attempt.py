"""One attempt of a session to train its trials: a Ray and a driver, and the watch over them until they end."""

import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from deepemotion import interrupts
from deepemotion.errors import UserError
from launcher.planning.plan import PlannedTrial
from launcher.session.driver import Driver, Event, Send
from launcher.session.lifelines import Lifelines
from launcher.session.resources import Machine, share_of

if TYPE_CHECKING:
    from launcher.session.session import Joined, RunningSession

# Seconds between two looks at Ray's processes.
_LOOK_EVERY_S = 2.0
# A driver whose Ray starts or trains sends an event at least this often (seconds); importing Ray on a busy machine and
# writing Tune's state to a slow disk take the longest.
_SILENT_S = 240.0
# Seconds between two events that only say that the driver is at work.
_TICK_S = 1.0
# How long a driver that lost a process of Ray, or has finished, may take to end by itself (seconds).
_GRACE_S = 2.0


@dataclass(frozen=True)
class Attempt:
    """What one driver needs. `number` counts from 1; the others are as in `private_ray` and `RunningSession`."""

    session: "RunningSession"
    trials: list[PlannedTrial]
    number: int
    machine: Machine
    address: str | None
    folder: Path

    @property
    def output(self) -> Path:
        """The file that takes all that Ray and the driver print."""
        return self.folder / "driver.log"


class RayLostError(Exception):
    """Ray or the driver has died, or does not answer; the message says what."""


def train_once(attempt: Attempt, joined: "Joined | None") -> None:
    """Train the trials with a driver and a Ray of their own, of which nothing is left at the end.

    Raises RayLostError if the driver or its Ray dies, UserError as `run_session` does, and KeyboardInterrupt.
    """
    with ExitStack() as stack:
        driver = Driver(attempt.folder, attempt.output, lambda send: _drive(attempt, send))

        def join(head: str) -> None:
            if joined is not None:
                stack.enter_context(joined(head, attempt.folder))

        try:
            watch = _Watch(attempt.session, driver, join)
            while not watch.done:
                watch.step()
        finally:
            # Before the other nodes leave: Tune would take that for the loss of their trials.
            driver.end()


class _Watch:
    """Follows the events of a driver, and the processes of its Ray."""

    def __init__(self, session: "RunningSession", driver: Driver, on_started: Callable[[str], object]) -> None:
        self._watcher = session.watcher
        self._driver = driver
        self._on_started = on_started
        self._lifelines = Lifelines(driver.pid)
        self._started = False
        self._heard = self._looked = time.monotonic()
        self.done = False

    def step(self) -> None:
        """Handle the events of the next second; raise RayLostError if there can be no more."""
        # The interruption may have come where Python or a library swallows exceptions.
        interrupts.check()
        for event in self._driver.events(_TICK_S):
            self._heard = time.monotonic()
            self._handle(event)
        self._watcher.tick()
        if self.done:
            return
        now = time.monotonic()
        if self._driver.ended:
            raise RayLostError("the driver process died" if self._started else "it could not be started")
        if now - self._heard > _SILENT_S:
            raise RayLostError(f"no answer for {_SILENT_S:.0f} s")
        if now - self._looked > _LOOK_EVERY_S:
            self._looked = now
            self._look()

    def _look(self) -> None:
        # All that matter are there once Ray has started.
        if not self._started:
            self._lifelines.find()
        dead = self._lifelines.dead()
        if dead is None:
            return
        # A driver that has just finished ends its Ray; its last events say so.
        deadline = time.monotonic() + _GRACE_S
        while not self.done and not self._driver.ended and time.monotonic() < deadline:
            for event in self._driver.events(_GRACE_S):
                self._handle(event)
        if not self.done:
            raise RayLostError(dead)

    def _handle(self, event: Event) -> None:
        kind, *words = event
        if kind == "driver":
            self._lifelines.add(words[0], "the driver process")
        elif kind == "started":
            self._lifelines.find()
            self._started = True
            self._on_started(*words)
        elif kind == "trial":
            method, *arguments = words
            getattr(self._watcher, method)(*arguments)
        elif kind == "bad input":
            raise UserError(*words)
        elif kind == "error":
            raise RayLostError(*words)
        elif kind == "done":
            self.done = True


class _Relayed:
    """The driver's side of the session's progress: each call becomes an event."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._ticked = 0.0

    def started(self, trial: str) -> None:
        self._send("trial", "started", trial)

    def epoch(self, trial: str, epoch: int, accuracy: float, seconds: float) -> None:
        self._send("trial", "epoch", trial, epoch, accuracy, seconds)

    def finished(self, trial: str) -> None:
        self._send("trial", "finished", trial)

    def failed(self, trial: str) -> None:
        self._send("trial", "failed", trial)

    def tick(self) -> None:
        if time.monotonic() - self._ticked > _TICK_S:
            self._ticked = time.monotonic()
            self._send("at work")


def _drive(attempt: Attempt, send: Send) -> None:
    """Connect to Ray and run Tune, in the driver's process."""
    send("driver", os.getpid())
    try:
        from launcher.session.private_ray import connect

        send("started", connect(attempt.folder, attempt.machine, attempt.address))
        from launcher.session.tuner import run_session

        session, trials = attempt.session, attempt.trials
        resources = session.run.read_experiment().resources
        shares = {trial.name: share_of(trial, resources, attempt.machine) for trial in trials}
        run_session(session.run, trials, shares, session.record.session, _Relayed(send), attempt.number)
        send("done")
    except UserError as error:
        send("bad input", str(error))
    except Exception as error:
        send("error", " ".join(f"{type(error).__name__}: {error}".split())[:300])
        raise
