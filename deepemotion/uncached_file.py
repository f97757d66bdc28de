"""Writes past the system's cache of files: copying to it takes a twenty-fifth of packing's time on a core, or more."""

import errno
import mmap
import os
from pathlib import Path
from types import TracebackType
from typing import Self

# The system asks that memory and place in the file are both multiples of the disk's block, which is a page at most.
PAGE = mmap.PAGESIZE
# What file systems say that cannot do without the cache.
_REFUSALS = (errno.EINVAL, errno.EOPNOTSUPP)


class UncachedFile:
    """Writes to a file that is there, at any place; one thread at a time.

    Whole pages go past the cache if they lie in memory as they will in the file, at a multiple of PAGE. What shares its
    page with something else goes through the cache, and on file systems that know no other way so does everything.
    """

    def __init__(self, path: Path) -> None:
        self._cached = os.open(path, os.O_WRONLY)
        self._direct: int | None = None
        try:
            self._direct = os.open(path, os.O_WRONLY | os.O_DIRECT)
        except OSError as error:
            if error.errno not in _REFUSALS:
                os.close(self._cached)
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for descriptor in filter(None, (self._cached, self._direct)):
            os.close(descriptor)

    def write(self, data: memoryview, offset: int) -> None:
        """Write the bytes `data` at `offset`. Raises OSError where the disk is full or fails."""
        end = offset + len(data)
        while offset < end:
            left = data[offset - end :]
            if self._direct is None:
                offset += os.pwrite(self._cached, left, offset)
            elif offset % PAGE or len(left) < PAGE:
                offset += os.pwrite(self._cached, left[: PAGE - offset % PAGE], offset)
            else:
                offset += self._write_pages(self._direct, left[: len(left) // PAGE * PAGE], offset)
        if self._direct is None:
            # Lets the system begin with its writing: left to the end, it would take a fifth of packing's time.
            os.posix_fadvise(self._cached, end - len(data), len(data), os.POSIX_FADV_DONTNEED)

    def _write_pages(self, direct: int, pages: memoryview, offset: int) -> int:
        try:
            return os.pwrite(direct, pages, offset)
        except OSError as error:
            if error.errno not in _REFUSALS:
                raise
            os.close(direct)
            self._direct = None
            return 0
