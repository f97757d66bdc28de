"""Reads one packed subject's volumes as a trial's grid has them, from any number of threads at once."""

import os
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

from deepemotion.errors import UserError
from deepemotion.samples.grid import Grid
from deepemotion.subject_file import quantisation
from deepemotion.subject_file.format import Statistic
from deepemotion.subject_file.reader import SubjectFile
from deepemotion.subject_file.run_statistics import BLOCK, RunStatistics

# Enough requests under way for a slow file system.
_THREADS = 4


class VolumeReader:
    """The volumes of a subject file, of which each has the V voxels of `grid`, int16 with a scale a volume.

    Where the grid has blocks, a voxel is the mean of those packed voxels in it that are in the grid's mask, encoded
    anew by `quantisation.encode`; otherwise the stored values come as they are.
    """

    def __init__(self, file: SubjectFile, grid: Grid) -> None:
        """Read from `file`, whose mask must hold that of the grid. It must stay open."""
        self.file = file
        self._grid = grid
        self._chosen_P: NDArray[np.int64] | None = None
        if file.voxels != np.count_nonzero(grid.mask):
            self._chosen_P = np.flatnonzero(grid.mask.T[file.mask.T])
        if grid.step > 1:
            # Sorted by block, each block's voxels are a slice, which is summed far faster than a histogram is filled.
            order_P = np.argsort(grid.block, kind="stable")
            self._starts_V = np.searchsorted(grid.block[order_P], np.arange(len(grid.voxels)))
            self._count_V = np.bincount(grid.block).astype(np.float32)
            self._chosen_P = order_P if self._chosen_P is None else self._chosen_P[order_P]
        self._crc32_T = file.crc32
        self._offset_T = file.chunk_offsets
        self._descriptor = -1
        if self._offset_T is not None:
            self._descriptor = os.open(file.path, os.O_RDONLY)
            weakref.finalize(self, os.close, self._descriptor)

    def read(self, rows: NDArray[np.int64], out: NDArray[np.int16]) -> NDArray[np.float64]:
        """Read the volumes `rows` (n,) of the file into `out` (n, V), and return slopes and intercepts (n, 2).

        Raises UserError where the file is damaged.
        """
        scale_N2 = self.file.scale[rows]
        if self._chosen_P is None:
            for row, volume in zip(rows.tolist(), out, strict=True):
                self._read_stored(row, volume)
            return scale_N2
        stored = np.empty(self.file.voxels, np.int16)
        for i, row in enumerate(rows.tolist()):
            self._read_stored(row, stored)
            if self._grid.step == 1:
                np.take(stored, self._chosen_P, out=out[i], mode="clip")
                continue
            # At most 8 values of 16 bits: their sum is exact in float32.
            mean_V = np.add.reduceat(stored[self._chosen_P].astype(np.float32), self._starts_V) / self._count_V
            encoded = quantisation.encode(mean_V)
            out[i] = encoded.stored
            slope, intercept = scale_N2[i]
            scale_N2[i] = slope * encoded.slope, slope * encoded.intercept + intercept
        return scale_N2

    def read_side_by_side(self, rows: NDArray[np.int64], out: NDArray[np.int16]) -> NDArray[np.float64]:
        """Do as `read` does, in several threads: most of it is waiting, copying and checking outside of Python."""
        bounds = [len(rows) * part // _THREADS for part in range(_THREADS + 1)]
        with ThreadPoolExecutor(_THREADS) as pool:
            parts = pool.map(lambda a, b: self.read(rows[a:b], out[a:b]), bounds[:-1], bounds[1:])
            return np.concatenate(list(parts))

    def scale(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return slopes and intercepts (n, 2) of the volumes `rows`; for blocks, they are read for that."""
        if self._grid.step == 1:
            return self.file.scale[rows]
        volume = np.empty((1, len(self._grid.voxels)), np.int16)
        return np.concatenate([self.read(rows[i : i + 1], volume) for i in range(len(rows))])

    def statistics(self, names: tuple[Statistic, ...]) -> dict[Statistic, NDArray[np.float32]]:
        """Return (R, V) of each name, in physical units, one row a run.

        The spread of a mean of voxels does not follow from the voxels' own: for blocks, all volumes are read once.
        """
        if self._grid.step == 1:
            chosen = np.s_[:] if self._chosen_P is None else self._chosen_P
            return {name: self.file.statistics(name)[:, chosen] for name in names}
        runs = []
        volumes = np.empty((BLOCK, len(self._grid.voxels)), np.int16)
        for run in self.file.volumes_per_run:
            gathered = RunStatistics(volumes.shape[1])
            rows = np.flatnonzero(self.file.run == run)
            rows = rows[np.argsort(self.file.index_in_run[rows])]
            for block in (rows[i : i + BLOCK] for i in range(0, len(rows), BLOCK)):
                gathered.add(volumes[: len(block)], self.read(block, volumes[: len(block)]))
            runs.append(gathered.result())
        return {name: np.stack([run[name] for run in runs]) for name in names}

    def _read_stored(self, row: int, out: NDArray[np.int16]) -> None:
        if self._offset_T is None:
            self.file.read(np.array([row]), out[None])
        else:
            self._read_chunk(int(self._offset_T[row]), row, out)
        if isal_zlib.crc32(out) != self._crc32_T[row]:
            raise UserError(f"{self.file.path}: volume {row} is not what was packed: damaged; pack it again")

    def _read_chunk(self, at: int, row: int, out: NDArray[np.int16]) -> None:
        # Reading the chunk's bytes from the file itself takes neither HDF5's lock nor Python's: threads read at once.
        left = out.data.cast("B")
        while left:
            count = os.preadv(self._descriptor, [left], at)
            if count == 0:
                raise UserError(f"{self.file.path}: volume {row} cannot be read: truncated; pack it again")
            left, at = left[count:], at + count
