"""Files that are either whole or not there: write to a temporary name in the same folder, sync, rename."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deepemotion.errors import UserError

_PREFIX = ".partial-"


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Give a temporary path beside `target`; it becomes `target` if the block succeeds and vanishes if not.

    The suffix is kept, since libraries choose formats by it. Raises UserError where the folder cannot be written
    or the disk is full.
    """
    temporary = target.with_name(f"{_PREFIX}{secrets.token_hex(4)}-{target.name}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # Not tempfile: its files are private, and colleagues expect what the user's umask gives.
        temporary.touch(exist_ok=False)
        try:
            yield temporary
            _sync(temporary)
            temporary.replace(target)
            _sync(target.parent)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        # The block may have failed at another file, one that it reads: name that one too.
        other = error.filename is not None and _PREFIX not in str(error.filename)
        culprit = f" ({error.filename})" if other else ""
        raise UserError(f"{target}: cannot write: {error.strerror or error}{culprit}") from error


def write_text(target: Path, text: str) -> None:
    """Write a text file atomically."""
    with atomic_path(target) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
