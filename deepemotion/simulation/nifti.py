"""Writes NIfTI files as a stream of volumes, with the same bytes every time."""

from collections.abc import Iterable
from pathlib import Path

import nibabel as nib
import numpy as np
from isal import igzip
from numpy.typing import NDArray

from deepemotion.files import atomic_path
from deepemotion.simulation.parameters import TR_S, VOXEL_MM

# Fast, and about half the size; a higher level gains little on noise.
COMPRESSION_LEVEL = 1
NO_EXTENSION = b"\0\0\0\0"


def write_run(path: Path, volumes: Iterable[NDArray[np.int16]], shape: tuple[int, ...], count: int) -> None:
    """Write `count` volumes (X, Y, Z) as one 4D .nii.gz with the TR in its header; whole or not at all."""
    header = _header((*shape, count), np.dtype(np.int16))
    header.set_zooms((VOXEL_MM, VOXEL_MM, VOXEL_MM, TR_S))
    header.set_xyzt_units("mm", "sec")
    _write(path, header, volumes)


def write_volume(path: Path, volume: NDArray[np.float32] | NDArray[np.uint8]) -> None:
    """Write one volume (X, Y, Z) in its own type as .nii.gz; whole or not at all."""
    header = _header(volume.shape, volume.dtype)
    header.set_xyzt_units("mm")
    _write(path, header, [volume])


def _header(shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> nib.Nifti1Header:
    affine = np.diag([VOXEL_MM, VOXEL_MM, VOXEL_MM, 1.0])
    affine[:3, 3] = [-VOXEL_MM * (side - 1) / 2 for side in shape[:3]]
    header = nib.Nifti1Header()
    header.set_data_dtype(dtype)
    header.set_data_shape(shape)
    header.set_sform(affine, code="aligned")
    header.set_qform(affine, code="aligned")
    header.set_slope_inter(1, 0)
    header["magic"] = b"n+1"
    header["vox_offset"] = nib.Nifti1Header.sizeof_hdr + len(NO_EXTENSION)
    return header


def _write(path: Path, header: nib.Nifti1Header, volumes: Iterable[NDArray[np.generic]]) -> None:
    with (
        atomic_path(path) as temporary,
        temporary.open("wb") as raw,
        # No name and no time in the gzip header, so that the bytes are the same every time.
        igzip.IGzipFile(filename="", mode="wb", fileobj=raw, compresslevel=COMPRESSION_LEVEL, mtime=0) as stream,
    ):
        stream.write(header.binaryblock + NO_EXTENSION)
        for volume in volumes:
            stream.write(volume.tobytes(order="F"))
