"""Writes a packed subject file, volume by volume; docs/subject-file.md describes the format."""

import errno
import fcntl
import importlib.metadata
import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO

import h5py
import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

from deepemotion.dataset import Dataset
from deepemotion.errors import UserError
from deepemotion.files import atomic_path
from deepemotion.pack_options import Compression, NanRule
from deepemotion.run_statistics import RunStatistics
from deepemotion.subject_format import (
    CHECKED,
    FORMAT_VERSION,
    STATISTICS,
    Header,
    RunRecord,
    Source,
    content_checksum,
)

# Volumes between two syncs, which run beside the packing: left to the end, they would take a fifth of its time.
_SYNC_EVERY = 32
# A volume that begins with a page of memory is copied to the system's cache faster.
_PAGES = {"alignment_threshold": 1 << 16, "alignment_interval": 4096}
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
    """Takes the runs of a subject, in any order and several at once, each through a `RunWriter` in one thread."""

    def __init__(self, file: h5py.File, layout: Layout, syncer: ThreadPoolExecutor) -> None:
        self._file = file
        self._descriptor = file.id.get_vfd_handle()
        self._syncer = syncer
        self._syncing = Lock()
        self._synced = syncer.submit(os.fsync, self._descriptor)
        self._layout = layout
        self._voxels = int(layout.mask.sum())
        total = sum(layout.runs.values())
        self._volumes = file.create_dataset(
            "volumes", (total, self._voxels), "<i2", chunks=(1, self._voxels), **_filter(layout.compression)
        )
        self._crc32 = np.zeros(total, np.uint32)
        self._scale = np.zeros((total, 2))
        self._ended: dict[int, tuple[RunRecord, dict[str, NDArray[np.float32]]]] = {}

    def run(self, number: int) -> "RunWriter":
        """Return the writer of a run of the layout, for one thread; runs may be written at the same time."""
        runs = list(self._layout.runs)
        first = sum(self._layout.runs[before] for before in runs[: runs.index(number)])
        return RunWriter(self, first, self._voxels)

    def write(self, row: int, data: NDArray[np.int16], slope: float, intercept: float) -> None:
        """Write a volume (V,), contiguous and little-endian, at its place among all runs'."""
        if self._layout.compression is Compression.NONE:
            self._volumes.id.write_direct_chunk((row, 0), data)
        else:
            self._volumes[row] = data
        self._crc32[row] = isal_zlib.crc32(data)
        self._scale[row] = slope, intercept

    def sync(self) -> None:
        """Let what was written so far reach the disk, beside the packing."""
        with self._syncing:
            if self._synced.done():
                self._synced.result()  # the system tells a failed write once only
                self._synced = self._syncer.submit(os.fsync, self._descriptor)

    def end_run(self, record: RunRecord, statistics: dict[str, NDArray[np.float32]]) -> None:
        """Take a run's record and statistics, once all its volumes are written."""
        self._ended[record.run] = record, statistics

    def finish(self) -> Header:
        """Write everything but the volumes, and return the header."""
        self._synced.result()
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

    def __init__(self, subject: SubjectWriter, first_row: int, voxels: int) -> None:
        self._subject = subject
        self._row = first_row
        self._statistics = RunStatistics(voxels)

    def room(self) -> NDArray[np.int16]:
        """Return where the next volume (V,) may be put together before it is added: so it need not be copied."""
        return self._statistics.room()

    def add_volume(self, stored: NDArray[np.int16], slope: float, intercept: float) -> None:
        """Append a volume (V,); physical value = slope * stored + intercept."""
        data = np.ascontiguousarray(stored, "<i2")
        self._subject.write(self._row, data, slope, intercept)
        self._statistics.add(data, slope, intercept)
        self._row += 1
        if self._row % _SYNC_EVERY == 0:
            self._subject.sync()

    def end(self, record: RunRecord) -> None:
        """Close the run: `record` says where its volumes came from."""
        self._subject.end_run(record, self._statistics.result())


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
                h5py.File(temporary, "w", libver="v110", locking=False, rdcc_nbytes=0, **_PAGES) as file,
                ThreadPoolExecutor(1) as syncer,
            ):
                yield SubjectWriter(file, layout, syncer)
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


def _filter(compression: Compression) -> dict[str, Any]:
    if compression is Compression.NONE:
        return {}
    try:
        import hdf5plugin
    except ImportError:
        raise UserError("--compression bitshuffle needs hdf5plugin: pip install 'deepemotion[compression]'") from None
    return dict(hdf5plugin.Bitshuffle())
