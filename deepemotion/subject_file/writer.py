"""Writes a packed subject file, volume by volume; docs/subject-file.md describes the format."""

import importlib.metadata
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

from deepemotion.dataset import Dataset
from deepemotion.errors import UserError
from deepemotion.files import atomic_path
from deepemotion.subject_file.format import (
    ARRAYS,
    FORMAT_VERSION,
    STATISTICS,
    VOXEL_SCALE,
    Header,
    RunRecord,
    Source,
    content_checksum,
)
from deepemotion.subject_file.options import Compression, NanRule
from deepemotion.subject_file.quantisation import VoxelScale
from deepemotion.subject_file.run_statistics import BLOCK
from deepemotion.subject_file.run_writer import RunWriter
from deepemotion.subject_file.uncached_file import PAGE, UncachedFile
from deepemotion.subject_file.unfinished import cause, lock, remove_abandoned

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
    """Takes the runs of a subject, in any order and several at once, each through a `RunWriter` in one thread.

    Volumes are written in the background by a separate thread, without HDF5 but at the offsets that it reports, unless
    they are compressed.
    """

    def __init__(self, file: h5py.File, layout: Layout, volumes: UncachedFile, writing: ThreadPoolExecutor) -> None:
        self._file = file
        self._layout = layout
        self._uncached = volumes
        self._writing = writing
        self.voxels = int(layout.mask.sum())
        total = sum(layout.runs.values())
        self._volumes = _make_volumes(file, total, self.voxels, layout.compression)
        self._compressed = layout.compression is not Compression.NONE
        self._begin = 0 if self._compressed else self._volumes.id.get_chunk_info_by_coord((0, 0)).byte_offset
        self._crc32 = np.zeros(total, np.uint32)
        self._scale = np.zeros((total, 2))
        self._ended: dict[int, tuple[RunRecord, dict[str, NDArray[np.float32]], VoxelScale | None]] = {}

    def run(self, number: int) -> RunWriter:
        """Return the writer of a run of the layout, for one thread; runs may be written at the same time."""
        runs = list(self._layout.runs)
        first = sum(self._layout.runs[before] for before in runs[: runs.index(number)])
        return RunWriter(self, first)

    def room(self, memory: NDArray[np.int16], row: int) -> NDArray[np.int16]:
        """Return the part of `memory` (a page longer) that is aligned for writing BLOCK volumes from `row` on."""
        shift = (self._offset(row) - memory.ctypes.data) % PAGE // 2
        return memory[shift : shift + BLOCK * self.voxels].reshape(BLOCK, self.voxels)

    def write(
        self, row: int, volumes: NDArray[np.int16], scale: NDArray[np.float64], crc32: NDArray[np.uint32]
    ) -> "Future[None]":
        """Begin to write volumes (T, V), with slopes and intercepts (T, 2) and CRCs (T,), to the rows from `row` on.

        The volumes must not change until the result is done.
        """
        self._scale[row : row + len(volumes)] = scale
        self._crc32[row : row + len(volumes)] = crc32
        return self._writing.submit(self._write, row, volumes)

    def _write(self, row: int, volumes: NDArray[np.int16]) -> None:
        if self._compressed:
            self._volumes[row : row + len(volumes)] = volumes
        else:
            self._uncached.write(volumes.data.cast("B"), self._offset(row))

    def _offset(self, row: int) -> int:
        return self._begin + row * self.voxels * 2

    def end_run(
        self, record: RunRecord, statistics: dict[str, NDArray[np.float32]], voxel_scale: VoxelScale | None
    ) -> None:
        """Take the record, the statistics and the scale of the voxels of a run whose volumes are all written."""
        self._ended[record.run] = record, statistics, voxel_scale

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
            **{f"statistics/{name}": np.stack([statistics[name] for _, statistics, _ in ended]) for name in STATISTICS},
        }
        types = ARRAYS
        if any(scale is not None for *_, scale in ended):
            scales = [scale or VoxelScale.identity(self.voxels) for *_, scale in ended]
            arrays |= {name: np.stack([scale[i] for scale in scales]) for i, name in enumerate(VOXEL_SCALE)}
            types = {**ARRAYS, **VOXEL_SCALE}
        arrays = {name: np.ascontiguousarray(arrays[name], dtype) for name, dtype in types.items()}
        header = Header(
            format_version=FORMAT_VERSION,
            subject=layout.subject,
            dataset=dataset.name,
            tr=dataset.tr,
            segments=dataset.segments,
            runs=[record for record, *_ in ended],
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
                UncachedFile(temporary) as volumes,
                ThreadPoolExecutor(1) as writing,
            ):
                yield SubjectWriter(file, layout, volumes, writing)
        except (OSError, RuntimeError) as error:
            raise UserError(f"{path}: cannot write: {cause(error)}") from error


def _make_volumes(file: h5py.File, total: int, voxels: int, compression: Compression) -> h5py.Dataset:
    if compression is Compression.NONE:
        # Allocated at once, contiguous and not filled: without filters HDF5 needs no index of such chunks.
        how = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        how.set_chunk((1, voxels))
        how.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        how.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        space = h5py.h5s.create_simple((total, voxels))
        return h5py.Dataset(h5py.h5d.create(file.id, b"volumes", h5py.h5t.STD_I16LE, space, how))
    try:
        import hdf5plugin
    except ImportError:
        raise UserError("--compression bitshuffle needs hdf5plugin: pip install 'deepemotion[compression]'") from None
    return file.create_dataset("volumes", (total, voxels), "<i2", chunks=(1, voxels), **hdf5plugin.Bitshuffle())
