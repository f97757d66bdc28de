"""Reads an atlas: a NIfTI label image on the data's grid, 0 for background and a whole number for each region."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from deepemotion.errors import UserError
from deepemotion.samples.grid import Grid
from deepemotion.subject_file.format import AFFINE_TOLERANCE
from deepemotion.subject_file.reader import SubjectFile

if TYPE_CHECKING:
    # Only where an atlas is read: nibabel takes about 4 MB, and every trial imports this module.
    from deepemotion.packing.nifti import NiftiHeader

# With a coarser scale, the nearest whole number could be the wrong one.
_LARGEST_STEP = 0.1
_RESAMPLE = "resample it to the data without interpolation (nilearn.image.resample_to_img, interpolation='nearest')"


def checksum(path: Path) -> str:
    """Return the SHA-256 of the atlas's file, in hex. Raises UserError if it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise UserError(f"{path}: cannot read the atlas (model.atlas): {error.strerror}") from error


def read(path: Path, shape: tuple[int, int, int]) -> NDArray[np.int64]:
    """Return the region of each voxel (Z * Y * X,) of the packed grid, x fastest; `shape` is Z, Y, X.

    Raises UserError if the file is not a label image of this shape.
    """
    from deepemotion.packing.nifti import VolumeStream, read_header

    header = read_header(path)
    if header.volumes != 1:
        raise UserError(
            f"{path}: {header.volumes} volumes; an atlas (model.atlas) is one, with a number for each region"
        )
    _require_shape(header, shape[::-1])
    (volume,) = VolumeStream(header)
    region = _without_rescaling(volume.astype(np.float64) * header.slope + header.intercept, header)
    if not np.isfinite(region).all() or (region < 0).any() or (region != np.round(region)).any():
        raise UserError(
            f"{path}: values that are not whole numbers from 0 up; model.atlas takes a label image, resampled without"
            " interpolation and saved as integers"
        )
    if not region.any():
        raise UserError(f"{path}: 0 everywhere; an atlas (model.atlas) has a number above 0 for each region")
    return region.astype(np.int64)


def cut_out(region: NDArray[np.int64], grid: Grid) -> NDArray[np.int64]:
    """Return the regions (V,) of a grid's dense volume, given those of the packed grid that it was cut out of."""
    box = tuple(slice(first, first + side) for first, side in zip(grid.origin[::-1], grid.shape[::-1], strict=True))
    return region.reshape(grid.mask.shape[::-1])[box].ravel()


def _without_rescaling(region: NDArray[np.float64], header: "NiftiHeader") -> NDArray[np.float64]:
    """Return whole numbers where a program stored labels as scaled integers, which are a step of the scale off."""
    whole = np.round(region)
    step = abs(header.slope)
    is_rescaled = header.dtype.kind in "iu" and step < _LARGEST_STEP and bool((np.abs(region - whole) <= step).all())
    return whole if is_rescaled else region


def require_grid(path: Path, file: SubjectFile) -> None:
    """Raise UserError if the atlas has another grid than the packed subject."""
    from deepemotion.packing.nifti import read_header

    header = read_header(path)
    _require_shape(header, file.shape)
    if not header.has_affine:
        raise UserError(
            f"{path}: its header has no affine (sform or qform), so its regions may be elsewhere; if it is on the grid"
            f" of {file.path}, save it with that affine"
        )
    if not np.allclose(header.affine, file.affine, atol=AFFINE_TOLERANCE):
        raise UserError(f"{path}: another affine than that of {file.path}; {_RESAMPLE}")


def _require_shape(header: "NiftiHeader", shape: tuple[int, ...]) -> None:
    if tuple(header.shape) != tuple(shape):
        raise UserError(f"{header.path}: shape {tuple(header.shape)}, but the data has {tuple(shape)}; {_RESAMPLE}")
