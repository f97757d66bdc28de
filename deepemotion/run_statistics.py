"""Mean, standard deviation and linear trend of every voxel over a run, gathered while its volumes pass by."""

import numpy as np
from numpy.typing import NDArray

# A tile of 32 volumes x 8192 voxels in float32 (1 MB) stays in the processor's second-level cache.
_BLOCK = 32
_TILE = 8192
# OpenBLAS starts threads of its own for larger products, which would only be in the way of other runs.
_PRODUCT = 4096


class RunStatistics:
    """Gathers the statistics of V voxels over the volumes of one run, in order and in physical units.

    Sums of x - c, t (x - c) and (x - c)^2, where c is the voxel's mean over the first block of volumes, rounded: in
    float32 within a block, in float64 over the blocks.

    That sums of squares cancel is bounded: the mean over a share p of the volumes lies at most sqrt(1 / p - 1) standard
    deviations from the mean of all, so over 450 volumes the squares are at most 14 times the variance that they leave.
    """

    def __init__(self, voxels: int) -> None:
        self._block = np.empty((_BLOCK, voxels), np.int16)
        self._scale = np.empty((_BLOCK, 2))
        self._waiting = self._merged = 0
        self._centre = np.zeros(voxels)
        self._extremes = np.zeros(2)  # of c over the voxels
        self._sum = np.zeros(voxels)
        self._with_time = np.zeros(voxels)
        self._squares = np.zeros(voxels)

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
        mean = self._sum / count
        with_time = self._with_time - (count - 1) / 2 * self._sum
        time_squares = count * (count * count - 1) / 12  # sum of (t - mean t)^2 over t = 0..n-1
        # Rounding may leave less than nothing of a voxel that hardly changes.
        variance = np.maximum(self._squares / count - mean * mean, 0)
        return {
            "mean": (self._centre + mean).astype(np.float32),
            "std": np.sqrt(variance).astype(np.float32),
            "trend": (with_time / time_squares).astype(np.float32),
        }

    def _merge(self) -> None:
        block, scale = self._block[: self._waiting], self._scale[: self._waiting]
        count = self._waiting
        weights = np.stack([np.ones(count), self._merged + np.arange(count)]).astype(np.float32)
        # From the first volume's intercept, and in units that keep all volumes' values, and c, within reach of float32.
        slope, intercept = scale[0]
        away = scale[:, 1:] - intercept
        far = np.abs(self._extremes - intercept).max() / 2**24 if self._merged else 0.0
        alike = bool((scale == scale[0]).all()) and far <= abs(slope)
        if not alike:
            slope = max(np.abs(scale[:, 0]).max(), np.abs(away).max() / 32768, far)
        slopes, intercepts = (scale[:, :1] / slope).astype(np.float32), (away / slope).astype(np.float32)
        tile, sums = np.empty((count, _TILE), np.float32), np.empty((2, _TILE), np.float32)
        for start in range(0, block.shape[1], _TILE):
            part = np.s_[start : start + _TILE]
            x = tile[:, : block[:, part].shape[1]]
            np.copyto(x, block[:, part])
            if not alike:
                x *= slopes
                x += intercepts
            if not self._merged:
                self._centre[part] = np.rint(x.mean(axis=0)) * slope + intercept
            x -= ((self._centre[part] - intercept) / slope).astype(np.float32)
            for piece in range(0, x.shape[1], _PRODUCT):
                columns = x[:, piece : piece + _PRODUCT]
                np.matmul(weights, columns, out=sums[:, piece : piece + columns.shape[1]])
            total, with_time = sums[:, : x.shape[1]]
            self._sum[part] += total * slope
            self._with_time[part] += with_time * slope
            self._squares[part] += np.einsum("tv,tv->v", x, x) * slope**2
        if not self._merged:
            self._extremes = np.array([self._centre.min(), self._centre.max()])
        self._merged, self._waiting = self._merged + count, 0
