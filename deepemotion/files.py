"""Writes files that are either complete or absent: to a temporary name in the same folder, then sync and rename.

Files can still be truncated by a copy, a full disk or an editor, so every reader names the file it could not read.
"""

import json
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from deepemotion.errors import UserError

_PREFIX = ".partial-"
# No single file takes as long to write, on a slow shared disk either (seconds).
_ABANDONED_S = 600


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Yield a temporary path beside `target`; it becomes `target` if the block succeeds and is removed if not.

    The suffix is kept, since libraries choose formats by it. Raises UserError where the folder cannot be written,
    the disk is full, or the target has no name.
    """
    if target.name in ("", ".."):
        raise UserError(f"{target}: is a folder; give the name of a file in it")
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


def remove_abandoned(folder: Path, age_s: float = _ABANDONED_S) -> None:
    """Remove temporaries that killed processes left in a folder; not recent ones, which may still be in use.

    A caller that knows that nobody else writes into the folder gives an age of 0.
    """
    for path in folder.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            if age_s == 0 or time.time() - path.stat().st_mtime > age_s:
                path.unlink()


def write_text(target: Path, text: str) -> None:
    """Write a text file atomically."""
    with atomic_path(target) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextmanager
def readable(path: Path, remedy: str) -> Iterator[None]:
    """Raise UserError, which names `path` and the remedy, where the block cannot read or parse the file."""
    try:
        yield
    except (OSError, ValueError, TypeError, KeyError) as error:
        why = "missing" if isinstance(error, FileNotFoundError) else " ".join(str(error).split())
        why = f"no {why}" if isinstance(error, KeyError) else why
        raise UserError(f"{path}: cannot be read ({why}); {remedy}") from error


def read_json(path: Path, remedy: str) -> dict[str, Any] | None:
    """Return the object in a JSON file, None where there is no file. Raises UserError where it holds anything else."""
    with readable(path, remedy):
        try:
            text = path.read_bytes()
        except FileNotFoundError:
            return None
        content = json.loads(text)
        if not isinstance(content, dict):
            raise ValueError("not a JSON object")
    return content


def whole_lines(text: bytes) -> list[str]:
    """Return the lines of a table that has a header and rows. Raises ValueError where it was cut off."""
    lines = text.decode().splitlines()
    if len(lines) < 2 or not text.endswith(b"\n"):
        raise ValueError("it ends too early")
    return lines


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
