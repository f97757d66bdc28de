"""Mean, standard deviation and linear trend of every voxel over a run, gathered while its volumes pass by."""

import numpy as np
from numpy.typing import NDArray

from deepemotion import kernels

# Fewer volumes at a time would touch the sums in float64 too often, more would take memory.
_BLOCK = 16


class RunStatistics:
    """Gathers the statistics of V voxels over the volumes of one run, in order and in physical units.

    Sums of x - c, t (x - c) and (x - c)^2, where c is the voxel's mean over the first block of volumes, rounded: in
    float32 within a block, in float64 over the blocks.

    That sums of squares cancel is bounded: the mean over a share p of the volumes lies at most sqrt(1 / p - 1) standard
    deviations from the mean of all, so over 450 volumes the squares are at most 28 times the variance that they leave.
    """

    def __init__(self, voxels: int) -> None:
        self._block = np.empty((_BLOCK, voxels), np.int16)
        self._scale = np.empty((_BLOCK, 2))
        self._waiting = self._merged = 0
        self._centre = np.zeros(voxels)
        self._extremes = np.zeros(2)  # of c over the voxels
        self._sums = np.zeros((3, voxels))

    def room(self) -> NDArray[np.int16]:
        """Return where the next volume (V,) may be written before it is added, so that it need not be copied."""
        room: NDArray[np.int16] = self._block[self._waiting]
        return room

    def add(self, stored: NDArray[np.int16], slope: float, intercept: float) -> None:
        """Add the next volume (V,), in its `room()` or anywhere; physical value = slope * stored + intercept."""
        room = self.room()
        if not np.may_share_memory(stored, room):
            room[:] = stored
        self._scale[self._waiting] = slope, intercept
        self._waiting += 1
        if self._waiting == _BLOCK:
            self._merge()

    def result(self) -> dict[str, NDArray[np.float32]]:
        """Return mean, std (ddof 0) and trend (slope of the least-squares line, units per volume), each (V,).

        At least two volumes must have been added: one has no trend.
        """
        if self._waiting:
            self._merge()
        count = self._merged
        total, with_time, squares = self._sums
        mean = total / count
        with_time = with_time - (count - 1) / 2 * total
        time_squares = count * (count * count - 1) / 12  # sum of (t - mean t)^2 over t = 0..n-1
        # Rounding may leave less than nothing of a voxel that hardly changes.
        variance = np.maximum(squares / count - mean * mean, 0)
        return {
            "mean": (self._centre + mean).astype(np.float32),
            "std": np.sqrt(variance).astype(np.float32),
            "trend": (with_time / time_squares).astype(np.float32),
        }

    def _merge(self) -> None:
        block, scale = self._block[: self._waiting], self._scale[: self._waiting]
        count = self._waiting
        # From the first volume's intercept, and in units that keep all volumes' values, and c, within reach of float32.
        slope, intercept = scale[0]
        away = scale[:, 1:] - intercept
        far = np.abs(self._extremes - intercept).max() / 2**24 if self._merged else 0.0
        alike = bool((scale == scale[0]).all()) and far <= abs(slope)
        if not alike:
            slope = max(np.abs(scale[:, 0]).max(), np.abs(away).max() / 32768, far)
        times = self._merged + np.arange(count)
        weights = np.column_stack([scale[:, 0] / slope, away / slope, times]).astype(np.float32)
        kernels.add_volumes(block, weights, slope, intercept, not self._merged, self._centre, self._sums)
        if not self._merged:
            self._extremes = np.array([self._centre.min(), self._centre.max()])
        self._merged, self._waiting = self._merged + count, 0
