"""Packs several runs of a subject at once, in threads, and stops all of them if one fails."""

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from threading import Event, Lock


class _Stopped(Exception):  # noqa: N818  (not an error: it ends a run because another failed)
    """Another run failed."""


def for_each_run(
    runs: Sequence[int],
    write: Callable[[int, Callable[[], None]], None],
    threads: int,
    on_volume: Callable[[], None],
) -> None:
    """Call `write(run, tick)` for each run, in that many threads; it must call `tick` after each volume.

    Decompressing, masking and writing release Python's lock. The first failure stops the other runs too.
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
