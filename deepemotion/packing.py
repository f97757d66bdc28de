"""NIfTI runs -> one packed subject file, streaming: a volume at a time from gzip to HDF5."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

from deepemotion.dataset import Dataset, Segment
from deepemotion.errors import UserError
from deepemotion.nifti_stream import NiftiHeader, VolumeStream, file_crc32, read_header
from deepemotion.pack_options import Compression, NanRule
from deepemotion.quantisation import encode
from deepemotion.subject_file import SubjectFile, subject_path
from deepemotion.subject_format import STATISTICS, Header, RunRecord, Source
from deepemotion.subject_writer import Layout, SubjectWriter, new_subject_file
from deepemotion.voxel_statistics import VoxelStatistics

# Affines are written by different programs in single precision: mm.
_AFFINE_TOLERANCE = 1e-3


@dataclass(frozen=True)
class PackRequest:
    """One subject's packing."""

    dataset: Dataset
    root: Path
    subject: str
    out: Path
    nan: NanRule = NanRule.FAIL
    compression: Compression = Compression.NONE


@dataclass(frozen=True)
class Packed:
    """What packing did: `read` and `kept` are runs read from NIfTI and copied from the file that was there."""

    path: Path
    header: Header
    read: list[int]
    kept: list[int]

    def short_runs(self, dataset: Dataset) -> list[str]:
        """Return a line for each run that has fewer volumes than its segment."""
        records = {run.run: run.volumes for run in self.header.runs}
        return [
            f"sub-{self.header.subject} run {segment.run}: {records[segment.run]} of {dataset.volumes(segment)} volumes"
            for segment in dataset.segments
            if records[segment.run] < dataset.volumes(segment)
        ]


def pack_subject(request: PackRequest, on_volume: Callable[[], None] = lambda: None) -> Packed:
    """Pack a subject's runs, or only those that changed since the file that is there; `on_volume` counts progress.

    Raises UserError, and leaves what was there, where a source is missing, damaged, of another shape or affine than the
    mask, has too few or too many volumes, or voxels that are not finite (unless they are to become zero), and where the
    file cannot be written.
    """
    dataset, path = request.dataset, subject_path(request.out, request.subject)
    runs = {segment.run: dataset.bold(request.root, request.subject, segment.run) for segment in dataset.segments}
    masks = dataset.masks(request.root, request.subject)
    there = _open_if_usable(path, request, masks)
    try:
        unchanged = {
            record.run: record
            for record in (there.header.runs if there else [])
            if record.run in runs and _is_source(record.source, runs[record.run])
        }
        if there and len(unchanged) == len(runs) == len(there.header.runs):
            return Packed(path, there.header, [], list(unchanged))
        headers = {run: read_header(source) for run, source in runs.items()}
        mask, affine = _mask(masks, headers)
        for segment in dataset.segments:
            _check_run(headers[segment.run], segment, dataset, mask, affine)
        _check_space(request, headers, int(mask.sum()))
        layout = Layout(
            dataset,
            request.subject,
            {run: header.volumes for run, header in headers.items()},
            mask,
            affine,
            [_source(file) for file in masks],
            request.nan,
            request.compression,
        )
        with new_subject_file(path, layout) as writer:
            for run, header in headers.items():
                if there and run in unchanged:
                    _copy_run(there, unchanged[run], writer, on_volume)
                else:
                    _read_run(run, header, mask, request.nan, writer, on_volume)
            written = writer.finish()
    finally:
        if there:
            there.close()
    return Packed(path, written, [run for run in runs if run not in unchanged], list(unchanged))


def _open_if_usable(path: Path, request: PackRequest, masks: list[Path]) -> SubjectFile | None:
    """Return the packed file that is there if its runs could be kept: same description, masks and options."""
    try:
        file = SubjectFile(path)
    except UserError:
        return None
    header, dataset = file.header, request.dataset
    same = (
        (header.dataset, header.tr, header.segments) == (dataset.name, dataset.tr, dataset.segments)
        and (header.nan, header.compression) == (request.nan, request.compression)
        and len(header.masks) == len(masks)
        and all(_is_source(source, mask) for source, mask in zip(header.masks, masks, strict=True))
    )
    if same:
        return file
    file.close()
    return None


def _is_source(source: Source, path: Path) -> bool:
    status = path.stat()
    if (source.name, source.size) != (path.name, status.st_size):
        return False
    return source.mtime_ns == status.st_mtime_ns or source.crc32 == file_crc32(path)


def _source(path: Path, crc32: int | None = None) -> Source:
    status = path.stat()
    return Source(
        name=path.name,
        size=status.st_size,
        mtime_ns=status.st_mtime_ns,
        crc32=file_crc32(path) if crc32 is None else crc32,
    )


