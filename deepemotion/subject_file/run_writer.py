"""Writes one run of a subject file, volume by volume, and accumulates its statistics."""

from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

from deepemotion.subject_file.format import RunRecord
from deepemotion.subject_file.quantisation import VoxelScale, largest_ratio
from deepemotion.subject_file.run_statistics import BLOCK, UNSCALED, RunStatistics
from deepemotion.subject_file.slice_means import SliceMeans
from deepemotion.subject_file.volume_output import VolumeOutput


class EndedRun(NamedTuple):
    """What is known of a run once all its volumes are written; a statistic is (V,), the means of a volume (1 + S,)."""

    record: RunRecord
    statistics: dict[str, NDArray[np.float32]]
    voxel_scale: VoxelScale | None
    slice_means: list[NDArray[np.float64]]


class RunWriter:
    """Takes the volumes of one run in order, and then its record.

    Physical value = slope * value + intercept, where value is the stored one, or what the scale of its voxel makes of
    that: voxel slope * stored + voxel intercept.

    `scale_T2` and `crc32_T` are filled, a row a volume, and `ended` gets the run when it ends. The run's first volume
    is `first_row` of the subject's.
    """

    def __init__(
        self,
        output: VolumeOutput,
        mask: NDArray[np.bool_],
        first_row: int,
        scale_T2: NDArray[np.float64],
        crc32_T: NDArray[np.uint32],
        ended: dict[int, EndedRun],
    ) -> None:
        self._output = output
        self._mask = mask
        self._first_row = first_row
        self._scale_T2 = scale_T2
        self._crc32_T = crc32_T
        self._ended = ended
        self._statistics = RunStatistics(output.voxels)
        # While the volumes in one are being written the next ones come into the other.
        self._memory = [output.new_memory() for _ in range(2)]
        self._block = output.block(self._memory[0], first_row)
        self._begun = 0  # volumes before the block
        self._count = 0  # volumes of the run
        self._written: Future[None] | None = None
        self._voxel_scale: VoxelScale | None = None
        self._slices = SliceMeans(mask)
        self._slice_means: list[NDArray[np.float64]] = []

    def scale_voxels(self, scale: VoxelScale) -> None:
        """Give each voxel of the run a scale of its own, before the first volume. All volumes then share one scale."""
        self._voxel_scale = scale
        self._slices = SliceMeans(self._mask, scale)

    @contextmanager
    def next_volume(self, slope: float, intercept: float) -> Iterator[NDArray[np.int16]]:
        """Give the memory (V,) of the run's next volume, to be filled, and its scale.

        It is added when the block ends; a block that raises adds nothing.
        """
        volume = self._block[self._count - self._begun]
        yield volume
        self._scale_T2[self._count] = slope, intercept
        self._crc32_T[self._count] = isal_zlib.crc32(volume)
        self._slice_means.append(self._slices.of(volume, slope, intercept))
        self._count += 1
        if self._count - self._begun == BLOCK:
            self._write()

    def end(self, record: RunRecord, error_V: NDArray[np.floating] | None = None) -> None:
        """End the run. `record` says where its volumes came from; the results of storing them are added to it here.

        `error_V` (V,) is the largest error of each voxel in physical units, None if the record already has it.
        """
        if self._count > self._begun:
            self._write()
        self._wait()
        scale = self._voxel_scale
        statistics = self._statistics.result(None if scale is None else scale.within(*self._scale_T2[0]))
        std_V = statistics["std"]
        changes: dict[str, float] = {"constant_voxels": int(np.count_nonzero(std_V == 0))}
        if error_V is not None:
            changes |= {"largest_error": float(error_V.max()), "largest_error_sd": largest_ratio(error_V, std_V)}
        self._ended[record.run] = EndedRun(record.model_copy(update=changes), statistics, scale, self._slice_means)

    def _write(self) -> None:
        volumes = self._block[: self._count - self._begun]
        self._wait()
        self._written = self._output.write(self._first_row + self._begun, volumes)
        scale_T2 = self._scale_T2[self._begun : self._count] if self._voxel_scale is None else UNSCALED[: len(volumes)]
        self._statistics.add(volumes, scale_T2)
        self._begun = self._count
        self._memory.reverse()
        self._block = self._output.block(self._memory[0], self._first_row + self._begun)

    def _wait(self) -> None:
        if self._written is not None:
            self._written.result()
