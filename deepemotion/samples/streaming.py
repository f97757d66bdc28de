"""A trial's volumes left in their subject files, for trials that are larger than their memory."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from deepemotion.samples.volume_reader import VolumeReader


class SubjectFiles:
    """The labelled volumes of several subjects: those of the first reader first, as its `rows` has them."""

    def __init__(self, readers: Sequence[VolumeReader], rows: Sequence[NDArray[np.int64]], voxels: int) -> None:
        self._readers = readers
        self._rows = rows
        self._end_S = np.cumsum([len(one) for one in rows])
        self.voxels = voxels

    def fill(self, rows: NDArray[np.int64], out: NDArray[np.int16]) -> None:
        """Read the volumes `rows` into `out`. Raises UserError where a file is damaged."""
        for i, (row, subject) in enumerate(zip(rows, np.searchsorted(self._end_S, rows, side="right"), strict=True)):
            own = self._rows[subject]
            which = row - (self._end_S[subject] - len(own))
            self._readers[subject].read(own[which : which + 1], out[i : i + 1])
