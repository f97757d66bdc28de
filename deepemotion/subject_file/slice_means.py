"""The global signal: the means of volumes over the mask and over each slice."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from deepemotion.subject_file.control_series import VolumeSeries
from deepemotion.subject_file.kernels import sum_slices
from deepemotion.subject_file.quantisation import VoxelScale


class SliceMeans:
    """Takes the means of the volumes of one run, whose V voxels have the scale given, or none of their own.

    They are 1 + S: the mean of the mask, and of each of the S slices with a voxel in it.
    """

    def __init__(self, mask: NDArray[np.bool_], scale: VoxelScale | None = None) -> None:
        # Voxels are stored with x fastest and z slowest: a slice is a stretch of them.
        size_Z = mask.sum(axis=(0, 1), dtype=np.int64)
        self._size_S = size_Z[size_Z > 0]
        self._ends_S = np.cumsum(self._size_S)
        self._slope_V = None if scale is None else scale.slope
        self._intercept_S: NDArray[np.float64] = np.zeros(len(self._size_S))
        if scale is not None:
            self._intercept_S += np.add.reduceat(scale.intercept, self._ends_S - self._size_S)

    def of(self, stored: NDArray[np.int16], slope: float, intercept: float) -> NDArray[np.float64]:
        """Return the means (1 + S,) of a volume (V,), whose physical values are slope * value + intercept.

        A value is the stored one, or what the scale of its voxel makes of that.
        """
        sum_S = np.empty(len(self._ends_S))
        sum_slices(stored, self._slope_V, self._ends_S, sum_S)
        sum_S = slope * (sum_S + self._intercept_S) + intercept * self._size_S
        return np.append(sum_S.sum() / self._size_S.sum(), sum_S / self._size_S)


def global_signal(mask: NDArray[np.bool_], means: Iterable[NDArray[np.float64]]) -> VolumeSeries:
    """Return the series of a subject's volumes, of which `means` gives each one's (1 + S,) in order."""
    slices = np.flatnonzero(mask.any(axis=(0, 1)))
    return VolumeSeries(("mean", *(f"slice_{z}" for z in slices)), np.stack(list(means)).astype(np.float32))
