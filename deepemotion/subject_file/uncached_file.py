"""Writes to disk without the page cache: copying to it takes 4 % or more of packing's time on one core."""

import errno
import mmap
import os
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Self

# The system requires memory address and file offset to be multiples of the disk's block, which is a page or less.
PAGE = mmap.PAGESIZE
# Errors of file systems that always use the cache, and of disks with larger blocks.
_REFUSALS = (errno.EINVAL, errno.EOPNOTSUPP)


class UncachedFile:
    """Writes to an existing file, at any offset; one thread at a time.

    Whole pages bypass the cache if they are aligned in memory as in the file, to a multiple of PAGE. Data that shares a
    page with other data goes through the cache, and so does everything if the file system requires it.
    """

    def __init__(self, path: Path) -> None:
        # File objects, not descriptors: the number of a closed one could be another file's when a late thread writes.
        self._cached = path.open("r+b", buffering=0)
        self._direct: FileIO | None = None
        try:
            self._direct = open(path, "r+b", buffering=0, opener=_open_uncached)  # noqa: SIM115
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
        """Write the bytes `data` at `offset`. Raises OSError if the disk fails, ValueError once it is closed."""
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
            # Makes the system start writing now: left to the end, it would take a fifth of packing's time.
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


def _open_uncached(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_DIRECT)
