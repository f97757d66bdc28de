"""Packs a subject's NIfTI runs into one file: streamed a volume at a time, several runs at once."""

import os
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deepemotion.dataset.description import Dataset
from deepemotion.errors import UserError
from deepemotion.packing.controls import PackedControls, ReadControls, read_controls
from deepemotion.packing.inputs import Space, check_length, common_space, is_unchanged, source
from deepemotion.packing.nifti import NiftiHeader, read_header
from deepemotion.packing.run import copy_run, read_run
from deepemotion.packing.threads import for_each_run
from deepemotion.subject_file.control_series import VolumeSeries
from deepemotion.subject_file.format import FORMAT_VERSION, Header, RunRecord
from deepemotion.subject_file.kernels import Segments
from deepemotion.subject_file.opening import NotASubjectFileError
from deepemotion.subject_file.options import Compression, NanRule
from deepemotion.subject_file.reader import SubjectFile, subject_path
from deepemotion.subject_file.repetition_time import header_seconds
from deepemotion.subject_file.writer import Layout, new_subject_file


@dataclass(frozen=True)
class PackRequest:
    """What to pack for one subject, and how; `threads` runs at a time, None for as many as there are CPUs."""

    dataset: Dataset
    root: Path
    subject: str
    out: Path
    nan: NanRule = NanRule.FAIL
    compression: Compression = Compression.NONE
    threads: int | None = None


@dataclass(frozen=True)
class Packed:
    """What packing did: the runs `read` from NIfTI, and those `kept`; none of either if the file is up to date.

    `voxels` are those inside the mask, `shape` is that of a whole volume. `controls` are beside it.
    """

    path: Path
    header: Header
    voxels: int
    shape: tuple[int, ...]
    read: list[int]
    kept: list[int]
    controls: PackedControls


def pack_subject(request: PackRequest, on_volume: Callable[[], None] = lambda: None) -> Packed:
    """Pack a subject's runs, or only those that changed since the existing file; `on_volume` is called for progress.

    The controls that the description names are packed into a file beside it. Raises UserError, and leaves existing
    files as they are, if a source is missing, damaged, in another space than the mask, has too few or too many volumes
    or voxels that are not finite (unless they are to become zero), if a control's file does not fit its run, if a file
    cannot be written, and if an existing one is not a packed subject.
    """
    dataset, path = request.dataset, subject_path(request.out, request.subject)
    runs = {segment.run: dataset.bold(request.root, request.subject, segment.run) for segment in dataset.segments}
    masks = dataset.masks(request.root, request.subject)
    with ExitStack() as opened:
        existing = _open_existing(path)
        if existing is not None:
            opened.enter_context(existing)
        unchanged = _unchanged_runs(existing, request, runs) if existing else {}
        if existing and list(unchanged) == list(runs) and _is_as_requested(existing.header, request, masks):
            with _controls(request, existing.volumes_per_run) as controls:
                done = controls.write(path)
            return Packed(path, existing.header, existing.voxels, existing.shape, [], [], done)
        headers = {run: read_header(source) for run, source in runs.items()}
        space = common_space([read_header(mask) for mask in masks], list(headers.values()))
        for segment in dataset.segments:
            check_length(headers[segment.run], segment, dataset)
        controls = opened.enter_context(_controls(request, {run: header.volumes for run, header in headers.items()}))
        if existing and not (
            np.array_equal(existing.mask, space.mask) and np.array_equal(existing.affine, space.affine)
        ):
            unchanged = {}
        inside = Segments.of(space.mask)
        written, signal = _write(request, headers, space, masks, inside, existing, unchanged, on_volume)
        read = [run for run in runs if run not in unchanged]
        done = controls.write(path, signal)
        return Packed(path, written, inside.voxels, space.mask.shape, read, list(unchanged), done)


def _controls(request: PackRequest, volumes: dict[int, int]) -> ReadControls:
    return read_controls(request.dataset, request.root, request.subject, request.out, volumes)


