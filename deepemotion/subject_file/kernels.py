"""Calls the compiled code for what packing and regression do with every voxel: kernels.c, built by hatch_build.py."""

import ctypes
import functools
import platform
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.ctypeslib import ndpointer
from numpy.typing import NDArray

from deepemotion.errors import UserError

_SOURCE = Path(__file__).with_suffix(".c")
# As kernels.c has it.
_MOST_VOLUMES = 16


@dataclass(frozen=True)
class Segments:
    """The stretches of voxels inside a mask (X, Y, Z), x fastest.

    bounds (S, 2) holds the first voxel of each and the one after its last; `end` is the one after the last of all,
    `voxels` the number of voxels.
    """

    bounds: NDArray[np.int64]
    end: int
    voxels: int

    @classmethod
    def of(cls, mask: NDArray[np.bool_]) -> Self:
        """Return the stretches of a mask."""
        inside = np.zeros(mask.size + 2, np.bool_)
        inside[1:-1] = mask.ravel(order="F")
        edges = np.flatnonzero(inside[1:] != inside[:-1])
        bounds = edges.reshape(-1, 2).astype(np.int64, copy=False)
        return cls(bounds, int(bounds.max(initial=0)), int(np.diff(bounds).sum()))


def gather(volume: NDArray[Any], inside: Segments, out: NDArray[Any]) -> None:
    """Copy the voxels of a volume (X * Y * Z,) that are inside the mask to `out` (V,), of the same type.

    Raises ValueError for arrays that do not match.
    """
    fits = inside.end <= volume.size and inside.voxels == out.size
    if not (fits and volume.dtype == out.dtype and volume.flags.c_contiguous and out.flags.c_contiguous):
        raise ValueError("volume, segments and out do not match")
    library().gather(volume.ctypes.data, volume.itemsize, inside.bounds, len(inside.bounds), out.ctypes.data)


def add_volumes(
    volumes: NDArray[np.int16],
    weights: NDArray[np.float32],
    unit: float,
    origin: float,
    set_centre: bool,
    centre: NDArray[np.float64],
    sums: NDArray[np.float64],
) -> None:
    """Add the volumes (T, V) to `sums` (3, V): of x - c, t (x - c) and (x - c)^2, where `centre` (V,) is c.

    Volume t has the time weights[t, 2], and x = origin + unit * (weights[t, 0] * volumes[t] + weights[t, 1]). They are
    added in float32, in units from the origin, and the results are added to `sums` in float64. `set_centre` first sets
    c to their mean, rounded to whole units.
    """
    count, voxels = volumes.shape
    library().add_volumes(volumes, count, voxels, weights, unit, origin, set_centre, centre, sums)


def quantise(
    values: NDArray[np.floating],
    slope: NDArray[np.float32],
    intercept: NDArray[np.float64],
    out: NDArray[np.int16],
    error: NDArray[np.float64],
) -> None:
    """Write the nearest stored values (V,) into `out`, where value = slope * stored + intercept, all of them (V,).

    `values` are float32 or float64; results beyond int16 become its ends. `error` (V,) becomes the largest
    difference so far.
    """
    function = library().quantise_float if values.dtype == np.float32 else library().quantise_double
    function(values.ctypes.data, values.size, slope, intercept, out, error)


def sum_slices(
    stored: NDArray[np.int16], slope: NDArray[np.float32] | None, ends: NDArray[np.int64], sums: NDArray[np.float64]
) -> None:
    """Write the sum of each slice of a volume into `sums` (S,): of `stored` (V,), or of `slope` (V,) * stored if given.

    A slice ends before the voxel that `ends` (S,) has for it, and begins where the one before it ends.
    """
    if ends[-1] != stored.size or len(ends) != len(sums) or (slope is not None and slope.size != stored.size):
        raise ValueError("stored, slope, ends and sums do not match")
    if slope is None:
        library().sum_slices(stored, ends, len(ends), sums)
    else:
        library().sum_scaled_slices(stored, slope, ends, len(ends), sums)


