"""Packs one run into a subject file: reads it from its NIfTI file, or copies it from the earlier packed file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

from deepemotion.errors import UserError
from deepemotion.packing.inputs import source
from deepemotion.packing.nifti import NiftiHeader, VolumeStream
from deepemotion.packing.spool import Spool
from deepemotion.subject_file.format import RunRecord
from deepemotion.subject_file.kernels import Segments, gather
from deepemotion.subject_file.options import NanRule
from deepemotion.subject_file.quantisation import Extremes, Quantiser
from deepemotion.subject_file.reader import SubjectFile
from deepemotion.subject_file.run_writer import RunWriter

Tick = Callable[[], None]


def read_run(
    run: int,
    header: NiftiHeader,
    header_tr: float | None,
    inside: Segments,
    nan: NanRule,
    folder: Path,
    writer: RunWriter,
    tick: Tick,
) -> None:
    """Write a run from its NIfTI file; `tick` is called after each volume, `folder` takes the temporary copy.

    `header_tr` is the TR in seconds by the file's header, for the record.

    Raises UserError if the file is damaged, and for voxels that are not finite unless `nan` makes them zero.
    """
    stream = VolumeStream(header)
    not_finite, error_V = 0, None
    if np.can_cast(header.dtype, np.int16):
        limits = np.iinfo(header.dtype)
        _require_representable(header, max(abs(limits.min), limits.max))
        _copy_voxels(stream, inside, writer, tick)
    else:
        not_finite, error_V = _quantise_voxels(stream, inside, nan, folder, writer, tick)
    record = RunRecord(
        run=run,
        volumes=header.volumes,
        source=source(header.path, stream.crc32),
        dtype=header.dtype.name,
        slope=header.slope,
        intercept=header.intercept,
        largest_error=0.0,
        largest_error_sd=0.0,
        not_finite=not_finite,
        header_tr=header_tr,
    )
    writer.end(record, error_V)


def _copy_voxels(stream: VolumeStream, inside: Segments, writer: RunWriter, tick: Tick) -> None:
    """Store a run whose type fits int16 unchanged."""
    header = stream.header
    as_stored = header.dtype == np.dtype("<i2")
    values: NDArray[Any] = np.empty(inside.voxels, header.dtype)
    for volume in stream:
        with writer.next_volume(header.slope, header.intercept) as stored:
            gather(volume, inside, stored if as_stored else values)
            # The next volume reuses its memory, which is in the processor's cache.
            del volume
            if not as_stored:
                stored[:] = values
        tick()


def _quantise_voxels(
    stream: VolumeStream, inside: Segments, nan: NanRule, folder: Path, writer: RunWriter, tick: Tick
) -> tuple[int, NDArray[np.floating] | None]:
    """Store a run of any other type; return how many voxels were not finite, and the largest error (V,) of each.

    The scale of a voxel depends on its values in the whole run, so these wait on disk until all have been read.
    """
    header = stream.header
    kind = header.dtype.newbyteorder("=")
    values: NDArray[Any] = np.empty(inside.voxels, header.dtype)
    extremes, not_finite = Extremes(inside.voxels, kind), 0
    with Spool(folder, inside.voxels, kind) as spool:
        for volume in stream:
            gather(volume, inside, values)
            del volume
            if kind.kind == "f":
                wrong = ~np.isfinite(values)
                not_finite += int(np.count_nonzero(wrong))
                # Zero in physical units, as nearly as the header's scale allows.
                values[wrong] = -header.intercept / header.slope
            native = values.astype(kind, copy=False)
            extremes.add(native)
            spool.append(native)
            tick()
        if not_finite and nan is NanRule.FAIL:
            raise UserError(
                f"{header.path}: {not_finite} voxels inside the mask are NaN or infinite;"
                " correct the file, or pack them as zero with --nan zero"
            )
        _require_representable(header, extremes.largest)
        if extremes.fit_int16:
            for native in spool:
                with writer.next_volume(header.slope, header.intercept) as stored:
                    stored[:] = native
            return not_finite, None
        scale = extremes.scale()
        writer.scale_voxels(scale)
        quantiser = Quantiser(scale)
        for native in spool:
            with writer.next_volume(header.slope, header.intercept) as stored:
                quantiser.encode(native, stored)
    return not_finite, abs(header.slope) * quantiser.error


def _require_representable(header: NiftiHeader, largest: float) -> None:
    """Raise UserError if float32, in which statistics are stored, does not hold `largest` in physical units."""
    if not abs(header.slope) * largest + abs(header.intercept) < float(np.finfo(np.float32).max):
        raise UserError(f"{header.path}: voxels of over 1e38, more than float32 holds; correct or rescale the file")


def copy_run(packed: SubjectFile, record: RunRecord, writer: RunWriter, tick: Tick) -> None:
    """Copy a run from an earlier packed file; `tick` is called after each volume.

    Raises UserError if that file is damaged.
    """
    scale = packed.stored_voxel_scale(record.run)
    if scale is not None:
        writer.scale_voxels(scale)
    for row in np.flatnonzero(packed.run == record.run):
        with writer.next_volume(*packed.scale[row]) as stored:
            packed.read(np.array([row]), out=stored[None])
            if isal_zlib.crc32(stored) != packed.crc32[row]:
                raise UserError(f"{packed.path}: volume {row} is damaged; delete the file and pack the subject again")
        tick()
    writer.end(record)
