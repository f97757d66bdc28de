"""Packs many subjects, each in a process of its own, and shows how far they are."""

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from deepemotion.console import say
from deepemotion.errors import UserError
from deepemotion.packing import Packed, PackRequest, pack_subject

_counter: Any = None


def pack_all(requests: Sequence[PackRequest], jobs: int) -> dict[str, str]:
    """Pack the subjects, `jobs` at a time; return the reason of each subject that failed. The others are packed."""
    failed: dict[str, str] = {}
    total = sum(request.dataset.volumes(segment) for request in requests for segment in request.dataset.segments)
    # Forking a process that already runs threads can deadlock the child.
    context = multiprocessing.get_context("spawn")
    counter = context.Value("q", 0)
    with ProcessPoolExecutor(min(jobs, len(requests)), context, _set_counter, (counter,)) as pool, _Bar(total) as bar:
        futures = {pool.submit(_pack, request): request for request in requests}
        with _interrupt_children(futures):
            pending = set(futures)
            while pending:
                finished, pending = wait(pending, timeout=0.2, return_when=FIRST_COMPLETED)
                bar.show(counter.value)
                for future in finished:
                    request = futures[future]
                    try:
                        _tell(request, future.result())
                    except UserError as error:
                        failed[request.subject] = str(error)
                        say(f"sub-{request.subject}: failed: {error}")
    return failed


def _set_counter(counter: Any) -> None:
    global _counter
    _counter = counter


def _pack(request: PackRequest) -> Packed:
    def count() -> None:
        with _counter.get_lock():
            _counter.value += 1

    return pack_subject(request, count)


def _tell(request: PackRequest, packed: Packed) -> None:
    for line in packed.short_runs(request.dataset):
        say(f"note: {line}: a short run is kept as it is")
    if not packed.read:
        say(f"{packed.path}: up to date")
    else:
        kept = f", {len(packed.kept)} kept" if packed.kept else ""
        say(f"{packed.path}: {len(packed.read)} runs packed{kept}")


@contextmanager
def _interrupt_children(futures: dict[Future[Packed], PackRequest]) -> Iterator[None]:
    """Pass an interruption on to the children, so that each removes the file it was writing."""
    try:
        yield
    except BaseException:
        for future in futures:
            future.cancel()
        for child in multiprocessing.active_children():
            if child.pid is not None:
                os.kill(child.pid, signal.SIGINT)
        raise


class _Bar:
    """Volumes done and volumes a second: a bar on a terminal, nothing elsewhere but a last line."""

    def __init__(self, total: int) -> None:
        self._console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("packing"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[rate]:.0f} volumes/s"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task = self._progress.add_task("packing", total=total, rate=0.0)
        self._started = time.monotonic()
        self._done = 0

    def __enter__(self) -> "_Bar":
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()
        if self._done:
            say(f"{self._done} volumes, {self._rate():.0f} volumes/s")

    def show(self, done: int) -> None:
        """Show that `done` volumes are packed."""
        self._done = done
        self._progress.update(self._task, completed=done, rate=self._rate())

    def _rate(self) -> float:
        return self._done / max(time.monotonic() - self._started, 1e-9)
