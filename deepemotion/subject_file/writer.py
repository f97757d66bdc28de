"""Writes a packed subject file, volume by volume; docs/subject-file.md describes the format."""

import errno
import fcntl
import importlib.metadata
import os
import re
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import h5py
import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

from deepemotion.dataset import Dataset
from deepemotion.errors import UserError
from deepemotion.files import atomic_path
from deepemotion.subject_file.format import (
    CHECKED,
    FORMAT_VERSION,
    STATISTICS,
    Header,
    RunRecord,
    Source,
    content_checksum,
)
from deepemotion.subject_file.options import Compression, NanRule
from deepemotion.subject_file.run_statistics import BLOCK, RunStatistics
from deepemotion.subject_file.uncached_file import PAGE, UncachedFile

# Whatever has 64 KiB or more, the volumes above all, begins with a page.
_ALIGNED = {"alignment_threshold": 1 << 16, "alignment_interval": PAGE}
_PACKAGES = ("deepemotion", "h5py", "isal", "nibabel", "numpy")


@dataclass(frozen=True)
class Layout:
    """What a subject file holds: `runs` maps each run to its number of volumes, in order; mask (X, Y, Z)."""

    dataset: Dataset
    subject: str
    runs: dict[int, int]
    mask: NDArray[np.bool_]
    affine: NDArray[np.float64]
    masks: list[Source]
    nan: NanRule
    compression: Compression


class SubjectWriter:
    """Takes the runs of a subject, in any order and several at once, each through a `RunWriter` in one thread.

    Volumes are written beside the packing, in a thread of its own: to where HDF5 says that they lie, but without it,
    unless they are compressed.
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
        self._ended: dict[int, tuple[RunRecord, dict[str, NDArray[np.float32]]]] = {}

    def run(self, number: int) -> "RunWriter":
        """Return the writer of a run of the layout, for one thread; runs may be written at the same time."""
        runs = list(self._layout.runs)
        first = sum(self._layout.runs[before] for before in runs[: runs.index(number)])
        return RunWriter(self, first)

    def room(self, memory: NDArray[np.int16], row: int) -> NDArray[np.int16]:
        """Return where BLOCK volumes from `row` on lie best for their writing, in `memory` that has a page to spare."""
        shift = (self._offset(row) - memory.ctypes.data) % PAGE // 2
        return memory[shift : shift + BLOCK * self.voxels].reshape(BLOCK, self.voxels)

    def write(
        self, row: int, volumes: NDArray[np.int16], scale: NDArray[np.float64], crc32: NDArray[np.uint32]
    ) -> "Future[None]":
        """Begin to write volumes (T, V), with slopes and intercepts (T, 2) and CRCs (T,), to `row` and those behind it.

        Until it is done the volumes must not change.
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

    def end_run(self, record: RunRecord, statistics: dict[str, NDArray[np.float32]]) -> None:
        """Take a run's record and statistics, once all its volumes are written."""
        self._ended[record.run] = record, statistics

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
            **{f"statistics/{name}": np.stack([statistics[name] for _, statistics in ended]) for name in STATISTICS},
        }
        arrays = {name: arrays[name].astype(dtype, copy=False) for name, dtype in CHECKED.items()}
        header = Header(
            format_version=FORMAT_VERSION,
            subject=layout.subject,
            dataset=dataset.name,
            tr=dataset.tr,
            segments=dataset.segments,
            runs=[record for record, _ in ended],
            masks=layout.masks,
            nan=layout.nan,
            compression=layout.compression,
            versions={name: importlib.metadata.version(name) for name in _PACKAGES},
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            checksum="",
        )
        header = header.model_copy(update={"checksum": content_checksum(header, arrays)})
        for name in CHECKED:
            self._file[name] = arrays[name]
        header.write(self._file)
        return header