def _mask(paths: list[Path], headers: dict[int, NiftiHeader]) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Return the intersection of the masks (X, Y, Z) and the affine (4, 4); all voxels of the first run for no mask."""
    first = next(iter(headers.values()))
    mask: NDArray[np.bool_] = np.ones(first.shape if not paths else read_header(paths[0]).shape, dtype=bool)
    affine = first.affine
    for path in paths:
        header = read_header(path)
        affine = header.affine if path is paths[0] else affine
        if header.volumes != 1 or header.shape != mask.shape:
            raise UserError(f"{path}: a mask of shape {header.shape} was expected to have one volume of {mask.shape}")
        mask &= np.asanyarray(nibabel.load(path).dataobj).reshape(mask.shape) > 0
    if not mask.any():
        raise UserError(f"{paths[0]}: no voxel is inside the mask (intersected over {len(paths)} file(s))")
    return mask, affine


def _check_run(
    header: NiftiHeader, segment: Segment, dataset: Dataset, mask: NDArray[np.bool_], affine: NDArray[np.float64]
) -> None:
    path, nominal = header.path, dataset.volumes(segment)
    if header.volumes < 2:
        raise UserError(f"{path}: {header.volumes} volume; a run is a 4D file of at least 2 volumes")
    if header.volumes > nominal:
        raise UserError(
            f"{path}: {header.volumes} volumes, but run {segment.run} lasts {nominal} in the description of"
            f" {dataset.name}; correct its segments"
        )
    if header.shape != mask.shape:
        raise UserError(f"{path}: shape {header.shape}, but the mask has {mask.shape}; resample one to the other")
    if not np.allclose(header.affine, affine, atol=_AFFINE_TOLERANCE):
        raise UserError(f"{path}: its affine differs from the mask's: not in the same space; resample one to the other")


def _check_space(request: PackRequest, headers: dict[int, NiftiHeader], voxels: int) -> None:
    """Raise UserError where the disk cannot hold the file: better now than after an hour."""
    if request.compression is not Compression.NONE:
        return
    needed = 2 * voxels * sum(header.volumes for header in headers.values())
    folder = next(parent for parent in (request.out, *request.out.absolute().parents) if parent.exists())
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise UserError(
            f"{request.out}: sub-{request.subject} needs {needed / 1e9:.2f} GB, {free / 1e9:.2f} GB are free;"
            " no space left on the disk: free some, or choose another --out"
        )


def _read_run(
    run: int,
    header: NiftiHeader,
    mask: NDArray[np.bool_],
    nan: NanRule,
    writer: SubjectWriter,
    on_volume: Callable[[], None],
) -> None:
    voxels = np.flatnonzero(mask.ravel(order="F"))
    statistics = VoxelStatistics(header.volumes, len(voxels))
    stream = VolumeStream(header)
    values: NDArray[Any] = np.empty(len(voxels), header.dtype)
    lossless = header.dtype.kind == "i" and header.dtype.itemsize == 2
    not_finite, largest_error = 0, 0.0
    for volume in stream:
        # "clip" skips the bounds check that the default makes; the indices come from the mask and fit.
        np.take(volume, voxels, mode="clip", out=values)
        if header.dtype.kind == "f":
            wrong = ~np.isfinite(values)
            not_finite += int(wrong.sum())
            values[wrong] = 0
        statistics.add(values)
        if lossless:
            writer.add_volume(values, header.slope, header.intercept)
        else:
            stored, slope, intercept, error = encode(values)
            writer.add_volume(stored, slope * header.slope, intercept * header.slope + header.intercept)
            largest_error = max(largest_error, abs(header.slope) * error)
        on_volume()
    if not_finite and nan is NanRule.FAIL:
        raise UserError(
            f"{header.path}: {not_finite} voxels inside the mask are NaN or infinite;"
            " correct the file, or pack them as zero with --nan zero"
        )
    record = RunRecord(
        run=run,
        volumes=header.volumes,
        source=_source(header.path, stream.crc32),
        dtype=header.dtype.name,
        slope=header.slope,
        intercept=header.intercept,
        largest_error=largest_error,
        not_finite=not_finite,
    )
    writer.end_run(record, statistics.result(header.slope, header.intercept))


def _copy_run(there: SubjectFile, record: RunRecord, writer: SubjectWriter, on_volume: Callable[[], None]) -> None:
    rows = np.flatnonzero(there.run == record.run)
    for row in rows.tolist():
        volume = there.read(np.array([row]))[0]
        if isal_zlib.crc32(volume) != there.crc32[row]:
            raise UserError(f"{there.path}: volume {row} is damaged; delete the file and pack the subject again")
        writer.add_volume(volume, *there.scale[row])
        on_volume()
    place = list(there.volumes_per_run).index(record.run)
    writer.end_run(record, {name: there.statistics(name)[place] for name in STATISTICS})
