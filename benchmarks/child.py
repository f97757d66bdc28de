"""Runs a function in a process of its own: for its peak memory, its allocator, or to work in turn with others.

A process that has called `mallopt`, or whose heap has grown, measures nothing else any more.
"""

import multiprocessing
import traceback
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Self

_CONTEXT = multiprocessing.get_context("spawn")


class ChildError(Exception):
    """A child failed; its traceback is the text."""


class Finished(Exception):  # noqa: N818  (no error: it unwinds the child's work)
    """Tells a child in `Turns.wait` that no further turn will come."""


class Turns:
    """The child's side: waits for its turn, does one round, and answers."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def wait(self) -> None:
        """Wait until the parent asks for a round. Raises Finished when there are no more."""
        try:
            self._connection.recv()
        except EOFError:
            raise Finished from None

    def done(self, answer: Any) -> None:
        """Answer the parent."""
        self._connection.send((answer, None))


class Child:
    """The parent's side of a process that runs `function(turns, *arguments)`; a context manager."""

    def __init__(self, function: Callable[..., None], *arguments: Any) -> None:
        self._connection, theirs = _CONTEXT.Pipe()
        self._process = _CONTEXT.Process(target=_serve, args=(theirs, function, arguments))
        self._process.start()
        theirs.close()

    def round(self) -> Any:
        """Let the child do one round and return its answer."""
        self.begin()
        return self.answer()

    def begin(self) -> None:
        """Let the child begin a round."""
        with suppress(BrokenPipeError):
            self._connection.send(None)

    def answer(self) -> Any:
        """Wait for the answer of the round that has begun. Raises ChildError where the child failed."""
        try:
            answer, error = self._connection.recv()
        except EOFError:
            raise ChildError("the child ended without an answer; out of memory?") from None
        if error is not None:
            raise ChildError(error)
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()
        self._process.join()


def call(function: Callable[..., Any], *arguments: Any) -> tuple[Any, int]:
    """Return what `function(*arguments)` returns in a process of its own, and the bytes of its peak resident memory."""
    with Child(_once, function, arguments) as child:
        answer: tuple[Any, int] = child.round()
        return answer


def peak_bytes() -> int:
    """Return this process's largest resident memory so far (VmHWM)."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def _once(turns: Turns, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    turns.wait()
    turns.done((function(*arguments), peak_bytes()))


def _serve(connection: Connection, function: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    try:
        function(Turns(connection), *arguments)
    except Finished:
        pass
    except Exception:
        with suppress(BrokenPipeError):
            connection.send((None, traceback.format_exc()))
