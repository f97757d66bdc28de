"""Mean, standard deviation and linear trend of every voxel over a run, gathered while its volumes pass by."""

import numpy as np
from numpy.typing import NDArray

# A tile of 32 volumes x 8192 voxels in float32 (1 MB) stays in the processor's second-level cache.
_BLOCK = 32
_TILE = 8192


class RunStatistics:
    """Gathers the statistics of V voxels over the volumes of one run, in order and in physical units.

    Each block of volumes is summarised around its own mean in float32 (sums of 32 int16 values are exact in it), then
    merged in float64 by the pairwise formula of Chan, Golub and LeVeque (1979, "Updating formulae and a pairwise
    algorithm for computing sample variances"), the covariance with time too: no sum of squares that could cancel.
    """

    def __init__(self, voxels: int) -> None:
        self._block = np.empty((_BLOCK, voxels), np.int16)
        self._scale = np.empty((_BLOCK, 2))
        self._waiting = self._merged = 0
        self._mean = np.zeros(voxels)
        self._squares = np.zeros(voxels)  # sum of squared deviations from the mean
        self._with_time = np.zeros(voxels)  # sum of (t - mean t) (x - mean x)

    def add(self, stored: NDArray[np.int16], slope: float, intercept: float) -> None:
        """Add the next volume (V,); physical value = slope * stored + intercept."""
        self._block[self._waiting] = stored
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
        time_squares = count * (count * count - 1) / 12  # sum of (t - mean t)^2 over t = 0..n-1
        return {
            "mean": self._mean.astype(np.float32),
            "std": np.sqrt(self._squares / count).astype(np.float32),
            "trend": (self._with_time / time_squares).astype(np.float32),
        }

    def _merge(self) -> None:
        block, scale = self._block[: self._waiting], self._scale[: self._waiting]
        count, total = self._waiting, self._merged + self._waiting
        time = (np.arange(count) - (count - 1) / 2).astype(np.float32)
        weight = self._merged * count / total
        apart = total / 2  # from the middle of the volumes before to the middle of these
        # From the first volume's intercept, and in units that keep all volumes' values within reach of float32.
        slope, intercept = scale[0]
        away = scale[:, 1:] - intercept
        alike = bool((scale == scale[0]).all())
        if not alike:
            slope = max(np.abs(scale[:, 0]).max(), np.abs(away).max() / 32768)
        slopes, intercepts = (scale[:, :1] / slope).astype(np.float32), (away / slope).astype(np.float32)
        tile = np.empty((count, _TILE), np.float32)
        for start in range(0, block.shape[1], _TILE):
            part = np.s_[start : start + _TILE]
            x = tile[:, : block[:, part].shape[1]]
            np.copyto(x, block[:, part])
            if not alike:
                x *= slopes
                x += intercepts
            centre = x.mean(axis=0)
            x -= centre
            step = centre * slope + intercept - self._mean[part]
            self._squares[part] += np.einsum("tv,tv->v", x, x) * slope**2 + weight * step * step
            self._with_time[part] += np.einsum("t,tv->v", time, x) * slope + weight * apart * step
            self._mean[part] += step * (count / total)
        self._merged, self._waiting = total, 0
