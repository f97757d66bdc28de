"""Shows the progress of a session: counts, the best validation accuracy so far, and the time left."""

import time
from collections.abc import Callable, Iterable, Sequence

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from deepemotion.console import duration
from launcher.planning.plan import PlannedTrial

# Seconds between calls of `refresh` while trials run.
_REFRESH_EVERY_S = 15


class SessionProgress:
    """A live line on a terminal; elsewhere one line for each trial that ends.

    `epochs` counts the epochs that have finished in this session, `failures` names the trials that failed for good.
    Passes the running trials to `beat` at every event, and calls `refresh` every few seconds.
    """

    def __init__(
        self,
        trials: Sequence[PlannedTrial],
        already_done: int,
        beat: Callable[[Iterable[str]], None],
        refresh: Callable[[], None],
    ) -> None:
        self.failures: list[str] = []
        self.epochs = 0
        self._trials = {trial.name: trial for trial in trials}
        self._epochs = dict.fromkeys(self._trials, 0)
        self._first_epoch: dict[str, int] = {}
        self._running: set[str] = set()
        self._done = already_done
        self._total = already_done + len(trials)
        self._best: tuple[float, str] | None = None
        self._started = self._refreshed = time.monotonic()
        self._beat = beat
        self._refresh = refresh
        self._console = Console(stderr=True)
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
        self._trials |= {trial.name: trial for trial in trials}
        self._epochs |= dict.fromkeys((trial.name for trial in trials), 0)
        self._total += len(trials)

    def started(self, trial: str) -> None:
        """Count a trial as running."""
        self._running.add(trial)

    def epoch(self, trial: str, epoch: int, accuracy: float) -> None:
        """Record a finished epoch and its validation accuracy."""
        self.epochs += 1
        self._first_epoch.setdefault(trial, epoch - 1)
        self._epochs[trial] = epoch
        if self._best is None or accuracy > self._best[0]:
            self._best = (accuracy, trial)

    def finished(self, trial: str) -> None:
        """Count a trial as done."""
        self._running.discard(trial)
        self._done += 1
        self._epochs[trial] = self._all_epochs(trial)
        self._line(f"done {trial}")

    def failed(self, trial: str) -> None:
        """Count a trial as failed."""
        self._running.discard(trial)
        self._epochs[trial] = self._all_epochs(trial)
        self.failures.append(trial)
        self._line(f"FAILED {trial}")

    def restarted(self) -> None:
        """Count no trial as running: all worker processes are gone."""
        self._running.clear()

    def tick(self) -> None:
        """Redraw the line, and call `refresh` when it is due."""
        self._beat(self._running)
        self._bar.update(
            self._task, description=self.summary(), completed=self._share(), refresh=self._console.is_terminal
        )
        if time.monotonic() - self._refreshed > _REFRESH_EVERY_S:
            self._refresh()
            self._refreshed = time.monotonic()

    def summary(self) -> str:
        """Return the counts, the best validation accuracy so far and the time left, in one line."""
        parts = [f"{self._done}/{self._total} done", f"{len(self._running)} running", f"{len(self.failures)} failed"]
        if self._best is not None:
            parts.append(f"best validation accuracy {100 * self._best[0]:.1f} % ({self._best[1]})")
        left = self._seconds_left()
        if left is not None:
            parts.append(f"{duration(left)} left")
        return " · ".join(parts)

    @property
    def progressed(self) -> bool:
        """Say whether any trial has finished an epoch in this session."""
        return bool(self._first_epoch)

    def _line(self, text: str) -> None:
        if not self._console.is_terminal:
            self._console.print(f"{text} · {self.summary()}", highlight=False, soft_wrap=True)

    def _all_epochs(self, trial: str) -> int:
        return self._trials[trial].trial.train.epochs

    def _work(self, trial: str, epochs: int) -> float:
        return self._trials[trial].work * epochs / self._all_epochs(trial)

    def _share(self) -> float:
        total = sum(trial.work for trial in self._trials.values())
        return sum(self._work(name, epochs) for name, epochs in self._epochs.items()) / total if total else 1.0

    def _seconds_left(self) -> float | None:
        trained = sum(self._work(name, self._epochs[name] - first) for name, first in self._first_epoch.items())
        left = sum(self._work(name, self._all_epochs(name) - epochs) for name, epochs in self._epochs.items())
        return left * (time.monotonic() - self._started) / trained if trained > 0 else None
