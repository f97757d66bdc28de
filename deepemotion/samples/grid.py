"""The grid of a trial's dense volumes: the packed one, its mask's bounding box, or blocks of 2 x 2 x 2 voxels.

Shape suffixes: P voxels of the packed grid that are used, V voxels of this grid, XYZ and ZYX a volume.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from deepemotion.settings.schema import DataSettings

Shape = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class Grid:
    """A grid of voxels, each `step` packed voxels wide, whose first is `origin` such voxels into the packed grid.

    A voxel of this grid is used if any packed voxel in it is. `mask` (X, Y, Z) is of the packed grid; `origin` and
    `shape` are X, Y, Z.
    """

    mask: NDArray[np.bool_]
    step: int
    origin: Shape
    shape: Shape

    @classmethod
    def of(cls, mask: NDArray[np.bool_], settings: DataSettings) -> Self:
        """Return the grid that the settings ask for; `mask` must have a voxel."""
        step = settings.downsample
        low, high = [0, 0, 0], list(mask.shape)
        if settings.crop:
            low, high = map(list, bounding_box(mask))
        origin = [first // step for first in low]
        shape = [-(-end // step) - first for first, end in zip(origin, high, strict=True)]
        return cls(mask, step, (origin[0], origin[1], origin[2]), (shape[0], shape[1], shape[2]))

    @cached_property
    def voxels(self) -> NDArray[np.int64]:
        """(V,): flat index of each used voxel in the dense volume ZYX, x fastest; sorted."""
        return np.flatnonzero(self.mask.ravel(order="F")) if self._is_packed_grid else np.unique(self._voxel_of_packed)

    @cached_property
    def block(self) -> NDArray[np.int64]:
        """(P,): which of the V voxels each used packed voxel is in, the packed ones in their file's order."""
        if self.step == 1:
            return np.arange(np.count_nonzero(self.mask))
        return np.searchsorted(self.voxels, self._voxel_of_packed)

    def to_packed(self, values_V: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return a volume (X, Y, Z) of the packed grid: each used voxel with its block's value, zero elsewhere."""
        flat = np.zeros(self.mask.size, np.float32)
        flat[self.mask.ravel(order="F")] = values_V[self.block]
        return flat.reshape(self.mask.shape, order="F")

    @property
    def _is_packed_grid(self) -> bool:
        return self.step == 1 and self.shape == self.mask.shape

    @cached_property
    def _voxel_of_packed(self) -> NDArray[np.int64]:
        zyx = np.nonzero(self.mask.T)
        own = [at // self.step - first for at, first in zip(zyx, self.origin[::-1], strict=True)]
        return np.ravel_multi_index(own, self.shape[::-1]).astype(np.int64)


def bounding_box(mask: NDArray[np.bool_]) -> tuple[Shape, Shape]:
    """Return the first voxel of the smallest box around the mask (X, Y, Z), and the one beyond its last."""
    ends = []
    for axis in range(3):
        filled = np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))
        ends.append((int(filled[0]), int(filled[-1]) + 1))
    (x0, x1), (y0, y1), (z0, z1) = ends
    return (x0, y0, z0), (x1, y1, z1)
