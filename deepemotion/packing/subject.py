"""NIfTI runs -> one packed subject file, streaming: a volume at a time, and several runs at once."""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deepemotion.dataset import Dataset
from deepemotion.errors import UserError
from deepemotion.packing.inputs import check_length, common_space, is_unchanged, source
from deepemotion.packing.nifti import read_header
from deepemotion.packing.run import copy_run, read_run
from deepemotion.packing.threads import for_each_run
from deepemotion.subject_file.format import FORMAT_VERSION, Header, RunRecord
from deepemotion.subject_file.kernels import Segments
from deepemotion.subject_file.opening import NotASubjectFileError
from deepemotion.subject_file.options import Compression, NanRule
from deepemotion.subject_file.reader import SubjectFile, subject_path
from deepemotion.subject_file.writer import Layout, new_subject_file


@dataclass(frozen=True)
class PackRequest:
    """One subject's packing; `threads` runs at a time, None for as many as there are CPUs."""

    dataset: Dataset
    root: Path
    subject: str
    out: Path
    nan: NanRule = NanRule.FAIL
    compression: Compression = Compression.NONE
    threads: int | None = None


@dataclass(frozen=True)
class Packed:
    """What packing did: runs `read` from NIfTI, and runs copied from the file before; none if that is up to date."""

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

    Raises UserError, and leaves what was there, where a source is missing, damaged, in another space than the mask, has
    too few or too many volumes, or voxels that are not finite (unless they are to become zero), where the file cannot
    be written, and where the file that is there is none of ours.
    """
    dataset, path = request.dataset, subject_path(request.out, request.subject)
    runs = {segment.run: dataset.bold(request.root, request.subject, segment.run) for segment in dataset.segments}
    masks = dataset.masks(request.root, request.subject)
    old = _open_existing(path)
    try:
        recorded = {run.run: run for run in _as_stored_now(old)} if old and old.header.nan is request.nan else {}
        unchanged = {
            run: recorded[run] for run in runs if run in recorded and is_unchanged(recorded[run].source, runs[run])
        }
        if old and list(unchanged) == list(runs) and _is_as_requested(old.header, request, masks):
            return Packed(path, old.header, [], [])
        headers = {run: read_header(source) for run, source in runs.items()}
        space = common_space(masks, next(iter(headers.values())))
        for segment in dataset.segments:
            check_length(headers[segment.run], segment, dataset)
            space.check(headers[segment.run])
        if old and not (np.array_equal(old.mask, space.mask) and np.array_equal(old.affine, space.affine)):
            unchanged = {}
        volumes = {run: header.volumes for run, header in headers.items()}
        _check_space(request, sum(volumes.values()), int(space.mask.sum()))
        sources = [source(mask) for mask in masks]
        layout = Layout(
            dataset, request.subject, volumes, space.mask, space.affine, sources, request.nan, request.compression
        )
        with new_subject_file(path, layout) as writer:
            inside = Segments.of(space.mask)

            def write(run: int, tick: Callable[[], None]) -> None:
                if old and run in unchanged:
                    copy_run(old, unchanged[run], writer.run(run), tick)
                else:
                    read_run(run, headers[run], inside, request.nan, request.out, writer.run(run), tick)

            for_each_run(list(runs), write, request.threads or len(os.sched_getaffinity(0)), on_volume)
            written = writer.finish()
    finally:
        if old:
            old.close()
    return Packed(path, written, [run for run in runs if run not in unchanged], list(unchanged))


def _open_existing(path: Path) -> SubjectFile | None:
    """Open the file to be replaced; none for one that is missing or damaged. Raises UserError for one not ours."""
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


def _as_stored_now(packed: SubjectFile) -> list[RunRecord]:
    """Return the runs of a file that would be stored alike today: version 1 rounded all but small integers coarsely."""
    return [
        run for run in packed.header.runs if packed.format_version > 1 or np.can_cast(np.dtype(run.dtype), np.int16)
    ]


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
    """Raise UserError where the disk cannot hold the file: better now than after an hour."""
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
