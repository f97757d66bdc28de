"""Mean, standard deviation and linear trend of every voxel over a run, gathered while its volumes pass by."""

import numpy as np
from numpy.typing import NDArray

# A tile of 16 volumes x 8192 voxels in float32 (512 kB) stays in the processor's second-level cache.
BLOCK = 16
_TILE = 8192


class RunStatistics:
    """Accumulates the statistics of V voxels over the volumes of one run, in physical units.

    Each block of volumes is summarised around its own mean, in float32 (exact for the sums of 16 int16 values), and merged
    in float64 by the pairwise formula of Chan, Golub and LeVeque (1979, "Updating formulae and a pairwise algorithm for
    computing sample variances"), for the covariance with time too: no sum of squares that could cancel.
    """

    def __init__(self, voxels: int) -> None:
        self._volumes = 0
        self._mean = np.zeros(voxels)
        self._squares = np.zeros(voxels)  # sum of squared deviations from the mean
        self._with_time = np.zeros(voxels)  # sum of (t - mean t) (x - mean x)

    def add(self, values: NDArray[np.int16], scale: NDArray[np.float64]) -> None:
        """Add the next n <= BLOCK volumes: stored values (n, V), slope and intercept of each (n, 2)."""
        count, before = len(values), self._volumes
        total = before + count
        time = (np.arange(count) - (count - 1) / 2).astype(np.float32)
        weight = before * count / total
        apart = total / 2  # from the middle of all volumes before to the middle of these
        # In units of the first volume's slope and from its intercept: large offsets never meet float32.
        slope, intercept = scale[0]
        slopes = (scale[:, :1] / slope).astype(np.float32)
        intercepts = ((scale[:, 1:] - intercept) / slope).astype(np.float32)
        alike = bool((scale == scale[0]).all())
        tile = np.empty((count, _TILE), dtype=np.float32)
        for start in range(0, values.shape[1], _TILE):
            part = np.s_[start : start + _TILE]
            x = tile[:, : values[:, part].shape[1]]
            np.copyto(x, values[:, part])
            if not alike:
                x *= slopes
                x += intercepts
            centre = x.mean(axis=0)
            x -= centre
            step = centre * slope + intercept - self._mean[part]
            self._squares[part] += np.einsum("tv,tv->v", x, x) * slope**2 + weight * step * step
            self._with_time[part] += np.einsum("t,tv->v", time, x) * slope + weight * apart * step
            self._mean[part] += step * (count / total)
        self._volumes = total

    def finish(self) -> dict[str, NDArray[np.float32]]:
        """Return mean, std (ddof 0) and trend (slope of the least-squares line, units per volume), each (V,)."""
        count = self._volumes
        time_squares = count * (count * count - 1) / 12  # sum of (t - mean t)^2 over t = 0..n-1
        return {
            "mean": self._mean.astype(np.float32),
            "std": np.sqrt(self._squares / count).astype(np.float32),
            "trend": (self._with_time / time_squares).astype(np.float32),
        }
