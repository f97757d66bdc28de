"""Reads the packed subject file `sub-XX.h5`. docs/subject-file.md describes the format."""

from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

from deepemotion.errors import UserError
from deepemotion.subject_file.format import (
    ARRAYS,
    STATISTICS,
    VOXEL_SCALE,
    Statistic,
    content_checksum,
    content_checksum_of_version_1,
)
from deepemotion.subject_file.opening import HDF5_ERRORS, open_hdf5, read_header
from deepemotion.subject_file.options import Compression
from deepemotion.subject_file.quantisation import VoxelScale


class SubjectFile:
    """A packed subject: T volumes of the V voxels inside the mask, with R runs. Read-only; a context manager.

    Opening reads attributes only; each array is read when first used, and compared with its checksum. Many processes
    may open one file at once. Raises UserError if the file is missing, truncated, damaged, not a subject
    file, or of a newer format.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = open_hdf5(path)
        try:
            self.header = read_header(self._file, path)
            self._volumes: h5py.Dataset = self._file["volumes"]
            self.total, self.voxels = (int(size) for size in self._volumes.shape)
            x, y, z = self._file["mask"].shape
            self.shape: tuple[int, int, int] = (x, y, z)
            self.volumes_per_run = {run.run: run.volumes for run in self.header.runs}
            if self._volumes.dtype != np.dtype("<i2") or self._volumes.chunks != (1, self.voxels):
                raise UserError(f"{path}: /volumes must be int16 with one volume a chunk; pack the subject again")
            if self.total != sum(self.volumes_per_run.values()):
                raise UserError(f"{path}: its runs do not add up to {self.total} volumes; pack the subject again")
            if self.header.format_version > 1:
                self._require_whole_header()
            self._size = path.stat().st_size
            stored = 1 if self.header.compression is not Compression.NONE else 2 * self.total * self.voxels
            if max(stored, self.voxels, x * y * z) > self._size:
                raise UserError(f"{path}: smaller than the volumes it declares: damaged; pack the subject again")
        except UserError:
            self._file.close()
            raise
        except HDF5_ERRORS as error:
            self._file.close()
            raise UserError(f"{path}: damaged or incomplete; pack the subject again ({error})") from error
        self.subject = self.header.subject
        self.dataset_name = self.header.dataset
        self.tr = self.header.tr
        self.segments = self.header.segments
        self.checksum = self.header.checksum
        self.format_version = self.header.format_version
        self._verified = self.header.format_version > 1

    @classmethod
    def of(cls, folder: Path, subject: str) -> Self:
        """Open a subject's packed file in `folder`. Raises UserError also if it holds another subject."""
        file = cls(subject_path(folder, subject))
        if file.subject != subject:
            file.close()
            raise UserError(f"{file.path}: holds sub-{file.subject}; pack sub-{subject} again")
        return file

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file. Arrays that were read before stay usable."""
        self._file.close()

    @cached_property
    def mask(self) -> NDArray[np.bool_]:
        """(X, Y, Z): True for the voxels that are stored, in the order of `mask.ravel(order="F")`."""
        mask = self.array("mask")
        if np.count_nonzero(mask) != self.voxels:
            raise UserError(
                f"{self.path}: its mask does not have the {self.voxels} voxels of its volumes; pack it again"
            )
        return mask

    @cached_property
    def affine(self) -> NDArray[np.float64]:
        """(4, 4): voxel indices to mm."""
        return self.array("affine")

    @cached_property
    def run(self) -> NDArray[np.int8]:
        """(T,): the run of each volume."""
        run = self.array("run")
        expected = np.repeat(list(self.volumes_per_run), list(self.volumes_per_run.values()))
        if not np.array_equal(run, expected):
            raise UserError(f"{self.path}: /run does not match the runs that the file declares; pack it again")
        return run

    @cached_property
    def index_in_run(self) -> NDArray[np.int32]:
        """(T,): each volume's index in its run, from 0."""
        return self.array("index_in_run")

    @cached_property
    def movie_time(self) -> NDArray[np.float64]:
        """(T,): the second of the movie at which each volume began to be acquired (true timing, no lag)."""
        return self.array("movie_time")

    @cached_property
    def scale(self) -> NDArray[np.float64]:
        """(T, 2): slope and intercept of each volume; physical value = slope * stored value + intercept.

        If voxels have scales of their own, this applies to the value that those give for the stored one.
        """
        return self.array("scale")

    @cached_property
    def crc32(self) -> NDArray[np.uint32]:
        """(T,): CRC-32 of each volume's stored values, as little-endian int16."""
        return self.array("crc32")

    @cached_property
    def chunk_offsets(self) -> NDArray[np.int64] | None:
        """(T,): the byte of the file at which each volume's stored values begin; None if they are compressed."""
        if self.header.compression is not Compression.NONE:
            return None
        offset_T = np.full(self.total, -1, np.int64)

        def note(chunk: Any) -> None:
            offset_T[chunk.chunk_offset[0]] = chunk.byte_offset

        try:
            self._volumes.id.chunk_iter(note)
        except HDF5_ERRORS as error:
            raise UserError(f"{self.path}: /volumes cannot be read: damaged; pack it again") from error
        if (offset_T < 0).any():
            raise UserError(f"{self.path}: volume {int(offset_T.argmin())} is missing: damaged; pack it again")
        return offset_T

    def statistics(self, name: Statistic) -> NDArray[np.float32]:
        """Return (R, V), one row per run in the order of `volumes_per_run`, in physical units.

        `std` is the population's (ddof 0); `trend` is the slope of the least-squares line, in units per volume.
        """
        return self.array(f"statistics/{name}")

    @property
    def has_voxel_scale(self) -> bool:
        """Whether voxels have scales of their own, which `voxel_scale` returns."""
        return set(VOXEL_SCALE) <= set(self.header.arrays)

    @property
    def array_names(self) -> list[str]:
        """The arrays beside /volumes."""
        return [*ARRAYS, *(VOXEL_SCALE if self.has_voxel_scale else ())]

    def voxel_scale(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return slope and intercept (R, V): physical value = slope * stored value + intercept.

        The scale of the voxels and that of the run's volumes combined; all volumes of a run share one if voxels have
        scales of their own.
        """
        slope, intercept = (self.array(name).astype(np.float64) for name in VOXEL_SCALE)
        first = np.cumsum([0, *self.volumes_per_run.values()][:-1])
        of_volumes = self.scale[first]
        slope *= of_volumes[:, :1]
        intercept *= of_volumes[:, :1]
        intercept += of_volumes[:, 1:]
        return slope, intercept

    def stored_voxel_scale(self, run: int) -> VoxelScale | None:
        """Return the scale of the voxels in a run as it is stored, None if voxels have none of their own."""
        if not self.has_voxel_scale:
            return None
        row = list(self.volumes_per_run).index(run)
        return VoxelScale(*(self.array(name)[row] for name in VOXEL_SCALE))

    def read(self, rows: NDArray[np.integer], out: NDArray[np.int16] | None = None) -> NDArray[np.int16]:
        """Read the stored values (n, V) of the volumes `rows` (n,), in that order, into `out` if it is given.

        `out` must be C-contiguous. Raises IndexError for a row outside 0..T-1, UserError if the file is damaged.
        """
        rows = np.asarray(rows)
        if rows.size and (rows.min() < 0 or rows.max() >= self.total):
            raise IndexError(f"{self.path}: rows must lie in 0..{self.total - 1}")
        if out is None:
            out = np.empty((len(rows), self.voxels), dtype=np.int16)
        elif out.shape != (len(rows), self.voxels) or out.dtype != np.int16 or not out.flags.c_contiguous:
            raise ValueError(f"out must be C-contiguous int16 of shape {(len(rows), self.voxels)}")
        try:
            # A list of rows as an HDF5 selection is a hundred times slower than one chunk after another.
            for i, row in enumerate(rows.tolist()):
                if self.header.compression is Compression.NONE:
                    self._volumes.id.read_direct_chunk((row, 0), out=out[i].view(np.uint8))
                else:
                    self._volumes.read_direct(out, np.s_[row], np.s_[i])
        except HDF5_ERRORS as error:
            raise UserError(f"{self.path}: volume {row} cannot be read: damaged; pack it again") from error
        return out

    def physical(self, rows: NDArray[np.integer]) -> NDArray[np.float64]:
        """Return the volumes `rows` (n, V) in physical units. Raises as `read` does."""
        stored = self.read(rows).astype(np.float64)
        if not self.has_voxel_scale:
            return stored * self.scale[rows, :1] + self.scale[rows, 1:]
        slope, intercept = self.voxel_scale()
        run_row = np.searchsorted(np.cumsum(list(self.volumes_per_run.values())), rows, side="right")
        return stored * slope[run_row] + intercept[run_row]

    def array(self, name: str) -> NDArray[Any]:
        """Return a whole array of the file. Raises UserError if it is missing or is not what was packed."""
        if not self._verified:
            self._verify_version_1()
        stored = self._read(name)
        if name in self.header.arrays and isal_zlib.crc32(np.ascontiguousarray(stored)) != self.header.arrays[name]:
            raise UserError(f"{self.path}: /{name} is not what was packed: damaged; pack it again")
        return stored

    def _read(self, name: str) -> NDArray[Any]:
        shape = self._expected_shape(name)
        try:
            dataset = self._file[name]
            # Before memory is allocated for it: a damaged file may declare any size.
            if dataset.shape != shape or dataset.size * dataset.dtype.itemsize > self._size:
                raise UserError(f"{self.path}: /{name} has shape {dataset.shape}, not {shape}: damaged; pack it again")
            stored: NDArray[Any] = dataset.astype({**ARRAYS, **VOXEL_SCALE}[name])[()]
        except HDF5_ERRORS as error:
            raise UserError(f"{self.path}: /{name} cannot be read: damaged; pack it again") from error
        return stored

    def _expected_shape(self, name: str) -> tuple[int, ...]:
        runs, voxels = len(self.volumes_per_run), self.voxels
        known = {"mask": self.shape, "affine": (4, 4), "scale": (self.total, 2)}
        per_voxel = {*(f"statistics/{statistic}" for statistic in STATISTICS), *VOXEL_SCALE}
        return (runs, voxels) if name in per_voxel else known.get(name, (self.total,))

    def _require_whole_header(self) -> None:
        missing = sorted(set(ARRAYS) - set(self.header.arrays))
        if missing or content_checksum(self.header) != self.header.checksum:
            raise UserError(f"{self.path}: its attributes are not those that were packed: damaged; pack it again")

    def _verify_version_1(self) -> None:
        """Compare all arrays with the single checksum that version 1 of the format has for them."""
        self._verified = True
        if content_checksum_of_version_1(self.header, {name: self._read(name) for name in ARRAYS}) != self.checksum:
            raise UserError(f"{self.path}: its arrays are not those that were packed: damaged; pack it again")


def subject_path(folder: Path, subject: str) -> Path:
    """Return the path of the packed file of `subject` in `folder`."""
    return folder / f"sub-{subject}.h5"
