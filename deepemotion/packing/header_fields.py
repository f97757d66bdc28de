"""Reads and checks the header of a single-file NIfTI of version 1 or 2, from its decompressed bytes."""

import io
import logging
import math
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from nibabel.spatialimages import HeaderDataError

from deepemotion.errors import UserError
from deepemotion.packing.input_file import read_exactly

_SIZES = (348, 540)
# Without extensions, voxels begin after the header and 4 bytes that say so.
_LEAST_OFFSETS = (352, 544)
_SECONDS = {8: 1.0, 16: 1e-3, 24: 1e-6}
# The volume of a voxel whose sides are a tenth of a micrometre: the affine of no image.
_LEAST_MM3 = 1e-12
_NO_NIFTI = "not a NIfTI file (.nii, .nii.gz), or damaged"
# nibabel corrects small faults of headers, and would print each.
_QUIET = logging.Logger("nifti", logging.CRITICAL + 1)


def read(path: Path, source: io.BufferedIOBase) -> dict[str, Any]:
    """Return the fields of `NiftiHeader`, without its path, from the beginning of a file's content.

    Extensions of the header are skipped. Raises UserError for what is not a NIfTI file of real numbers in three
    dimensions and time, and EOFError if the header is truncated.
    """
    header = _parse(path, source)
    try:
        dtype = header.get_data_dtype()
        slope, intercept = header.get_slope_inter()
        affine = np.asarray(header.get_best_affine(), np.float64)
    except (HeaderDataError, ValueError) as error:
        raise UserError(f"{path}: {_NO_NIFTI} ({error}); fetch it again") from error
    if dtype.kind not in "iuf" or dtype.itemsize > 8:
        raise UserError(f"{path}: voxels of type {dtype}; convert it to an integer or float type")
    if not np.isfinite(affine).all():
        raise UserError(f"{path}: its affine has values that are not finite; correct its sform or qform")
    has_affine = bool(header["sform_code"] > 0 or header["qform_code"] > 0)
    if has_affine and abs(np.linalg.det(affine[:3, :3])) < _LEAST_MM3:
        raise UserError(f"{path}: its affine gives voxels without a volume; correct its sform or qform")
    shape, volumes = _dimensions(path, header)
    time_step = float(header["pixdim"][4]) if volumes == int(header["dim"][4]) else 0.0
    return {
        "shape": shape,
        "volumes": volumes,
        "dtype": dtype,
        "affine": affine,
        "has_affine": has_affine,
        "slope": 1.0 if slope is None else float(slope),
        "intercept": 0.0 if intercept is None else float(intercept),
        "offset": _offset(path, header),
        "time_step": time_step if math.isfinite(time_step) and time_step > 0 else 0.0,
        "time_unit": _SECONDS.get(int(header["xyzt_units"]) & 0x38),
    }


def _parse(path: Path, source: io.BufferedIOBase) -> nibabel.Nifti1Header:
    """Return the header, after nibabel's checks and corrections."""
    block = source.read(_SIZES[0])
    size = block[:4]
    if len(block) == 0:
        raise EOFError
    if not any(int.from_bytes(size, order) in _SIZES for order in ("little", "big")):
        raise UserError(f"{path}: {_NO_NIFTI}")
    if len(block) < _SIZES[0]:
        raise EOFError
    if block[4:7] in (b"n+2", b"ni2"):
        block += read_exactly(source, _SIZES[1] - _SIZES[0])
        kind, dim, magic = nibabel.Nifti2Header, block[16:24], block[4:7]
    else:
        kind, dim, magic = nibabel.Nifti1Header, block[40:42], block[344:347]
    if magic in (b"ni1", b"ni2"):
        raise UserError(f"{path}: the header of a pair (.hdr and .img); convert it to one .nii file")
    if magic not in (b"n+1", b"n+2"):
        raise UserError(f"{path}: {_NO_NIFTI}")
    axes = {order: int.from_bytes(dim, order, signed=True) for order in ("little", "big")}
    order = next((order for order, count in axes.items() if 1 <= count <= 7), None)
    if order is None:
        raise UserError(f"{path}: {_NO_NIFTI}: its number of dimensions is {axes['little']}; fetch it again")
    try:
        header = kind(block, "<" if order == "little" else ">", check=False)
        _require_offset(path, header)
        header.check_fix(_QUIET, logging.ERROR)
    except HeaderDataError as error:
        raise UserError(f"{path}: {_NO_NIFTI} ({error}); fetch it again") from error
    return header


def _dimensions(path: Path, header: nibabel.Nifti1Header) -> tuple[tuple[int, int, int], int]:
    """Return (X, Y, Z) and the number of volumes."""
    dim = [int(length) for length in header["dim"]]
    shape = tuple(dim[1 : dim[0] + 1])
    if min(shape) < 1:
        raise UserError(f"{path}: {_NO_NIFTI}: its dimensions are {shape}; fetch it again")
    further = [length for length in shape[3:] if length > 1]
    if len(shape) < 3 or len(further) > 1:
        raise UserError(f"{path}: {len(shape)} dimensions {shape}; a run has four (x, y, z, volume)")
    return (shape[0], shape[1], shape[2]), further[0] if further else 1


def _require_offset(path: Path, header: nibabel.Nifti1Header) -> None:
    offset = float(header["vox_offset"])
    least = _least_offset(header)
    if offset != 0 and not (least <= offset < 2**63 and offset == int(offset)):
        raise UserError(f"{path}: {_NO_NIFTI}: its voxels cannot begin at byte {offset:g} (vox_offset); fetch it again")


def _offset(path: Path, header: nibabel.Nifti1Header) -> int:
    # 0 is how some programs say that nothing lies between header and voxels.
    return int(header["vox_offset"]) or _least_offset(header)


def _least_offset(header: nibabel.Nifti1Header) -> int:
    return _LEAST_OFFSETS[isinstance(header, nibabel.Nifti2Header)]