class RunWriter:
    """Takes the volumes of one run in order, and then its record; gathers its statistics."""

    def __init__(self, subject: SubjectWriter, first_row: int) -> None:
        self._subject = subject
        self._row = first_row
        self._statistics = RunStatistics(subject.voxels)
        # While the volumes in one are being written the next ones come into the other.
        self._memory = [np.empty(BLOCK * subject.voxels + PAGE // 2, "<i2") for _ in range(2)]
        self._block = subject.room(self._memory[0], first_row)
        self._scale = np.empty((BLOCK, 2))
        self._crc32 = np.empty(BLOCK, np.uint32)
        self._waiting = 0
        self._written: Future[None] | None = None

    def room(self) -> NDArray[np.int16]:
        """Return where the next volume (V,) may be put together before it is added: so it need not be copied."""
        room: NDArray[np.int16] = self._block[self._waiting]
        return room

    def add_volume(self, stored: NDArray[np.int16], slope: float, intercept: float) -> None:
        """Append a volume (V,), in its `room()` or anywhere; physical value = slope * stored + intercept."""
        room = self.room()
        if not np.may_share_memory(stored, room):
            room[:] = stored
        self._crc32[self._waiting] = isal_zlib.crc32(room)
        self._scale[self._waiting] = slope, intercept
        self._waiting += 1
        if self._waiting == BLOCK:
            self._write()

    def end(self, record: RunRecord) -> None:
        """Close the run: `record` says where its volumes came from."""
        if self._waiting:
            self._write()
        self._wait()
        self._subject.end_run(record, self._statistics.result())

    def _write(self) -> None:
        volumes, scale = self._block[: self._waiting], self._scale[: self._waiting]
        self._wait()
        self._written = self._subject.write(self._row, volumes, scale, self._crc32[: self._waiting])
        self._statistics.add(volumes, scale)
        self._row, self._waiting = self._row + self._waiting, 0
        self._memory.reverse()
        self._block = self._subject.room(self._memory[0], self._row)

    def _wait(self) -> None:
        if self._written is not None:
            self._written.result()


@contextmanager
def new_subject_file(path: Path, layout: Layout) -> Iterator[SubjectWriter]:
    """Give a writer of `path`, which appears when the block ends well; else nothing of it stays.

    Raises UserError where the file cannot be written, a full disk included.
    """
    _remove_abandoned(path)
    # Held until after the renaming, so that another process never takes the finished file for an abandoned one.
    with ExitStack() as held, atomic_path(path) as temporary:
        _lock(held.enter_context(temporary.open("rb")))
        try:
            with (
                h5py.File(temporary, "w", libver="v110", locking=False, rdcc_nbytes=0, **_ALIGNED) as file,
                UncachedFile(temporary) as volumes,
                ThreadPoolExecutor(1) as writing,
            ):
                yield SubjectWriter(file, layout, volumes, writing)
        except (OSError, RuntimeError) as error:
            raise UserError(f"{path}: cannot write: {_cause(error)}") from error


def _cause(error: Exception) -> str:
    # HDF5 tells the system's reason inside a long text only.
    told = re.search(r"errno = (\d+)", str(error))
    number = int(told[1]) if told else getattr(error, "errno", None)
    if number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return f"{os.strerror(number)}; free some space, or choose another --out"
    return os.strerror(number) if number else str(error).splitlines()[0]


def _remove_abandoned(path: Path) -> None:
    """Remove what killed packings of this file left: temporaries that no living process holds."""
    for partial in path.parent.glob(f".partial-*-{path.name}"):
        # Gone meanwhile, or a colleague's: not ours to remove.
        with suppress(OSError), partial.open("rb") as file:
            if _lock(file):
                partial.unlink()


def _lock(file: BinaryIO) -> bool:
    """Lock a file if nobody holds it. Some shared file systems have no locks: then nothing counts as abandoned."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _make_volumes(file: h5py.File, total: int, voxels: int, compression: Compression) -> h5py.Dataset:
    if compression is Compression.NONE:
        # All at once, one behind the other, and not filled: without filters HDF5 needs no index of such chunks.
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
