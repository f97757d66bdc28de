"""A subject's volumes at the moments that alignment may be estimated on, in blocks of voxels."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from deepemotion.samples import splits
from deepemotion.samples.grid import Grid
from deepemotion.samples.load import load_opened
from deepemotion.samples.samples import Samples
from deepemotion.samples.timing import outside_overlaps
from deepemotion.samples.volumes import Held
from deepemotion.settings.schema import SplitSettings, TrialSettings
from deepemotion.subject_file.reader import SubjectFile

# For a whole film, a block takes about 60 MB, and four times as much while it is normalised.
BLOCK_VOXELS = 4096

# A moment's number, the same in every subject, is its run times this, plus its index in the run.
_A_RUN = 1_000_000
Moments = NDArray[np.int64]


@dataclass(frozen=True)
class AlignedMoments:
    """The T training moments of one subject, labelled or not, in the order of the film.

    A moment that two runs share belongs to the run that has it in its own part, whatever the trial trains on. The gap
    is measured from all validation volumes, including those of shared moments if the trial keeps them.
    """

    moment_T: Moments
    _rows_T: Tensor
    _series: Samples

    @classmethod
    def of(cls, file: SubjectFile, grid: Grid, trial: TrialSettings) -> Self:
        """Load a subject's volumes in a trial's unit and a grid's voxels. Raises UserError for an unknown fold."""
        series = load_opened({file.subject: file}, None, trial.data, grid=grid)
        in_own_part = outside_overlaps(file.segments, series.table.run, series.table.true_time)
        rows_T = np.flatnonzero(splits.moments(series.table, trial.split)[0] & in_own_part)
        moment_T = series.table.run[rows_T].astype(np.int64) * _A_RUN + series.table.index_in_run[rows_T]
        return cls(moment_T, torch.from_numpy(rows_T), series)

    def only(self, moment_T: Moments) -> Self:
        """Return a selection of the moments, all of which must be present."""
        rows_T = self._rows_T[torch.from_numpy(np.searchsorted(self.moment_T, moment_T))]
        return replace(self, moment_T=moment_T, _rows_T=rows_T)

    def training(self, split: SplitSettings) -> NDArray[np.bool_]:
        """Return (T,) which moments are training moments of another split. Raises UserError for an unknown fold."""
        training: NDArray[np.bool_] = splits.moments(self._series.table, split)[0][self._rows_T.numpy()]
        return training

    def gram(self, device: torch.device) -> Tensor:
        """Return the Gram matrix (T, T) of the volumes: float64, on the CPU; products within a block are float32."""
        total_TT = torch.zeros(len(self.moment_T), len(self.moment_T), dtype=torch.float64, device=device)
        for _, x_TB in self.blocks(device):
            total_TT += x_TB @ x_TB.T
        return total_TT.cpu()

    def blocks(self, device: torch.device) -> Iterator[tuple[slice, Tensor]]:
        """Yield, as `blocks` does, the volumes (T, B)."""
        return blocks(self._series, self._rows_T, device)


def runs_of(moment_T: Moments) -> NDArray[np.int64]:
    """Return the run (T,) of each moment."""
    return moment_T // _A_RUN


def blocks(samples: Samples, rows: Tensor, device: torch.device) -> Iterator[tuple[slice, Tensor]]:
    """Yield, block by block of the V voxels of `samples`, which of them it holds, and their values in all `rows`.

    The values are in the unit of `samples`, on `device`. Its volumes must be in memory.
    """
    volumes_NV = samples.held()
    for start in range(0, len(samples.voxels_V), BLOCK_VOXELS):
        columns = slice(start, min(start + BLOCK_VOXELS, len(samples.voxels_V)))
        block = replace(
            samples,
            voxels_V=samples.voxels_V[columns],
            volumes=Held(volumes_NV[:, columns].contiguous()),
            offset_GV=_columns(samples.offset_GV, columns),
            gain_GV=_columns(samples.gain_GV, columns),
            trend_GV=_columns(samples.trend_GV, columns),
            _buffer=None,
        ).to(device)
        yield columns, block.values(rows.to(device))


def _columns(statistic_GV: Tensor | None, columns: slice) -> Tensor | None:
    return None if statistic_GV is None else statistic_GV[:, columns]
