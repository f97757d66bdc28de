"""The input files of a subject: how they are recorded, which mask they give, and whether each run fits it."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from deepemotion.dataset.description import Dataset, Segment
from deepemotion.errors import UserError
from deepemotion.packing.input_file import file_crc32
from deepemotion.packing.mask import read_mask
from deepemotion.packing.nifti import NiftiHeader
from deepemotion.subject_file.format import AFFINE_TOLERANCE, Source


class Space(NamedTuple):
    """The space that all runs of a subject share: mask (X, Y, Z), affine (4, 4), and the file that each is from.

    `affine_path` is None if no file has an affine. `notes` say how masks were interpreted.
    """

    mask: NDArray[np.bool_]
    affine: NDArray[np.float64]
    mask_path: Path
    affine_path: Path | None
    notes: list[str]

    def check(self, header: NiftiHeader) -> None:
        """Raise UserError if a file has another shape or affine; one without an affine needs only the shape."""
        if header.shape != self.mask.shape:
            raise UserError(
                f"{header.path}: another shape than {self.mask_path} ({_sides(header.shape)} and"
                f" {_sides(self.mask.shape)}); resample one of them to the other's space"
            )
        if header.has_affine and not np.allclose(header.affine, self.affine, atol=AFFINE_TOLERANCE):
            raise UserError(
                f"{header.path}: another affine than {self.affine_path}; resample one of them to the other's space"
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


def common_space(masks: Sequence[NiftiHeader], runs: Sequence[NiftiHeader]) -> Space:
    """Return the space of the runs: the intersection of the masks, or all voxels if there are none, and the affine.

    The affine is that of the first file that has one. A file without one is taken to be in the others' space if its
    shape is theirs, which a note says. Raises UserError if a mask is damaged or has several volumes, if a file is in
    another space than the others, and if no voxel is left.
    """
    files = [*masks, *runs]
    reference = next((header for header in files if header.has_affine), files[0])
    space = Space(
        np.ones(files[0].shape, dtype=bool),
        reference.affine,
        files[0].path,
        reference.path if reference.has_affine else None,
        _without_affine(files, reference),
    )
    for header in masks:
        space.check(header)
        inside, note = read_mask(header)
        space.mask[...] &= inside
        space.notes.extend([note] if note else [])
    if not space.mask.any():
        raise UserError(f"{masks[0].path}: no voxel is inside the mask (of {len(masks)} file(s))")
    for header in runs:
        space.check(header)
    return space


def _without_affine(files: Sequence[NiftiHeader], reference: NiftiHeader) -> list[str]:
    names = [header.path.name for header in files if not header.has_affine]
    if not names:
        return []
    listed = names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
    if not reference.has_affine:
        return [f"{listed}: no affine (sform or qform) in any file, so coordinates in mm are a guess from voxel sizes"]
    return [f"{listed}: no affine (sform or qform), taken to be in the space of {reference.path.name}"]


def _sides(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))


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
