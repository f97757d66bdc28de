"""Reads the global signal of a subject that is packed already; packing one takes it along the way."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from deepemotion.subject_file.control_series import VolumeSeries
from deepemotion.subject_file.reader import SubjectFile
from deepemotion.subject_file.slice_means import SliceMeans, global_signal


def read_global_signal(file: SubjectFile) -> VolumeSeries:
    """Return (T, 1 + slices with a voxel in the mask) in physical units. Raises UserError if the file is damaged."""
    return global_signal(file.mask, _means(file))


def _means(file: SubjectFile) -> Iterator[NDArray[np.float64]]:
    stored = np.empty((1, file.voxels), np.int16)
    for run in file.volumes_per_run:
        means = SliceMeans(file.mask, file.stored_voxel_scale(run))
        for row in np.flatnonzero(file.run == run):
            yield means.of(file.read(np.array([row]), out=stored)[0], *file.scale[row])
