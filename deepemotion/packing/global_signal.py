"""The global signal of a packed subject: the mean over the mask and over each slice of every volume."""

import numpy as np

from deepemotion.subject_file.control_series import VolumeSeries
from deepemotion.subject_file.reader import SubjectFile

# Volumes that are read at a time: they stay in the processor's cache, or nearly.
_BLOCK = 4


def global_signal(file: SubjectFile) -> VolumeSeries:
    """Return (T, 1 + slices with a voxel in the mask) in physical units, from one reading of the packed volumes.

    Raises UserError if the file is damaged.
    """
    # Voxels are stored with x fastest and z slowest: a slice is a stretch of them.
    per_slice = file.mask.sum(axis=(0, 1))
    slices = np.flatnonzero(per_slice)
    size = per_slice[slices]
    starts = np.cumsum(size) - size
    # Half the time of int64, where no sum can exceed it.
    kind = np.int32 if size.max() < 2**16 else np.int64
    sums = np.empty((file.total, len(slices)))
    slope, intercept = file.voxel_scale() if file.has_voxel_scale else (None, None)
    stored = np.empty((_BLOCK, file.voxels), np.int16)
    first = 0
    for row, count in enumerate(file.volumes_per_run.values()):
        rows = np.arange(first, first + count)
        first += count
        for block in (rows[i : i + _BLOCK] for i in range(0, count, _BLOCK)):
            values = file.read(block, out=stored[: len(block)])
            if slope is None or intercept is None:
                summed = np.add.reduceat(values, starts, axis=1, dtype=kind)
                sums[block] = file.scale[block, :1] * summed + file.scale[block, 1:] * size
            else:
                sums[block] = np.add.reduceat(values * slope[row], starts, axis=1) + np.add.reduceat(
                    intercept[row], starts
                )
    mean = sums.sum(axis=1, keepdims=True) / size.sum()
    return VolumeSeries(("mean", *(f"slice_{z}" for z in slices)), np.hstack([mean, sums / size]).astype(np.float32))
