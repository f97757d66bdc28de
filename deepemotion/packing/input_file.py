"""Opens an input file by its content, compressed or not, whatever it is called, and computes its CRC-32."""

import bz2
import gzip
import io
import zlib
from pathlib import Path
from typing import Any

from isal import igzip, igzip_lib, isal_zlib

from deepemotion.errors import UserError

# isal's type hints declare the class as an instance.
_IsalError: type[Exception] = igzip_lib.IsalError  # type: ignore[assignment]
# Raised for compressed data that are damaged, apart from bz2's OSError without a number.
CORRUPT = (gzip.BadGzipFile, zlib.error, _IsalError)

_GZIP, _BZ2 = b"\x1f\x8b", b"BZh"
_UNSUPPORTED = {
    b"\x28\xb5\x2f\xfd": ("Zstandard", "zstd -d"),
    b"\xfd7zXZ\x00": ("xz", "xz -d"),
    b"\x04\x22\x4d\x18": ("lz4", "lz4 -d"),
    b"\x1f\x9d": ("compress", "uncompress"),
    b"PK\x03\x04": ("zip", "unzip"),
}
# Small text files that stand for content which is stored elsewhere.
_POINTERS = {
    b"/annex/objects/": ("git-annex", "datalad get"),
    b"version https://git-lfs": ("Git LFS", "git lfs pull --include"),
}
# A deflated block cannot be smaller than its content by more than this factor.
_MOST_GZIP = 1032


class InputFile(io.FileIO):
    """A file that computes the CRC-32 of what is read from it with `readinto`, front to back.

    `uncompressed` is its content. Raises UserError for a compression that is not supported, and for a file that only
    points to its content.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.crc32 = 0
        self.path = path
        start = self.read(32)
        self.seek(0)
        self._gzip = start.startswith(_GZIP)
        self._bz2 = start.startswith(_BZ2)
        try:
            _require_readable(path, start)
        except UserError:
            self.close()
            raise

    def readinto(self, buffer: Any) -> int:
        """Read into `buffer`, and add what was read to `crc32`."""
        count = super().readinto(buffer) or 0
        self.crc32 = isal_zlib.crc32(memoryview(buffer)[:count], self.crc32)
        return count

    def uncompressed(self) -> io.BufferedIOBase:
        """Return the content of the file, decompressed."""
        if self._gzip:
            source: gzip.GzipFile = igzip.IGzipFile(fileobj=self, mode="rb")
            return source
        # bz2 would call `read`, which computes no CRC.
        buffered = io.BufferedReader(self)
        return bz2.BZ2File(buffered) if self._bz2 else buffered

    def tolerant(self) -> io.BufferedIOBase:
        """Return the content of a gzip file, decompressed slowly and no further than it is read."""
        return gzip.GzipFile(fileobj=self, mode="rb")

    def beginning(self) -> io.BufferedIOBase:
        """Return the content of the file to read a header from, also if the file is truncated soon after it."""
        # isal decompresses far ahead, and would fail at the end of a truncated file before it returns the header.
        return self.tolerant() if self._gzip else self.uncompressed()

    def most_bytes(self) -> float:
        """Return the largest size that the decompressed content can have."""
        size = self.seek(0, io.SEEK_END)
        self.seek(0)
        if self._bz2:
            return float("inf")
        return size * _MOST_GZIP if self._gzip else size

    @property
    def is_compressed(self) -> bool:
        """Whether the content has to be decompressed."""
        return self._gzip or self._bz2


def has_bytes_after_gzip(path: Path) -> bool:
    """Return whether a gzip file is intact, its checksum included, but for bytes after its end that are no gzip."""
    with path.open("rb") as file, gzip.GzipFile(fileobj=file) as source:
        try:
            skip(source)
        except gzip.BadGzipFile as error:
            return source.tell() > 0 and str(error).startswith("Not a gzipped file")
        except (EOFError, OSError, zlib.error):
            return False
    return False


def file_crc32(path: Path) -> int:
    """Return the CRC-32 of a file's bytes."""
    with io.FileIO(path) as file:
        crc32, buffer = 0, bytearray(1 << 20)
        while count := file.readinto(buffer):
            crc32 = isal_zlib.crc32(memoryview(buffer)[:count], crc32)
        return crc32


def read_exactly(source: io.BufferedIOBase, size: int) -> bytes:
    """Read `size` bytes. Raises EOFError if fewer are left."""
    data = source.read(size)
    if len(data) < size:
        raise EOFError
    return data


def skip(source: io.BufferedIOBase | io.RawIOBase, size: float = float("inf")) -> None:
    """Read `size` bytes, or all that are left, in little memory. Raises EOFError if fewer than `size` are left."""
    buffer = memoryview(bytearray(1 << 20))
    while size > 0:
        count = source.readinto(buffer[: int(min(size, len(buffer)))])
        if not count:
            if size == float("inf"):
                return
            raise EOFError
        size -= count


def is_pointer(path: Path) -> bool:
    """Return whether a file only points to its content, which git-annex or Git LFS stores elsewhere."""
    with path.open("rb") as file:
        return file.read(32).startswith(tuple(_POINTERS))


def _require_readable(path: Path, start: bytes) -> None:
    for magic, (name, command) in _UNSUPPORTED.items():
        if start.startswith(magic):
            raise UserError(
                f"{path}: compressed with {name}, which is not supported; decompress it ({command} {path.name}) or"
                " compress it with gzip, and correct its name in the dataset's description"
            )
    for magic, (name, command) in _POINTERS.items():
        if start.startswith(magic):
            raise UserError(
                f"{path}: its content is not here (a {name} pointer); fetch it:"
                f" cd {path.absolute().parent} && {command} {path.name}"
            )
