"""Mean, standard deviation and linear trend of every voxel over a run, accumulated volume by volume."""

import numpy as np
from numpy.typing import NDArray

from deepemotion.subject_file import kernels

# Volumes to add at a time: fewer would update the sums in float64 too often, more would take memory.
BLOCK = 16
# The scale of volumes whose values are added as they are stored.
UNSCALED = np.tile([1.0, 0.0], (BLOCK, 1))


# Slope and intercept (V,) of each voxel.
Scale = tuple[NDArray[np.float64], NDArray[np.float64]]


class RunStatistics:
    """Accumulates the statistics of V voxels over the volumes of one run, in order.

    Sums of x - c, t (x - c) and (x - c)^2, where c is the voxel's mean over the first block of volumes, rounded: in
    float32 within a block, in float64 over the blocks.

    Cancellation of the sums of squares is bounded: the mean over a share p of the volumes is at most sqrt(1 / p - 1)
    standard deviations from the mean of all, so over 450 volumes the squares are at most 28 times the variance that
    remains.
    """

    def __init__(self, voxels: int) -> None:
        self._count = 0
        self._centre = np.zeros(voxels)
        self._extremes = np.zeros(2)  # of c over the voxels
        self._sums = np.zeros((3, voxels))

    def add(self, volumes: NDArray[np.int16], scale: NDArray[np.float64]) -> None:
        """Add the next volumes (T, V), T at most BLOCK; value = scale[t, 0] * stored + scale[t, 1]."""
        # From the first volume's intercept, in units that keep all values and c within float32's reach.
        slope, intercept = scale[0]
        away = scale[:, 1:] - intercept
        far = np.abs(self._extremes - intercept).max() / 2**24 if self._count else 0.0
        alike = bool((scale == scale[0]).all()) and far <= abs(slope)
        if not alike:
            slope = max(np.abs(scale[:, 0]).max(), np.abs(away).max() / 32768, far)
        times = self._count + np.arange(len(volumes))
        weights = np.column_stack([scale[:, 0] / slope, away / slope, times]).astype(np.float32)
        kernels.add_volumes(volumes, weights, slope, intercept, not self._count, self._centre, self._sums)
        if not self._count:
            self._extremes = np.array([self._centre.min(), self._centre.max()])
        self._count += len(volumes)

    def result(self, scale: Scale | None = None) -> dict[str, NDArray[np.float32]]:
        """Return mean, std (ddof 0) and trend (slope of the least-squares line, units per volume), each (V,).

        `scale` has a slope and an intercept (V,) for each voxel, which turn the added values into physical ones; None
        if they are physical already. At least two volumes must have been added: one has no trend. The sums are
        overwritten: call this once, last.
        """
        count = self._count
        self._sums /= count
        mean, trend, variance = self._sums
        trend -= (count - 1) / 2 * mean
        trend /= (count * count - 1) / 12  # the variance of t = 0..n-1
        variance -= mean * mean
        # Rounding may leave a negative variance for a voxel that hardly changes.
        std = np.sqrt(np.maximum(variance, 0, out=variance), out=variance)
        mean += self._centre
        if scale is not None:
            slope, intercept = scale
            mean *= slope
            mean += intercept
            trend *= slope
            std *= np.abs(slope)
        return {name: value.astype(np.float32) for name, value in (("mean", mean), ("std", std), ("trend", trend))}
