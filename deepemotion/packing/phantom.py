"""Reduces the run of a phantom to means of coarse blocks of voxels."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deepemotion.errors import UserError
from deepemotion.packing.nifti import NiftiHeader, VolumeStream, read_header
from deepemotion.subject_file.control_series import VolumeSeries

# Each axis is cut into so many parts: at most 216 blocks.
_PARTS = 6


def read_phantom(files: Mapping[int, Path], volumes: Mapping[int, int]) -> tuple[VolumeSeries, list[str]]:
    """Return the mean of each block of each run's first volumes, in physical units, and a note on the blocks.

    A phantom has a grid of its own, and all its voxels are used. Its runs may be longer than the subject's. Raises
    UserError where one is shorter or on another grid than the first, or holds values that are not finite.
    """
    headers = {run: read_header(path) for run, path in files.items()}
    first = next(iter(headers.values()))
    for run, header in headers.items():
        if header.volumes < volumes[run]:
            raise UserError(
                f"{header.path}: {header.volumes} volumes, but run {run} has {volumes[run]}; leave the phantom out of"
                " the description (controls)"
            )
        if header.shape != first.shape:
            raise UserError(f"{header.path}: another shape than {first.path}")
    edges = [np.linspace(0, side, min(_PARTS, side) + 1).astype(int)[:-1] for side in first.shape]
    values = np.concatenate([_block_means(header, edges, volumes[run]) for run, header in headers.items()])
    x, y, z = (len(starts) for starts in edges)
    columns = [f"block_{i}_{j}_{k}" for k in range(z) for j in range(y) for i in range(x)]
    sides = " x ".join(map(str, first.shape))
    note = f"phantom: means of {x} x {y} x {z} blocks of its {sides} voxels"
    return VolumeSeries(tuple(columns), values), [note]


def _block_means(header: NiftiHeader, edges: list[NDArray[np.int64]], volumes: int) -> NDArray[np.float32]:
    """Return (T, blocks), x fastest, of the first volumes of a run. `edges` are the first voxels of the blocks."""
    sizes = [np.diff([*starts, side]) for starts, side in zip(edges, header.shape, strict=True)]
    size = sizes[2][:, None, None] * sizes[1][:, None] * sizes[0]
    means = np.empty((volumes, size.size), np.float32)
    # The whole file is read, since only its end shows that it is intact.
    for number, volume in enumerate(VolumeStream(header)):
        if number >= volumes:
            continue
        block = volume.reshape(header.shape[::-1]).astype(np.float64)
        for axis, starts in zip((0, 1, 2), reversed(edges), strict=True):
            block = np.add.reduceat(block, starts, axis=axis)
        means[number] = (header.slope * block / size + header.intercept).ravel()
    if not np.isfinite(means).all():
        raise UserError(f"{header.path}: voxels that are NaN, infinite or too large; correct the file")
    return means