def add_products(
    volumes: NDArray[np.int16],
    scale: NDArray[np.float64],
    basis: NDArray[np.float64],
    centre: NDArray[np.float64],
    sums: NDArray[np.float64],
    squares: NDArray[np.float64],
    part: tuple[int, int],
) -> None:
    """Add to `sums` (K, V) the products of the columns of `basis` (T, K) with x - c, and to `squares` (V,) its square.

    x = scale[t, 0] * volumes[t] + scale[t, 1] in `volumes` (T, V), T at most 16, and `centre` (V,) is c. Only voxels
    from the first of `part` up to its second are added, each in the same way whatever the part.
    """
    count, voxels = volumes.shape
    if count > _MOST_VOLUMES or not 0 <= part[0] <= part[1] <= voxels:
        raise ValueError("too many volumes, or no such part of the voxels")
    library().add_products(volumes, count, voxels, *part, scale, basis, basis.shape[1], centre, sums, squares)


def subtract_products(
    volumes: NDArray[np.int16],
    scale: NDArray[np.float64],
    basis: NDArray[np.float64],
    coefficients: NDArray[np.float32],
    centre: NDArray[np.float32],
    per_unit: NDArray[np.float32],
) -> None:
    """Replace `volumes` (T, V) by the nearest whole numbers to per_unit * (x - c - basis @ coefficients).

    x and c are those of `add_products`, in float64; `basis` is (T, K), `coefficients` (K, V). Results beyond 32767 on
    either side become that.
    """
    count, voxels = volumes.shape
    library().subtract_products(volumes, count, voxels, scale, basis, basis.shape[1], coefficients, centre, per_unit)


@functools.cache
def library() -> ctypes.CDLL:
    """Return the compiled code, loaded when first needed: reading packed files and most trainings do not need it.

    Raises UserError if it is missing, or was built from another source or for another machine.
    """
    # The name identifies the version of the source that the library was built from.
    path = _SOURCE.with_name(f"kernels-{platform.machine()}-{zlib.crc32(_SOURCE.read_bytes()):08x}.so")
    if not path.exists():
        raise UserError(f"{path}: missing: {_SOURCE.name} was not compiled; install deepemotion again (pip install)")
    try:
        loaded = ctypes.CDLL(str(path))
    except OSError as error:
        raise UserError(f"{path}: cannot be loaded ({error}); install deepemotion again (pip install)") from error
    size, number, address = ctypes.c_ssize_t, ctypes.c_double, ctypes.c_void_p
    for name in ("gather", "add_volumes", "sum_slices", "sum_scaled_slices", "add_products", "subtract_products"):
        getattr(loaded, name).restype = None
    for quantise_type in (loaded.quantise_float, loaded.quantise_double):
        quantise_type.restype = None
        quantise_type.argtypes = [
            address,
            size,
            _array(np.float32),
            _array(np.float64),
            _array(np.int16),
            _array(np.float64),
        ]
    loaded.gather.argtypes = [address, size, _array(np.int64), size, address]
    loaded.add_volumes.argtypes = [
        _array(np.int16),
        size,
        size,
        _array(np.float32),
        number,
        number,
        ctypes.c_int,
        _array(np.float64),
        _array(np.float64),
    ]
    volumes = [_array(np.int16), size, size]
    products = [_array(np.float64), _array(np.float64), size]
    loaded.add_products.argtypes = [*volumes, size, size, *products, *[_array(np.float64)] * 3]
    loaded.subtract_products.argtypes = [*volumes, *products, *[_array(np.float32)] * 3]
    loaded.sum_slices.argtypes = [_array(np.int16), _array(np.int64), size, _array(np.float64)]
    loaded.sum_scaled_slices.argtypes = [
        _array(np.int16),
        _array(np.float32),
        _array(np.int64),
        size,
        _array(np.float64),
    ]
    return loaded


def _array(dtype: type[np.generic]) -> Any:
    return ndpointer(dtype, flags="C_CONTIGUOUS")
