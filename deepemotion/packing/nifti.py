"""Reads the volumes of a NIfTI file (.nii, .nii.gz, .nii.bz2) one at a time, never a whole run."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepemotion.errors import UserError
from deepemotion.machine import available_memory
from deepemotion.packing import header_fields
from deepemotion.packing.input_file import (
    CORRUPT,
    InputFile,
    file_crc32,
    has_bytes_after_gzip,
    read_exactly,
    skip,
)


@dataclass(frozen=True)
class NiftiHeader:
    """The header of a NIfTI file.

    shape is (X, Y, Z), dtype has the file's byte order, affine (4, 4) gives mm, offset is the byte at which the voxels
    begin; physical value = slope * voxel + intercept. `has_affine` is False if the file does not say where its voxels
    are, and affine is then made from the voxels' size. `time_step` is the time from volume to volume as stored, 0 if
    there is none, and `time_unit` the seconds of its unit, None if the file does not name one.
    """

    path: Path
    shape: tuple[int, int, int]
    volumes: int
    dtype: np.dtype[Any]
    affine: NDArray[np.float64]
    has_affine: bool
    slope: float
    intercept: float
    offset: int
    time_step: float
    time_unit: float | None

    @property
    def volume_bytes(self) -> int:
        """The size of one volume."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_header(path: Path) -> NiftiHeader:
    """Read the header of a 4D NIfTI file, or of a 3D one as a single volume; further axes of length 1 are ignored.

    Raises UserError if the file cannot be read, is not a single-file NIfTI, does not hold real numbers, or is smaller
    than the volumes that its header declares.
    """
    try:
        with InputFile(path) as file:
            most_bytes = file.most_bytes()
            with file.beginning() as source:
                fields = header_fields.read(path, source)
            compressed = file.is_compressed
    except EOFError as error:
        raise UserError(f"{path}: truncated before the end of its header; fetch it again") from error
    except CORRUPT as error:
        raise UserError(f"{path}: not a NIfTI file (.nii, .nii.gz), or damaged; fetch it again") from error
    except OSError as error:
        raise _unreadable(path, error, "in its header") from error
    header = NiftiHeader(path=path, **fields)
    _require_room(header, most_bytes, compressed)
    return header


def _require_room(header: NiftiHeader, most_bytes: float, compressed: bool) -> None:
    """Raise UserError if a header declares more than its file or this machine's memory can hold."""
    size, volume = header.offset + header.volumes * header.volume_bytes, header.volume_bytes
    if size > most_bytes and not compressed:
        whole = max(0, int(most_bytes) - header.offset) // volume
        raise UserError(f"{header.path}: truncated after {whole} of {header.volumes} volumes; fetch it again")
    if size > most_bytes or volume > available_memory():
        declared = " x ".join(map(str, (*header.shape, header.volumes)))
        limit = "its file" if size > most_bytes else "this machine's memory"
        raise UserError(
            f"{header.path}: its header declares {declared} voxels, more than {limit} can hold; it may be damaged:"
            " fetch it again"
        )


class VolumeStream:
    """The volumes of a file in order, each a flat array (X * Y * Z,) of the header's dtype, x fastest.

    After the last volume, `crc32` is the CRC-32 of the file as it is on disk. Raises UserError if the file is truncated
    or corrupt: only after the last volume is it known to be whole.
    """

    def __init__(self, header: NiftiHeader) -> None:
        self.header = header
        self.crc32 = 0

    def __iter__(self) -> Iterator[NDArray[np.generic]]:
        path, volumes = self.header.path, self.header.volumes
        size = self.header.volume_bytes
        done = 0
        damage: Exception
        try:
            with InputFile(path) as file, file.uncompressed() as source:
                skip(source, self.header.offset)
                while done < volumes:
                    yield np.frombuffer(read_exactly(source, size), self.header.dtype)
                    done += 1
                # gzip's own checksum follows the last byte, and anything may follow the compressed data.
                skip(source)
                skip(file)
                self.crc32 = file.crc32
            return
        except (EOFError, *CORRUPT) as error:
            damage = error
        except OSError as error:
            raise _unreadable(path, error, f"after volume {done} of {volumes}") from error
        if has_bytes_after_gzip(path):
            yield from self._without_what_follows(done)
        elif isinstance(damage, EOFError):
            raise UserError(f"{path}: truncated after {done} of {volumes} volumes; fetch it again") from damage
        else:
            raise UserError(f"{path}: corrupt after volume {done} of {volumes} ({damage}); fetch it again") from damage

    def _without_what_follows(self, first: int) -> Iterator[NDArray[np.generic]]:
        """Yield the volumes from `first` on of an intact gzip file, whatever follows its end, as gunzip does."""
        path, size = self.header.path, self.header.volume_bytes
        try:
            with InputFile(path) as file, file.tolerant() as source:
                skip(source, self.header.offset + first * size)
                for _ in range(first, self.header.volumes):
                    yield np.frombuffer(read_exactly(source, size), self.header.dtype)
        except (EOFError, *CORRUPT) as error:
            raise UserError(f"{path}: truncated before volume {self.header.volumes}; fetch it again") from error
        self.crc32 = file_crc32(path)


def _unreadable(path: Path, error: OSError, where: str) -> UserError:
    if error.errno is None:
        # bz2's way to say that its data are damaged.
        return UserError(f"{path}: corrupt {where} ({error}); fetch it again")
    return UserError(f"{path}: cannot read: {error.strerror or error}")