def _write(
    request: PackRequest,
    headers: dict[int, NiftiHeader],
    space: Space,
    masks: list[Path],
    inside: Segments,
    existing: SubjectFile | None,
    unchanged: dict[int, RunRecord],
    on_volume: Callable[[], None],
) -> tuple[Header, VolumeSeries]:
    """Write the subject file: runs that are `unchanged` from the existing one, the others from NIfTI.

    Returns the global signal too.
    """
    layout = _layout(request, headers, space, masks)
    _check_space(request, sum(layout.runs.values()), inside.voxels)
    with new_subject_file(subject_path(request.out, request.subject), layout) as writer:

        def write(run: int, tick: Callable[[], None]) -> None:
            header = headers[run]
            tr = header_seconds(header.time_step, header.time_unit, request.dataset.tr)
            if existing and run in unchanged:
                record = unchanged[run].model_copy(update={"header_tr": tr})
                copy_run(existing, record, writer.run(run), tick)
            else:
                read_run(run, header, tr, inside, request.nan, request.out, writer.run(run), tick)

        for_each_run(list(headers), write, request.threads or len(os.sched_getaffinity(0)), on_volume)
        return writer.finish(), writer.global_signal()


def _layout(request: PackRequest, headers: dict[int, NiftiHeader], space: Space, masks: list[Path]) -> Layout:
    return Layout(
        request.dataset,
        request.subject,
        {run: header.volumes for run, header in headers.items()},
        space.mask,
        space.affine,
        [source(mask) for mask in masks],
        request.nan,
        request.compression,
        space.notes,
    )


def _open_existing(path: Path) -> SubjectFile | None:
    """Open the file to replace, None if it is missing or damaged. Raises UserError if it is not a packed subject."""
    if not path.exists():
        return None
    try:
        packed = SubjectFile(path)
    except NotASubjectFileError:
        raise
    except UserError:
        return None
    try:
        for name in packed.array_names:
            packed.array(name)
    except UserError:
        packed.close()
        return None
    return packed


def _unchanged_runs(existing: SubjectFile, request: PackRequest, runs: dict[int, Path]) -> dict[int, RunRecord]:
    """Return the runs of the existing file that would be stored the same way now.

    Version 1 of the format rounded all but small integers coarsely.
    """
    if existing.header.nan is not request.nan:
        return {}
    recorded = {
        run.run: run
        for run in existing.header.runs
        if existing.format_version > 1 or np.can_cast(np.dtype(run.dtype), np.int16)
    }
    return {run: recorded[run] for run in runs if run in recorded and is_unchanged(recorded[run].source, runs[run])}


def _is_as_requested(header: Header, request: PackRequest, masks: list[Path]) -> bool:
    dataset = request.dataset
    return (
        header.format_version == FORMAT_VERSION
        and (header.dataset, header.tr, header.segments) == (dataset.name, dataset.tr, dataset.segments)
        and header.compression is request.compression
        and len(header.masks) == len(masks)
        and all(is_unchanged(recorded, mask) for recorded, mask in zip(header.masks, masks, strict=True))
    )


def _check_space(request: PackRequest, volumes: int, voxels: int) -> None:
    """Raise UserError if the disk cannot hold the file: better now than after an hour."""
    if request.compression is not Compression.NONE:
        return
    needed = 2 * voxels * volumes
    folder = next(parent for parent in (request.out, *request.out.absolute().parents) if parent.exists())
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise UserError(
            f"{request.out}: no space left: sub-{request.subject} needs {_size(needed)}, {_size(free)} are free; free"
            " some space, or choose another --out"
        )


def _size(count: int) -> str:
    size, unit = next(((s, unit) for s, unit in ((1e9, "GB"), (1e6, "MB")) if count >= s), (1e3, "kB"))
    return f"{count / size:.2f} {unit}"
