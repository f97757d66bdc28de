"""Stores any source type as int16: exactly if the values allow it, else scaled for each voxel of a run.

Each voxel has a scale (slope and intercept), not each volume: one bright voxel takes no precision from the others, and
a voxel that never changes stays constant.
"""

import math
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from deepemotion.subject_file import kernels

_LEAST, _LARGEST = -32768, 32767
_TINY = float(np.finfo(np.float32).tiny)


class VoxelScale(NamedTuple):
    """The scale of V voxels: value = slope * stored + intercept. A voxel that never changes has slope 1."""

    slope: NDArray[np.float32]
    intercept: NDArray[np.float64]

    @classmethod
    def identity(cls, voxels: int) -> Self:
        """Return the scale of values that are stored as they are."""
        return cls(np.ones(voxels, np.float32), np.zeros(voxels))

    def within(self, slope: float, intercept: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return slope and intercept (V,) of physical values, which are slope * value + intercept."""
        return slope * self.slope.astype(np.float64), slope * self.intercept + intercept


class Extremes:
    """The smallest and largest value of each voxel over the volumes of a run, and how to store them accordingly."""

    def __init__(self, voxels: int, dtype: np.dtype[Any]) -> None:
        self._low = np.full(voxels, np.inf if dtype.kind == "f" else np.iinfo(dtype).max, dtype)
        self._high = np.full(voxels, -np.inf if dtype.kind == "f" else np.iinfo(dtype).min, dtype)
        self._whole = True

    def add(self, values: NDArray[Any]) -> None:
        """Add the next volume (V,); its values are finite."""
        np.minimum(self._low, values, out=self._low)
        np.maximum(self._high, values, out=self._high)
        if self._whole and values.dtype.kind == "f":
            self._whole = bool((values == np.rint(values)).all())

    @property
    def fit_int16(self) -> bool:
        """Whether every value so far is a whole number that int16 holds: it can be stored as it is."""
        return self._whole and bool(self._low.min() >= _LEAST and self._high.max() <= _LARGEST)

    @property
    def largest(self) -> float:
        """The largest absolute value so far."""
        return max(abs(float(self._low.min())), abs(float(self._high.max())))

    def scale(self) -> VoxelScale:
        """Return the scale by which each voxel uses the whole range of int16.

        Whole numbers that span at most 65,535 are stored exactly. Elsewhere a value is off by at most half a step, and
        a step is at most 1 / 65,534 of the voxel's range R over the run (one part in 65,000 more, for the rounding of
        the scale to float32). The voxel reaches both ends of R, so the standard deviation of its n volumes is at least
        R / sqrt(2 n), and the error at most sqrt(2 n) / 131,068 of it: 0.00023 for 451 volumes.
        """
        low, high = self._low.astype(np.float64), self._high.astype(np.float64)
        # Halves first: the sum of two large values may exceed the type.
        middle = low / 2 + high / 2
        exact = (high - low <= _LARGEST - _LEAST) & self._whole
        # Up, since int16 reaches one further below 0 than above.
        middle = np.where(exact, np.ceil(middle), middle)
        half = np.maximum(high - middle, middle - low)
        slope = np.maximum(half / _LARGEST, _TINY).astype(np.float32)
        # Rounded up, so that no value falls outside the range.
        slope[slope.astype(np.float64) * _LARGEST < half] *= np.float32(1 + 2**-23)
        slope[exact | (half == 0)] = 1
        return VoxelScale(slope, middle)


class Quantiser:
    """Encodes the volumes of a run with a scale for each voxel, and keeps the largest error (V,) of each voxel."""

    def __init__(self, scale: VoxelScale) -> None:
        self._scale = scale
        self.error: NDArray[np.float64] = np.zeros(len(scale.slope))

    def encode(self, values: NDArray[Any], out: NDArray[np.int16]) -> None:
        """Write the volume's values (V,), of any type, into `out` (V,)."""
        kind = values.dtype if values.dtype in (np.float32, np.float64) else np.dtype(np.float64)
        kernels.quantise(values.astype(kind, copy=False), *self._scale, out, self.error)


def error_bound(volumes: int) -> float:
    """Return the largest possible error of a voxel over a run, in its standard deviations (see `Extremes.scale`)."""
    return math.sqrt(2 * volumes) / (2 * (_LARGEST - _LEAST - 1))


def largest_ratio(error_V: NDArray[np.floating], std_V: NDArray[np.floating]) -> float:
    """Return the largest error as a share of the voxel's standard deviation, over the voxels that change at all."""
    changing = std_V > 0
    ratio = float((error_V[changing] / std_V[changing]).max()) if changing.any() else 0.0
    return ratio if math.isfinite(ratio) else math.inf
