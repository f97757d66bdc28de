"""Reads the volumes of a .nii or .nii.gz file one at a time, never a whole run."""

import gzip
import io
import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from isal import igzip, igzip_lib, isal_zlib
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

from deepemotion.errors import UserError

# isal's type hints declare the class as an instance.
_IsalError: type[Exception] = igzip_lib.IsalError  # type: ignore[assignment]


@dataclass(frozen=True)
class NiftiHeader:
    """The header of a NIfTI file.

    shape is (X, Y, Z), dtype has the file's byte order, affine (4, 4) gives mm, offset is the byte at which the voxels
    begin; physical value = slope * voxel + intercept.
    """

    path: Path
    shape: tuple[int, int, int]
    volumes: int
    dtype: np.dtype[Any]
    affine: NDArray[np.float64]
    slope: float
    intercept: float
    offset: int


def read_header(path: Path) -> NiftiHeader:
    """Read the header of a 4D NIfTI file, or of a 3D one as a single volume.

    Raises UserError if the file cannot be read, is not a single-file NIfTI, or does not hold real numbers.
    """
    try:
        image = nibabel.load(path)
    except EOFError as error:
        raise UserError(f"{path}: truncated before the end of its header; fetch it again") from error
    except (ImageFileError, HeaderDataError, gzip.BadGzipFile, zlib.error, ValueError) as error:
        raise UserError(f"{path}: not a NIfTI file (.nii, .nii.gz), or damaged") from error
    except OSError as error:
        raise UserError(f"{path}: cannot read: {error.strerror or error}") from error
    # Nifti2Image derives from Nifti1Image; pairs (.hdr, .img) have their voxels elsewhere.
    if not isinstance(image, nibabel.Nifti1Image):
        raise UserError(f"{path}: {type(image).__name__}, not a NIfTI file (.nii, .nii.gz); convert it first")
    shape, dtype = image.shape, image.dataobj.dtype
    if len(shape) not in (3, 4):
        raise UserError(f"{path}: {len(shape)} dimensions {shape}; a run has four (x, y, z, volume)")
    if dtype.kind not in "iuf" or dtype.itemsize > 8:
        raise UserError(f"{path}: voxels of type {dtype}; convert it to an integer or float type")
    return NiftiHeader(
        path=path,
        shape=shape[:3],
        volumes=shape[3] if len(shape) == 4 else 1,
        dtype=dtype,
        affine=np.asarray(image.affine, dtype=np.float64),
        slope=float(image.dataobj.slope),
        intercept=float(image.dataobj.inter),
        offset=int(image.dataobj.offset),
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
        size = math.prod(self.header.shape) * self.header.dtype.itemsize
        done = 0
        try:
            with _Checksummed(path) as file, _uncompressed(file, path) as source:
                _take(source, self.header.offset)
                while done < volumes:
                    yield np.frombuffer(_take(source, size), self.header.dtype)
                    done += 1
                # gzip's own checksum follows the last byte.
                _drain(source)
                self.crc32 = file.crc32
        except EOFError as error:
            raise UserError(f"{path}: truncated after {done} of {volumes} volumes; fetch it again") from error
        except (gzip.BadGzipFile, _IsalError) as error:
            raise UserError(f"{path}: corrupt after volume {done} of {volumes} ({error}); fetch it again") from error
        except OSError as error:
            raise UserError(f"{path}: cannot read: {error.strerror or error}") from error


def file_crc32(path: Path) -> int:
    """Return the CRC-32 of a file's bytes."""
    with _Checksummed(path) as file:
        _drain(file)
        return file.crc32


class _Checksummed(io.FileIO):
    """A file that computes the CRC-32 of what is read from it, front to back."""

    crc32 = 0

    def readinto(self, buffer: Any) -> int:
        count = super().readinto(buffer) or 0
        self.crc32 = isal_zlib.crc32(memoryview(buffer)[:count], self.crc32)
        return count


def _uncompressed(file: _Checksummed, path: Path) -> io.BufferedIOBase:
    if path.suffix == ".gz":
        source: gzip.GzipFile = igzip.IGzipFile(fileobj=file, mode="rb")
        return source
    return io.BufferedReader(file)


def _take(source: io.BufferedIOBase, size: int) -> bytes:
    data = source.read(size)
    if len(data) < size:
        raise EOFError
    return data


def _drain(source: io.BufferedIOBase | io.RawIOBase) -> None:
    buffer = bytearray(1 << 20)
    while source.readinto(buffer):
        pass
