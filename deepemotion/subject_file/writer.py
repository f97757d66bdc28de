"""Writes a packed subject file, volume by volume; docs/subject-file.md describes the format."""

import importlib.metadata
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

from deepemotion.dataset.description import Dataset
from deepemotion.errors import UserError
from deepemotion.files import atomic_path
from deepemotion.subject_file.control_series import VolumeSeries
from deepemotion.subject_file.format import (
    ARRAYS,
    FORMAT_VERSION,
    STATISTICS,
    VOXEL_SCALE,
    Header,
    Source,
    content_checksum,
)
from deepemotion.subject_file.options import Compression, NanRule
from deepemotion.subject_file.quantisation import VoxelScale
from deepemotion.subject_file.run_writer import EndedRun, RunWriter
from deepemotion.subject_file.slice_means import global_signal
from deepemotion.subject_file.uncached_file import PAGE, UncachedFile
from deepemotion.subject_file.unfinished import cause, lock, remove_abandoned
from deepemotion.subject_file.volume_output import VolumeOutput

# Whatever has 64 KiB or more, the volumes above all, begins at a page boundary.
_ALIGNED = {"alignment_threshold": 1 << 16, "alignment_interval": PAGE}
_PACKAGES = ("deepemotion", "h5py", "isal", "nibabel", "numpy")


@dataclass(frozen=True)
class Layout:
    """The content of a subject file: `runs` maps each run to its number of volumes, in order; mask (X, Y, Z).

    `notes` say how the input files were interpreted.
    """

    dataset: Dataset
    subject: str
    runs: dict[int, int]
    mask: NDArray[np.bool_]
    affine: NDArray[np.float64]
    masks: list[Source]
    nan: NanRule
    compression: Compression
    notes: Sequence[str] = ()


class SubjectWriter:
    """Takes the runs of a subject, in any order and several at once, each through a `RunWriter` in one thread."""

    def __init__(self, file: h5py.File, layout: Layout, output: VolumeOutput) -> None:
        self._file = file
        self._layout = layout
        self._output = output
        total = sum(layout.runs.values())
        self._crc32 = np.zeros(total, np.uint32)
        self._scale = np.zeros((total, 2))
        self._ended: dict[int, EndedRun] = {}

    def run(self, number: int) -> RunWriter:
        """Return the writer of a run of the layout, for one thread; runs may be written at the same time."""
        runs = list(self._layout.runs)
        first = sum(self._layout.runs[before] for before in runs[: runs.index(number)])
        rows = slice(first, first + self._layout.runs[number])
        return RunWriter(self._output, self._layout.mask, first, self._scale[rows], self._crc32[rows], self._ended)

    def global_signal(self) -> VolumeSeries:
        """Return the means of all volumes by slice, once every run has ended."""
        means = (mean for number in self._layout.runs for mean in self._ended[number].slice_means)
        return global_signal(self._layout.mask, means)

    def finish(self) -> Header:
        """Write everything but the volumes, and return the header."""
        layout, dataset = self._layout, self._layout.dataset
        ended = [self._ended[number] for number in layout.runs]
        starts = {segment.run: segment.start for segment in dataset.segments}
        run = np.repeat(list(layout.runs), list(layout.runs.values()))
        index = np.concatenate([np.arange(volumes) for volumes in layout.runs.values()])
        arrays: dict[str, NDArray[Any]] = {
            "crc32": self._crc32,
            "mask": layout.mask,
            "affine": layout.affine,
            "run": run,
            "index_in_run": index,
            "movie_time": np.array([starts[number] for number in run.tolist()]) + dataset.tr * index,
            "scale": self._scale,
            **{f"statistics/{name}": np.stack([run.statistics[name] for run in ended]) for name in STATISTICS},
        }
        types = ARRAYS
        if any(run.voxel_scale is not None for run in ended):
            scales = [run.voxel_scale or VoxelScale.identity(self._output.voxels) for run in ended]
            arrays |= {name: np.stack([scale[i] for scale in scales]) for i, name in enumerate(VOXEL_SCALE)}
            types = {**ARRAYS, **VOXEL_SCALE}
        arrays = {name: np.ascontiguousarray(arrays[name], dtype) for name, dtype in types.items()}
        header = Header(
            format_version=FORMAT_VERSION,
            subject=layout.subject,
            dataset=dataset.name,
            tr=dataset.tr,
            segments=dataset.segments,
            runs=[run.record for run in ended],
            masks=layout.masks,
            nan=layout.nan,
            compression=layout.compression,
            versions={name: importlib.metadata.version(name) for name in _PACKAGES},
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            checksum="",
            notes=list(layout.notes),
            arrays={name: isal_zlib.crc32(array) for name, array in arrays.items()},
        )
        header = header.model_copy(update={"checksum": content_checksum(header)})
        for name, array in arrays.items():
            self._file[name] = array
        header.write(self._file)
        return header


@contextmanager
def new_subject_file(path: Path, layout: Layout) -> Iterator[SubjectWriter]:
    """Yield a writer of `path`, which appears if the block succeeds; otherwise nothing of it remains.

    Raises UserError if the file cannot be written, on a full disk for instance.
    """
    remove_abandoned(path)
    # Held until after the renaming, so that no other process takes the finished file for an abandoned one.
    with ExitStack() as held, atomic_path(path) as temporary:
        lock(held.enter_context(temporary.open("rb")))
        try:
            with (
                h5py.File(temporary, "w", libver="v110", locking=False, rdcc_nbytes=0, **_ALIGNED) as file,
                UncachedFile(temporary) as uncached,
                ThreadPoolExecutor(1) as writing,
            ):
                total, voxels = sum(layout.runs.values()), int(layout.mask.sum())
                output = VolumeOutput(file, total, voxels, layout.compression, uncached, writing)
                yield SubjectWriter(file, layout, output)
        except (OSError, RuntimeError) as error:
            raise UserError(f"{path}: cannot write: {cause(error)}") from error
