"""Reads the volumes of one packed subject on a trial's grid, from any number of threads at once."""

import os
import weakref
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

from deepemotion.errors import UserError
from deepemotion.samples.grid import Grid
from deepemotion.samples.reader import LARGEST, THREADS, VoxelScale
from deepemotion.subject_file.format import Statistic
from deepemotion.subject_file.reader import SubjectFile
from deepemotion.subject_file.run_statistics import BLOCK, RunStatistics


class VolumeReader:
    """The volumes of a subject file with the V voxels of `grid`, as int16.

    Without blocks, stored values are unchanged. With blocks, a voxel is the mean of the packed voxels in it that are
    in the grid's mask, stored with a scale for each block and run (see `_block_scale`).
    """

    def __init__(self, file: SubjectFile, grid: Grid) -> None:
        """Read from `file`, whose mask must contain that of the grid. The file must stay open."""
        self.file = file
        self.voxels = len(grid.voxels)
        self._grid = grid
        self._chosen_P: NDArray[np.int64] | None = None
        if file.voxels != np.count_nonzero(grid.mask):
            self._chosen_P = np.flatnonzero(grid.mask.T[file.mask.T])
        if grid.step > 1:
            # Sorted by block, the voxels of a block are a slice, and summing slices is far faster than a histogram.
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

    @cached_property
    def voxel_scale(self) -> VoxelScale | None:
        """Slope and intercept (R, V) of the voxels; None if each volume has one scale, which `read` returns."""
        if self._grid.step > 1:
            return self._block_scale
        if not self.file.has_voxel_scale:
            return None
        slope_RP, intercept_RP = self.file.voxel_scale()
        if self._chosen_P is None:
            return slope_RP, intercept_RP
        return slope_RP[:, self._chosen_P], intercept_RP[:, self._chosen_P]

    @cached_property
    def _block_scale(self) -> VoxelScale:
        """Slope and intercept (R, V) that hold every mean of a block over a run.

        A value lies within sqrt(n - 1) standard deviations of the mean of its n values (Samuelson 1968), and so does a
        mean of voxels within the mean of their limits. A block of constant voxels stays constant.
        """
        mean_RV = self._means(self.file.statistics("mean").astype(np.float64)[:, self._chosen_P])
        reach_RV = self._means(self.file.statistics("std").astype(np.float64)[:, self._chosen_P])
        reach_RV *= np.sqrt(np.array(list(self.file.volumes_per_run.values()), np.float64) - 1)[:, None]
        # The statistics are float32.
        reach_RV = np.where(reach_RV > 0, 1.001 * reach_RV + 1e-6 * np.abs(mean_RV), 0)
        return np.where(reach_RV > 0, reach_RV / LARGEST, 1), mean_RV

    @cached_property
    def _packed_scale(self) -> VoxelScale | None:
        """Slope and intercept (R, P) of the packed voxels that the blocks are made of."""
        if not self.file.has_voxel_scale:
            return None
        slope_RP, intercept_RP = self.file.voxel_scale()
        return slope_RP[:, self._chosen_P], intercept_RP[:, self._chosen_P]

    def _means(self, values_XP: NDArray[np.floating]) -> NDArray[Any]:
        means: NDArray[Any] = np.add.reduceat(values_XP, self._starts_V, axis=-1) / self._count_V
        return means

    def read(self, rows: NDArray[np.int64], out: NDArray[np.int16]) -> NDArray[np.float64]:
        """Read the volumes `rows` (n,) of the file into `out` (n, V), and return slopes and intercepts (n, 2).

        These are 1 and 0 if `voxel_scale` is the whole scale. Raises UserError if the file is damaged.
        """
        scale_N2 = self.scale(rows)
        if self._chosen_P is None:
            for row, volume in zip(rows.tolist(), out, strict=True):
                self._read_stored(row, volume)
            return scale_N2
        stored = np.empty(self.file.voxels, np.int16)
        for i, row in enumerate(rows.tolist()):
            self._read_stored(row, stored)
            if self._grid.step == 1:
                np.take(stored, self._chosen_P, out=out[i], mode="clip")
            else:
                self._blocks(stored[self._chosen_P], row, out[i])
        return scale_N2

    def _blocks(self, stored_P: NDArray[np.int16], row: int, out: NDArray[np.int16]) -> None:
        """Write the means of the blocks of a volume into `out` (V,)."""
        run = self._run_row[row]
        slope_RV, centre_RV = self._block_scale
        if self._packed_scale is None:
            slope, intercept = self.file.scale[row]
            # At most 8 values of 16 bits: their sum is exact in float32.
            mean_V = self._means(stored_P.astype(np.float32)).astype(np.float64) * slope + intercept
        else:
            slope_RP, intercept_RP = self._packed_scale
            mean_V = self._means(stored_P * slope_RP[run] + intercept_RP[run])
        steps_V = np.rint((mean_V - centre_RV[run]) / slope_RV[run])
        out[:] = np.clip(steps_V, -LARGEST, LARGEST)

    @cached_property
    def _run_row(self) -> NDArray[np.int64]:
        """(T,): the row of each volume's run in statistics."""
        return np.repeat(np.arange(len(self.file.volumes_per_run)), list(self.file.volumes_per_run.values()))

    def read_side_by_side(self, rows: NDArray[np.int64], out: NDArray[np.int16]) -> NDArray[np.float64]:
        """Do the same as `read` in several threads: most of it is waiting, copying and checking outside Python."""
        bounds = [len(rows) * part // THREADS for part in range(THREADS + 1)]
        with ThreadPoolExecutor(THREADS) as pool:
            parts = pool.map(lambda a, b: self.read(rows[a:b], out[a:b]), bounds[:-1], bounds[1:])
            return np.concatenate(list(parts))

    def scale(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return slopes and intercepts (n, 2) of the volumes `rows`, 1 and 0 if `voxel_scale` is the whole scale."""
        if self._grid.step == 1 and not self.file.has_voxel_scale:
            return self.file.scale[rows]
        return np.tile([1.0, 0.0], (len(rows), 1))

    def statistics(self, names: tuple[Statistic, ...]) -> dict[Statistic, NDArray[np.float32]]:
        """Return (R, V) of each name, in physical units, one row per run.

        The spread of a mean of voxels does not follow from that of the voxels: for blocks, all volumes are read once.
        """
        if self._grid.step == 1:
            chosen = np.s_[:] if self._chosen_P is None else self._chosen_P
            return {name: self.file.statistics(name)[:, chosen] for name in names}
        runs = []
        volumes = np.empty((BLOCK, len(self._grid.voxels)), np.int16)
        slope_RV, centre_RV = self._block_scale
        for i, run in enumerate(self.file.volumes_per_run):
            gathered = RunStatistics(volumes.shape[1])
            rows = np.flatnonzero(self.file.run == run)
            for block in (rows[i : i + BLOCK] for i in range(0, len(rows), BLOCK)):
                gathered.add(volumes[: len(block)], self.read(block, volumes[: len(block)]))
            runs.append(gathered.result((slope_RV[i], centre_RV[i])))
        return {name: np.stack([run[name] for run in runs]) for name in names}

    def _read_stored(self, row: int, out: NDArray[np.int16]) -> None:
        if self._offset_T is None:
            self.file.read(np.array([row]), out[None])
        else:
            self._read_chunk(int(self._offset_T[row]), row, out)
        if isal_zlib.crc32(out) != self._crc32_T[row]:
            raise UserError(
                f"{self.file.path}: volume {row} is not what was packed: damaged; delete it and pack the subject again"
            )

    def _read_chunk(self, at: int, row: int, out: NDArray[np.int16]) -> None:
        # Reading the chunk's bytes directly needs neither HDF5's lock nor Python's, so threads read at the same time.
        left = out.data.cast("B")
        while left:
            count = os.preadv(self._descriptor, [left], at)
            if count == 0:
                raise UserError(f"{self.file.path}: volume {row} cannot be read: truncated; pack it again")
            left, at = left[count:], at + count
