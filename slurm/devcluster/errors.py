"""The error that ends a command, and how a command ends."""

import signal
import subprocess
import sys
from collections.abc import Callable
from types import FrameType
from typing import NoReturn


class UserError(Exception):
    """What went wrong, in one line that a user can act on: the command ends with exit code 2."""


def say(line: str) -> None:
    """Write a line on the standard output at once, so that a reader at the other end of a pipe sees progress."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _terminated(number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


def end_with(command: Callable[[], int]) -> NoReturn:
    """Run a command and exit with its code; a `UserError` is one line on the standard error and exit code 2."""
    # As an exception, so that what is half started is stopped on the way out.
    signal.signal(signal.SIGTERM, _terminated)
    try:
        sys.exit(command())
    except (UserError, OSError, subprocess.SubprocessError) as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
