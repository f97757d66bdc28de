"""The checkpoints of a training, from which it resumes after it was killed as if nothing had happened.

A checkpoint is a zip file of `torch.save`. The comment at its end is `crc32:` and the CRC-32 of the file without the
comment. torch and other programs ignore it; `read` compares it.
"""

import os
import re
import zipfile
from collections.abc import Callable
from io import FileIO
from pathlib import Path
from typing import IO, Any

import torch
from isal import isal_zlib

from deepemotion.errors import UserError
from deepemotion.files import atomic_path

State = dict[str, Any]

# A zip file ends with the length of its comment, two bytes, and the comment.
_NO_COMMENT, _COMMENT_LENGTH = b"\0\0", b"\x0e\0"
_TAIL = re.compile(_COMMENT_LENGTH + rb"crc32:([0-9a-f]{8})")
_TAIL_BYTES = len(_COMMENT_LENGTH) + _COMMENT_LENGTH[0]
_CHUNK_BYTES = 2**18


class Checkpoints:
    """The last two epochs and the best one, as files of one folder. Each is written completely or not at all."""

    def __init__(self, folder: Path) -> None:
        self.last = folder / "last.pt"
        self.previous = folder / "previous.pt"
        self.best = folder / "best.pt"

    def save(self, state: State, *, best: bool) -> None:
        """Make `state` the last checkpoint, the one before it the previous one, and `state` the best if so marked.

        Killed at any moment, it leaves a complete checkpoint. The best one is written before the last: an epoch that
        is not recorded is trained again, and marked as the best again.
        """
        with atomic_path(self.last) as temporary:
            _write(state, temporary)
            if best:
                with atomic_path(self.best) as same:
                    same.unlink()
                    os.link(temporary, same)
            if self.last.exists():
                self.last.replace(self.previous)

    def load(self, on_damage: Callable[[Path, str], None] = lambda path, why: None) -> tuple[Path, State] | None:
        """Return the newest intact checkpoint, its path and state, or None if there is none.

        The previous checkpoint is the fallback for a last one that was truncated or damaged; `on_damage` is called
        with the path of each damaged file and what is wrong with it. Raises UserError for an intact file that is no
        checkpoint.
        """
        for path in (self.last, self.previous):
            try:
                return path, read(path)
            except DamagedError as error:
                on_damage(path, str(error))
            except OSError:
                # Missing, or not available at the moment.
                continue
        return None


class DamagedError(Exception):
    """Says how a checkpoint differs from what was written."""


def read(path: Path) -> State:
    """Return the state in a checkpoint, after comparing the file with its checksum.

    Only tensors and plain values are unpickled. Raises DamagedError for a file that is not as it was written, OSError
    for one that cannot be read, and UserError for an intact file with another content.
    """
    _verify(path)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:
        raise not_usable(path, f"torch: {' '.join(str(error).split())[:100]}") from error
    if not isinstance(state, dict):
        raise not_usable(path, f"it holds no dictionary but a {type(state).__name__}")
    return state


def not_usable(path: Path, why: str) -> UserError:
    """Return the error for a checkpoint that is as it was written, but not one of this training."""
    return UserError(f"{path}: not a checkpoint of this training ({why}); move it elsewhere and start again")


def _verify(path: Path) -> None:
    with path.open("rb", buffering=0) as file:
        size = file.seek(0, os.SEEK_END) - _TAIL_BYTES
        file.seek(max(0, size))
        tail = _TAIL.fullmatch(file.read())
        if tail is None:
            _verify_tensors(file)
        elif _crc32(file, size) != int(tail[1], 16):
            raise DamagedError("its content does not match its checksum")


def _verify_tensors(file: IO[bytes]) -> None:
    """Compare the CRC that the zip format has of each tensor: checkpoints of earlier versions have no other one."""
    try:
        with zipfile.ZipFile(file) as archive:
            damaged = archive.testzip()
    except OSError:
        raise
    except Exception as error:
        raise DamagedError("truncated, or no checkpoint") from error
    if damaged is not None:
        raise DamagedError(f"{damaged} in it does not match its checksum")


def _crc32(file: FileIO, size: int) -> int:
    """Return the CRC-32 of the first `size` bytes of a checkpoint, as the zip file that it was without its comment."""
    # Not through a memory map: one of a file that another process truncates ends this one.
    crc, buffer = 0, memoryview(bytearray(_CHUNK_BYTES))
    file.seek(0)
    while size > 0 and (count := file.readinto(buffer[: min(size, _CHUNK_BYTES)])):
        crc = isal_zlib.crc32(buffer[:count], crc)
        size -= count
    return isal_zlib.crc32(_NO_COMMENT, crc)


class _SummedFile:
    """A file that is written by torch, and the CRC-32 of what was written."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.crc32 = 0
        self.error: OSError | None = None

    def write(self, content: bytes) -> int:
        """Write all of `content`, and return how many bytes that is."""
        self.crc32 = isal_zlib.crc32(content, self.crc32)
        try:
            return self._file.write(content)
        except OSError as error:
            # torch replaces it by an error of its own, which names neither the file nor the reason.
            self.error = error
            raise

    def flush(self) -> None:
        """Pass what is buffered to the system."""
        self._file.flush()


def _write(state: State, path: Path) -> None:
    with path.open("wb") as file:
        summed = _SummedFile(file)
        try:
            torch.save(state, summed)  # type: ignore[arg-type]
        except RuntimeError as error:
            raise (summed.error or error) from error
        file.seek(-len(_NO_COMMENT), os.SEEK_END)
        file.write(_COMMENT_LENGTH + f"crc32:{summed.crc32:08x}".encode())
