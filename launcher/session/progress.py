"""Shows the progress of a session: counts, percent, epochs per second, the time left, and the best accuracy so far."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median_low
from typing import Any

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from deepemotion.console import at_time, duration, progress_console
from launcher.planning.plan import PlannedTrial
from launcher.run import time_left
from launcher.run.time_left import Course

# Seconds between calls of `refresh` while trials run.
_REFRESH_EVERY_S = 15
# Whoever reads a log can tell after this many seconds whether the session is alive.
_LINE_EVERY_S = 60


@dataclass
class _Watched:
    """A trial of the session. `heard` is when it started or finished its last epoch, by `time.monotonic`."""

    course: Course
    heard: float = 0.0


class SessionProgress:
    """A live line on a terminal; elsewhere a line with the time for each trial that ends, and at least one a minute.

    Lines also go to the file `log`, if one is given. `before` has the epochs that trials finished in earlier sessions.
    `epochs` counts those of this one, `failures` names the trials that failed for good. Passes the running trials to
    `beat` at every event, and calls `refresh` every few seconds.
    """

    def __init__(
        self,
        trials: Sequence[PlannedTrial],
        already_done: int,
        beat: Callable[[Iterable[str]], None],
        refresh: Callable[[], None],
        log: Path | None = None,
        before: Mapping[str, int] | None = None,
    ) -> None:
        self.failures: list[str] = []
        self.epochs = 0
        known = before or {}
        self._trials = {trial.name: _Watched(Course(trial, known.get(trial.name, 0))) for trial in trials}
        # What trials take besides their epochs: before the first and after the last one (seconds).
        self._startups: list[float] = []
        self._endings: list[float] = []
        # When the last trial ended, until the next one takes its place.
        self._freed: float | None = None
        self._at_once = 1
        self._already_done = already_done
        self._done = 0
        self._best: tuple[float, str] | None = None
        self._refreshed = self._said = time.monotonic()
        self._beat = beat
        self._refresh = refresh
        self._log = log
        self._console = progress_console()
        # Redrawn by `tick`: a thread that redraws it would run on in forks of this process.
        columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        self._bar = Progress(*columns, console=self._console, transient=True, auto_refresh=False)
        self._task = self._bar.add_task("starting", total=1.0)

    def __enter__(self) -> "SessionProgress":
        if self._console.is_terminal:
            self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._console.is_terminal:
            self._bar.stop()

    def add(self, trials: Sequence[PlannedTrial]) -> None:
        """Count further trials among those to train."""
        self._trials |= {trial.name: _Watched(Course(trial)) for trial in trials}

    def started(self, trial: str) -> None:
        """Count a trial as running."""
        self._change(trial, running=True)
        # A place that waits for its next trial is part of what trials take besides their epochs.
        if self._freed is not None:
            self._trials[trial].heard, self._freed = self._freed, None

    def epoch(self, trial: str, epoch: int, accuracy: float, seconds: float) -> None:
        """Record a finished epoch, its validation accuracy, and how long training and validating took."""
        self.epochs += 1
        watched, now = self._trials[trial], time.monotonic()
        course = watched.course
        passed = now - watched.heard
        if epoch != course.epochs + 1 or not course.timed:
            # The first one here, of a trial that starts or resumes.
            self._startups.append(max(0.0, passed - seconds))
            passed = seconds
        # The time between epochs has more in it than the epoch: its checkpoint, a worker that waits for a processor.
        self._change(trial, epochs=epoch, timed=course.timed + 1, seconds=course.seconds + passed)
        if self._best is None or accuracy > self._best[0]:
            self._best = (accuracy, trial)

    def finished(self, trial: str) -> None:
        """Count a trial as done."""
        watched = self._trials[trial]
        if watched.course.timed:
            self._endings.append(time.monotonic() - watched.heard)
        self._done += 1
        self._freed = time.monotonic()
        self._change(trial, running=False, ended=True, epochs=watched.course.planned)
        self._line(f"done {trial}")

    def failed(self, trial: str) -> None:
        """Count a trial as failed."""
        self._change(trial, running=False, ended=True)
        self.failures.append(trial)
        self._line(f"FAILED {trial}")

    def restarted(self) -> None:
        """Count no trial as running: all worker processes are gone."""
        for name in self._running:
            self._change(name, running=False)
        self._freed = None

    def tick(self) -> None:
        """Redraw the line, and call `refresh` when it is due."""
        running, now = self._running, time.monotonic()
        self._beat(running)
        # Not counted at each event: the next trial may start a moment before the one whose place it takes has ended.
        self._at_once = max(self._at_once, len(running))
        if self._console.is_terminal:
            self._bar.update(self._task, description=self.summary(), completed=self._share(), refresh=True)
        if now - self._said >= _LINE_EVERY_S:
            self._line()
        if now - self._refreshed > _REFRESH_EVERY_S:
            self._refresh()
            self._refreshed = now

    def summary(self) -> str:
        """Return counts, percent, epochs per second, the time left and the best validation accuracy, in one line."""
        total = self._already_done + len(self._trials)
        parts = [f"{self._already_done + self._done}/{total} done", f"{len(self._running)} running"]
        parts += [f"{len(self.failures)} failed", f"{100 * self._share():.0f} %"]
        courses = self._courses()
        speed = time_left.epochs_per_second(courses)
        if speed:
            parts.append(f"{speed:.3g} epochs/s")
        # Some trials start a process as well, which later ones take over: these would make a mean too large.
        around = (median_low(times) if times else 0.0 for times in (self._startups, self._endings))
        left = time_left.seconds_left(courses, self._at_once, *around)
        if left is not None:
            parts.append(f"{duration(left)} left")
        if self._best is not None:
            parts.append(f"best validation accuracy {100 * self._best[0]:.1f} % ({self._best[1]})")
        return " · ".join(parts)

    @property
    def progressed(self) -> bool:
        """Say whether any trial has finished an epoch in this session."""
        return self.epochs > 0

    @property
    def _running(self) -> list[str]:
        return [name for name, watched in self._trials.items() if watched.course.running]

    def _change(self, trial: str, **changes: Any) -> None:
        watched = self._trials[trial]
        watched.course, watched.heard = replace(watched.course, **changes), time.monotonic()

    def _courses(self) -> list[Course]:
        now = time.monotonic()
        return [replace(watched.course, idle_s=now - watched.heard) for watched in self._trials.values()]

    def _share(self) -> float:
        """Return how much of the work is done; trials that were done before count as one of the mean size each."""
        share = time_left.share_trained(watched.course for watched in self._trials.values())
        total = self._already_done + len(self._trials)
        return (self._already_done + share * len(self._trials)) / total if total else 1.0

    def _line(self, text: str = "") -> None:
        self._said = time.monotonic()
        line = at_time(" · ".join([text, self.summary()] if text else [self.summary()]))
        if not self._console.is_terminal:
            self._console.print(line, highlight=False, soft_wrap=True)
        if self._log is not None:
            # A disk that is full stops trainings, not what shows them.
            with suppress(OSError), self._log.open("a", encoding="utf-8") as file:
                file.write(f"{line}\n")
