"""Packs many subjects in worker processes, and reports their progress."""

import multiprocessing
import signal
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import TracebackType

from deepemotion.console import say, warn
from deepemotion.errors import UserError
from deepemotion.packing.progress import PackProgress
from deepemotion.packing.subject import Packed, PackRequest, pack_subject
from deepemotion.subject_file import summary
from deepemotion.subject_file.folder import make_folder

# Volumes between two messages of a worker: frequent enough for a smooth bar and a quick stop.
_REPORT_EVERY = 8


def pack_all(requests: Sequence[PackRequest], jobs: int) -> dict[str, str]:
    """Pack the subjects, `jobs` at a time; return the reason for each subject that failed. The others are packed.

    If a worker dies (killed for its memory, say), only its subject fails. An interruption stops all workers, and each
    removes the file it was writing. Raises UserError if the folder of the packed files cannot be created.
    """
    # Reported once, instead of for each subject.
    for folder in {request.out for request in requests}:
        make_folder(folder)
    failed: dict[str, str] = {}
    done: Counter[Connection] = Counter()
    waiting = list(reversed(requests))
    with _Workers() as workers, PackProgress(sum(map(_nominal, requests))) as progress:
        for _ in range(min(jobs, len(waiting))):
            workers.start(waiting.pop())
        while workers.busy:
            for connection, message in workers.messages():
                if isinstance(message, int):
                    progress.advance(message)
                    done[connection] += message
                    continue
                request = workers.busy.pop(connection)
                progress.skip(_nominal(request) - done.pop(connection, 0))
                if isinstance(message, Packed):
                    _report(message)
                else:
                    failed[request.subject] = message
                    warn(f"sub-{request.subject}: not packed: {message}")
                if waiting:
                    workers.give(connection, waiting.pop())
    return failed


class _Workers:
    """Processes that pack one subject after another; `busy` maps the pipe of each to its subject.

    A process pool of the standard library would lose all subjects when one worker is killed, and would start the next
    ones before it ends when it is interrupted.
    """

    def __init__(self) -> None:
        # Forking a process that already runs threads can deadlock the child.
        self._context = multiprocessing.get_context("spawn")
        # Starting it unblocks SIGINT, which must not happen inside `start`.
        resource_tracker.ensure_running()
        self._processes: dict[Connection, BaseProcess] = {}
        self.busy: dict[Connection, PackRequest] = {}

    def __enter__(self) -> "_Workers":
        return self

    def __exit__(self, *_: object) -> None:
        for connection in self._processes:
            connection.close()
        for process in self._processes.values():
            process.join()

    def start(self, request: PackRequest) -> None:
        """Start another worker with its first subject."""
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_work, args=(theirs,), daemon=True)
        # Inherited by the child: Ctrl-C reaches the whole group, but the parent ends the workers.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        theirs.close()
        self._processes[ours] = process
        self.busy[ours] = request
        with suppress(BrokenPipeError):
            ours.send(request)

    def give(self, connection: Connection, request: PackRequest) -> None:
        """Give a worker its next subject; if it is dead, start another."""
        if self._processes[connection].is_alive():
            self.busy[connection] = request
            with suppress(BrokenPipeError):
                connection.send(request)
        else:
            self.start(request)

    def messages(self) -> list[tuple[Connection, int | Packed | str]]:
        """Wait for messages: a number of volumes done, what was packed, or the reason for a failure."""
        received: list[tuple[Connection, int | Packed | str]] = []
        for connection in wait(list(self.busy)):
            assert isinstance(connection, Connection)
            try:
                received.append((connection, connection.recv()))
            except (EOFError, ConnectionResetError):
                process = self._processes[connection]
                process.join()
                code = process.exitcode or 0
                how = f"was killed (signal {-code}); out of memory?" if code < 0 else "failed unexpectedly"
                received.append((connection, f"its process {how}"))
        return received


def _work(connection: Connection) -> None:
    """Pack the requests that come through the pipe until its other end is closed."""
    _ignore_unflushed_objects()
    with suppress(EOFError, ConnectionError):
        while True:
            connection.send(_pack(connection, connection.recv()))


def _ignore_unflushed_objects() -> None:
    """Keep h5py from printing tracebacks for objects of a file that is given up because the disk is full.

    The error itself is reported. h5py 3.16 cannot raise what goes wrong when Python frees such an object: Cython prints
    it twice, by each of Python's hooks (`h5py._objects.ObjectID.__dealloc__`).
    """
    unraisable, uncaught = sys.unraisablehook, sys.excepthook

    def on_unraisable(error: "sys.UnraisableHookArgs") -> None:
        if "h5py" not in str(error.object):
            unraisable(error)

    def on_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if trace is None or not trace.tb_frame.f_code.co_filename.startswith("h5py"):
            uncaught(kind, error, trace)

    sys.unraisablehook, sys.excepthook = on_unraisable, on_uncaught


def _pack(connection: Connection, request: PackRequest) -> Packed | str:
    done = 0

    def count() -> None:
        nonlocal done
        done += 1
        if done % _REPORT_EVERY == 0:
            connection.send(_REPORT_EVERY)

    try:
        packed = pack_subject(request, count)
    except UserError as error:
        return str(error)
    connection.send(done % _REPORT_EVERY)
    return packed


def _nominal(request: PackRequest) -> int:
    return sum(request.dataset.volumes(segment) for segment in request.dataset.segments)


def _report(packed: Packed) -> None:
    for note in summary.notes(packed.header):
        say(f"note: {note}")
    if not packed.read and not packed.kept:
        say(f"{packed.path}: up to date")
    else:
        kept = f", {len(packed.kept)} kept" if packed.kept else ""
        block = "".join(f"\n  {line}" for line in summary.lines(packed.header, packed.voxels, packed.shape))
        say(f"{packed.path}: {len(packed.read)} runs packed{kept}{block}")
    controls = packed.controls
    if controls.written:
        said = "".join(f"\n  note: {note}" for note in controls.notes)
        say(f"{controls.path}: {', '.join(controls.names)}{said}")
    if controls.left_out:
        left_out = (f"control {name}: not packed, {missing}" for name, missing in controls.left_out.items())
        say(f"{controls.path}: {'; '.join(left_out)}")
