"""Mean, standard deviation and linear trend of every voxel over a run, gathered in one pass."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

# Volumes summed at a time: long enough for matrix products to pay, short enough to forget about memory.
_BLOCK = 8


class VoxelStatistics:
    """Gathers n volumes of V voxels, in order; n is known beforehand, as the trend's weights depend on it.

    Sums are taken of differences to the mean of the first block: squares of raw intensities would lose the variance.
    """

    def __init__(self, volumes: int, voxels: int) -> None:
        self.volumes = volumes
        self._weight = np.arange(volumes) - (volumes - 1) / 2
        self._block = np.empty((_BLOCK, voxels), np.float32)
        self._filled = self._seen = 0
        self._origin: NDArray[np.float32] | None = None
        self._sums = np.zeros((3, voxels))  # of d, d^2 and weight * d

    def add(self, volume: NDArray[Any]) -> None:
        """Add the next volume (V,)."""
        self._block[self._filled] = volume
        self._filled += 1
        if self._filled == _BLOCK:
            self._sum_block()

    def result(self, slope: float, intercept: float) -> dict[str, NDArray[np.float32]]:
        """Return mean, std (ddof 0) and trend (least squares, per volume), each (V,), of slope * x + intercept."""
        self._sum_block()
        if self._seen != self.volumes or self._origin is None:
            raise ValueError(f"{self._seen} volumes added, {self.volumes} announced")
        mean = self._sums[0] / self.volumes
        variance = np.maximum(self._sums[1] / self.volumes - mean**2, 0)
        trend = self._sums[2] / np.sum(self._weight**2)
        return {
            "mean": (slope * (self._origin + mean) + intercept).astype(np.float32),
            "std": (abs(slope) * np.sqrt(variance)).astype(np.float32),
            "trend": (slope * trend).astype(np.float32),
        }

    def _sum_block(self) -> None:
        if self._filled == 0:
            return
        block = self._block[: self._filled]
        if self._origin is None:
            self._origin = block.mean(axis=0)
        block -= self._origin
        weight = self._weight[self._seen : self._seen + self._filled].astype(np.float32)
        self._sums[0] += block.sum(axis=0)
        self._sums[1] += np.einsum("nv,nv->v", block, block)
        self._sums[2] += weight @ block
        self._seen += self._filled
        self._filled = 0
