"""What reads a subject's volumes for a trial: as they are packed, or changed on the way.

Shape suffixes: V voxels of the trial's grid, R runs.
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from deepemotion.subject_file.format import Statistic
from deepemotion.subject_file.reader import SubjectFile

# Enough concurrent requests for a slow file system.
THREADS = 4
# Symmetric, so that the middle of a range is stored as 0.
LARGEST = 32767

# Slope and intercept (R, V) by which a run's stored values become physical ones.
VoxelScale = tuple[NDArray[np.float64], NDArray[np.float64]]


class Reader(Protocol):
    """The volumes of one subject with V voxels, as int16; they may be read by several threads at once."""

    @property
    def file(self) -> SubjectFile:
        """The packed file, which must stay open."""

    @property
    def voxels(self) -> int:
        """V."""

    @property
    def voxel_scale(self) -> VoxelScale | None:
        """Slope and intercept (R, V) of the voxels; None if each volume has one scale, which `read` returns."""

    def scale(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return slopes and intercepts (n, 2) of the volumes `rows`, 1 and 0 if `voxel_scale` is the whole scale."""

    def statistics(self, names: tuple[Statistic, ...]) -> dict[Statistic, NDArray[np.float32]]:
        """Return (R, V) of each name, in physical units, one row per run."""

    def read(self, rows: NDArray[np.int64], out: NDArray[np.int16]) -> NDArray[np.float64]:
        """Read the volumes `rows` (n,) of the file into `out` (n, V), and return their `scale`.

        Raises UserError if the file is damaged.
        """

    def read_side_by_side(self, rows: NDArray[np.int64], out: NDArray[np.int16]) -> NDArray[np.float64]:
        """Do the same in several threads; `rows` must be in order."""
