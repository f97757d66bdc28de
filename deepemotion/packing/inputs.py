"""The input files of a subject: how they are recorded, which mask they give, and whether each run fits it."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from deepemotion.dataset import Dataset, Segment
from deepemotion.errors import UserError
from deepemotion.packing.nifti import NiftiHeader, VolumeStream, file_crc32, read_header
from deepemotion.subject_file.format import AFFINE_TOLERANCE, Source


class Space(NamedTuple):
    """The space that all runs of a subject share: mask (X, Y, Z), affine (4, 4), and the file it was read from."""

    mask: NDArray[np.bool_]
    affine: NDArray[np.float64]
    path: Path

    def check(self, header: NiftiHeader) -> None:
        """Raise UserError if a file has another shape or affine."""
        for what, own, expected in (("shape", header.shape, self.mask.shape), ("affine", header.affine, self.affine)):
            if np.shape(own) != np.shape(expected) or not np.allclose(own, expected, atol=AFFINE_TOLERANCE):
                values = f" ({own} and {expected})" if what == "shape" else ""
                raise UserError(
                    f"{header.path}: another {what} than {self.path}{values}; resample one of them to the other's space"
                )


def source(path: Path, crc32: int | None = None) -> Source:
    """Describe a file as it is on disk now; it is read for its CRC-32 unless that is given."""
    status = path.stat()
    return Source(
        name=path.name,
        size=status.st_size,
        mtime_ns=status.st_mtime_ns,
        crc32=file_crc32(path) if crc32 is None else crc32,
    )


def is_unchanged(recorded: Source, path: Path) -> bool:
    """Return whether a file is the recorded one: same size and time, or same size and content if it was touched."""
    status = path.stat()
    if (recorded.name, recorded.size) != (path.name, status.st_size):
        return False
    return recorded.mtime_ns == status.st_mtime_ns or recorded.crc32 == file_crc32(path)


def common_space(masks: Sequence[Path], first_run: NiftiHeader) -> Space:
    """Return the intersection of the masks' voxels above 0, or all voxels of the first run where there is no mask.

    Raises UserError if a mask is damaged, has several volumes or is in another space than the others, and if no voxel
    is left.
    """
    if not masks:
        return Space(np.ones(first_run.shape, dtype=bool), first_run.affine, first_run.path)
    header = read_header(masks[0])
    space = Space(np.ones(header.shape, dtype=bool), header.affine, header.path)
    for path in masks:
        header = read_header(path)
        space.check(header)
        if header.volumes != 1:
            raise UserError(f"{path}: {header.volumes} volumes; a mask has one")
        for volume in VolumeStream(header):
            physical = volume.astype(np.float64) * header.slope + header.intercept
            # Compared in this direction, since NaN is in no mask.
            space.mask[...] &= (physical > 0).reshape(header.shape, order="F")
    if not space.mask.any():
        raise UserError(f"{masks[0]}: no voxel is inside the mask (of {len(masks)} file(s))")
    return space


def check_length(header: NiftiHeader, segment: Segment, dataset: Dataset) -> None:
    """Raise UserError if a run has fewer than two volumes, or a volume that begins after its segment has ended.

    A short run is real data; a long one means that the description, and so every movie time, is wrong.
    """
    if header.volumes < 2:
        raise UserError(f"{header.path}: too few volumes ({header.volumes}); a run is a 4D file of at least 2")
    last = segment.start + (header.volumes - 1) * dataset.tr
    if last >= segment.end:
        raise UserError(
            f"{header.path}: {header.volumes} volumes at a TR of {dataset.tr:g} s, but run {segment.run} ends after"
            f" {segment.end - segment.start:g} s ({dataset.volumes(segment)}); correct the segments of {dataset.name}"
        )
