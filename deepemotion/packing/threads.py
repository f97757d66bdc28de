"""Packs several runs of a subject at once, in threads, and stops them all where one fails."""

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from threading import Event, Lock


class _Stopped(Exception):  # noqa: N818  (no error: it unwinds a run because of another one's)
    """Another run failed."""


def for_each_run(
    runs: Sequence[int],
    write: Callable[[int, Callable[[], None]], None],
    threads: int,
    on_volume: Callable[[], None],
) -> None:
    """Call `write(run, tick)` for each run, in as many threads; `tick` is to be called after each volume.

    Decompressing, masking and writing leave Python's lock to others. The first failure stops the other runs too.
    """
    stopped, counting = Event(), Lock()

    def tick() -> None:
        if stopped.is_set():
            raise _Stopped
        with counting:
            on_volume()

    with ThreadPoolExecutor(threads) as pool:
        tasks = [pool.submit(write, run, tick) for run in runs]
        try:
            done, _ = wait(tasks, return_when=FIRST_EXCEPTION)
            for task in tasks:
                if task in done:
                    task.result()
        finally:
            stopped.set()
            pool.shutdown(cancel_futures=True)
