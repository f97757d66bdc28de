"""Writes one run of a subject file, volume by volume, and accumulates its statistics."""

from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

from deepemotion.subject_file.format import RunRecord
from deepemotion.subject_file.quantisation import VoxelScale, largest_ratio
from deepemotion.subject_file.run_statistics import BLOCK, UNSCALED, RunStatistics
from deepemotion.subject_file.uncached_file import PAGE

if TYPE_CHECKING:
    from deepemotion.subject_file.writer import SubjectWriter


class RunWriter:
    """Takes the volumes of one run in order, and then its record; accumulates its statistics.

    Physical value = slope * value + intercept, where value is the stored one, or, if voxels have scales of their own,
    voxel slope * stored + voxel intercept.
    """

    def __init__(self, subject: "SubjectWriter", first_row: int) -> None:
        self._subject = subject
        self._row = first_row
        self._statistics = RunStatistics(subject.voxels)
        # While the volumes in one are being written, the next ones go into the other.
        self._memory = [np.empty(BLOCK * subject.voxels + PAGE // 2, "<i2") for _ in range(2)]
        self._block = subject.room(self._memory[0], first_row)
        self._scale = np.empty((BLOCK, 2))
        self._crc32 = np.empty(BLOCK, np.uint32)
        self._waiting = 0
        self._written: Future[None] | None = None
        self._voxel_scale: VoxelScale | None = None

    def scale_voxels(self, scale: VoxelScale) -> None:
        """Give each voxel of the run a scale of its own, before the first volume. All volumes then share one scale."""
        self._voxel_scale = scale

    @contextmanager
    def next_volume(self, slope: float, intercept: float) -> Iterator[NDArray[np.int16]]:
        """Yield the memory (V,) of the next volume, to be filled; the volume is added when the block ends."""
        volume = self._block[self._waiting]
        yield volume
        self._crc32[self._waiting] = isal_zlib.crc32(volume)
        self._scale[self._waiting] = slope, intercept
        self._waiting += 1
        if self._waiting == BLOCK:
            self._write()

    def end(self, record: RunRecord, error_V: NDArray[np.floating] | None = None) -> None:
        """End the run. `record` says where its volumes came from; the results of storing them are added to it here.

        `error_V` (V,) is the largest error of each voxel in physical units, None if the record already has it.
        """
        if self._waiting:
            self._write()
        self._wait()
        physical = None
        if self._voxel_scale is not None:
            slope, intercept = self._scale[0]
            physical = (
                slope * self._voxel_scale.slope.astype(np.float64),
                slope * self._voxel_scale.intercept + intercept,
            )
        statistics = self._statistics.result(physical)
        std_V = statistics["std"]
        changes: dict[str, float] = {"constant_voxels": int(np.count_nonzero(std_V == 0))}
        if error_V is not None:
            changes |= {"largest_error": float(error_V.max()), "largest_error_sd": largest_ratio(error_V, std_V)}
        self._subject.end_run(record.model_copy(update=changes), statistics, self._voxel_scale)

    def _write(self) -> None:
        volumes, scale = self._block[: self._waiting], self._scale[: self._waiting]
        self._wait()
        self._written = self._subject.write(self._row, volumes, scale, self._crc32[: self._waiting])
        self._statistics.add(volumes, scale if self._voxel_scale is None else UNSCALED[: self._waiting])
        self._row, self._waiting = self._row + self._waiting, 0
        self._memory.reverse()
        self._block = self._subject.room(self._memory[0], self._row)

    def _wait(self) -> None:
        if self._written is not None:
            self._written.result()
