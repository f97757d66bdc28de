"""Writes past the system's cache of files: copying to it takes a twenty-fifth of packing's time on a core, or more."""

import errno
import mmap
import os
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Self

# The system asks that memory and place in the file are both multiples of the disk's block, which is a page or less.
PAGE = mmap.PAGESIZE
# What file systems say that cannot do without the cache, and disks of larger blocks.
_REFUSALS = (errno.EINVAL, errno.EOPNOTSUPP)


class UncachedFile:
    """Writes to a file that is there, at any place; one thread at a time.

    Whole pages go past the cache if they lie in memory as they will in the file, at a multiple of PAGE. What shares its
    page with something else goes through the cache, and where there is no other way so does everything.
    """

    def __init__(self, path: Path) -> None:
        # File objects: a number could already be another file's when a thread that nobody waited for writes to it.
        self._cached = path.open("r+b", buffering=0)
        self._direct: FileIO | None = None
        try:
            self._direct = open(path, "r+b", buffering=0, opener=_open_past_the_cache)  # noqa: SIM115
        except OSError as error:
            if error.errno not in _REFUSALS:
                self._cached.close()
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cached.close()
        if self._direct is not None:
            self._direct.close()

    def write(self, data: memoryview, offset: int) -> None:
        """Write the bytes `data` at `offset`. Raises OSError where the disk fails, ValueError once it is closed."""
        end = offset + len(data)
        while offset < end:
            left = data[offset - end :]
            if self._direct is None:
                offset += os.pwrite(self._cached.fileno(), left, offset)
            elif offset % PAGE or len(left) < PAGE:
                offset += os.pwrite(self._cached.fileno(), left[: PAGE - offset % PAGE], offset)
            else:
                offset += self._write_pages(self._direct, left[: len(left) // PAGE * PAGE], offset)
        if self._direct is None:
            # Lets the system begin with its writing: left to the end, it would take a fifth of packing's time.
            os.posix_fadvise(self._cached.fileno(), end - len(data), len(data), os.POSIX_FADV_DONTNEED)

    def _write_pages(self, direct: FileIO, pages: memoryview, offset: int) -> int:
        try:
            return os.pwrite(direct.fileno(), pages, offset)
        except OSError as error:
            if error.errno not in _REFUSALS:
                raise
            direct.close()
            self._direct = None
            return 0


def _open_past_the_cache(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_DIRECT)
