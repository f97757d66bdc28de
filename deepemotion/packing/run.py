"""One run into a subject file: read from its NIfTI file, or copied from an earlier packing."""

from collections.abc import Callable
from typing import Any

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

from deepemotion.errors import UserError
from deepemotion.packing.inputs import source
from deepemotion.packing.nifti import NiftiHeader, VolumeStream
from deepemotion.subject_file.format import RunRecord
from deepemotion.subject_file.kernels import Segments, gather
from deepemotion.subject_file.options import NanRule
from deepemotion.subject_file.quantisation import encode
from deepemotion.subject_file.reader import SubjectFile
from deepemotion.subject_file.run_writer import RunWriter


def read_run(
    run: int,
    header: NiftiHeader,
    inside: Segments,
    nan: NanRule,
    writer: RunWriter,
    tick: Callable[[], None],
) -> None:
    """Write a run from its NIfTI file; `tick` is called after each volume.

    Raises UserError where the file is damaged, and for voxels that are not finite unless `nan` makes them zero.
    """
    lossless = header.dtype == np.dtype("<i2")
    values: NDArray[Any] = np.empty(0 if lossless else inside.voxels, header.dtype)
    stream = VolumeStream(header)
    not_finite, largest_error = 0, 0.0
    for volume in stream:
        if lossless:
            with writer.next_volume(header.slope, header.intercept) as out:
                gather(volume, inside, out)
                # The next volume takes its memory, which is in the processor's cache.
                del volume
            tick()
            continue
        gather(volume, inside, values)
        del volume
        if header.dtype.kind == "f":
            wrong = ~np.isfinite(values)
            not_finite += int(np.count_nonzero(wrong))
            # Zero in physical units, as far as the header's scale can say it.
            values[wrong] = -header.intercept / header.slope
        stored, slope, intercept, error = encode(values)
        with writer.next_volume(slope * header.slope, intercept * header.slope + header.intercept) as out:
            out[:] = stored
        largest_error = max(largest_error, abs(header.slope) * error)
        tick()
    if not_finite and nan is NanRule.FAIL:
        raise UserError(
            f"{header.path}: {not_finite} voxels inside the mask are NaN or infinite;"
            " correct the file, or pack them as zero with --nan zero"
        )
    writer.end(
        RunRecord(
            run=run,
            volumes=header.volumes,
            source=source(header.path, stream.crc32),
            dtype=header.dtype.name,
            slope=header.slope,
            intercept=header.intercept,
            largest_error=largest_error,
            not_finite=not_finite,
        )
    )


def copy_run(packed: SubjectFile, record: RunRecord, writer: RunWriter, tick: Callable[[], None]) -> None:
    """Write a run as an earlier file has it; `tick` is called after each volume.

    Raises UserError where that file is damaged.
    """
    for row in np.flatnonzero(packed.run == record.run):
        with writer.next_volume(*packed.scale[row]) as out:
            packed.read(np.array([row]), out[None])
            if isal_zlib.crc32(out) != packed.crc32[row]:
                raise UserError(f"{packed.path}: volume {row} is damaged; delete the file and pack the subject again")
        tick()
    writer.end(record)
