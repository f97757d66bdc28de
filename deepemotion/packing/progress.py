"""The progress of packing: a bar on a terminal, elsewhere only a line at the end."""

import time
from typing import Self

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from deepemotion.console import progress_console, say


class PackProgress:
    """Counts packed volumes, and shows the count and its rate on standard error."""

    def __init__(self, total: int) -> None:
        console = progress_console()
        self._progress = Progress(
            TextColumn("packing"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.completed:.0f} volumes, {task.fields[rate]:.0f} a second"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("packing", total=total, rate=0.0)
        self._started = time.monotonic()
        self._done = 0

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()
        if self._done:
            say(f"{self._done} volumes, {self._rate():.0f} volumes/s")

    def advance(self, volumes: int) -> None:
        """Add volumes that were packed."""
        self._done += volumes
        self._progress.update(self._task, completed=self._done, rate=self._rate())

    def skip(self, volumes: int) -> None:
        """Take volumes that will not be packed off the total."""
        total = self._progress.tasks[0].total or 0
        self._progress.update(self._task, total=total - volumes)

    def _rate(self) -> float:
        return self._done / max(time.monotonic() - self._started, 1e-9)
