"""The labelled volumes of a trial, as packed (int16, in-mask voxels), and as dense batches on a device.

Shape suffixes: N labelled volumes, V voxels of the trial's grid, G (subject, run) groups, B batch, Z Y X the dense
volume in NIfTI's own byte order (x fastest), in which in-mask voxels are already sorted.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from deepemotion.samples.grid import Grid, Shape
from deepemotion.samples.volumes import Held, HostMemory, Staged, Volumes


@dataclass(frozen=True)
class SampleTable:
    """The labelled volumes, N rows in the order subject, run, index in run."""

    subject: NDArray[np.str_]
    run: NDArray[np.int8]
    index_in_run: NDArray[np.int64]
    movie_time: NDArray[np.float64]  # seconds at acquisition, as `timing` places it
    true_time: NDArray[np.float64]  # seconds at acquisition, as they were
    label: NDArray[np.int64]  # class index
    soft: NDArray[np.float32]  # (N, C) share of observers that gave each class, as in labels.tsv
    # (N, 2) how many observers could be compared with the others, and how many were right; None if it is not known
    observers: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.label)


@dataclass
class Samples:
    """Labelled volumes of one or more subjects on one voxel grid. `dense` makes network input of any rows."""

    table: SampleTable
    classes: tuple[str, ...]
    grid: Grid
    voxels_V: Tensor  # flat index of each in-mask voxel in the dense ZYX volume
    volumes: Volumes  # (N, V) int16
    scale_N2: Tensor  # slope and intercept: physical = slope * raw + intercept
    group_N: Tensor
    offset_GV: Tensor | None  # subtracted from the physical value
    gain_GV: Tensor | None  # multiplied after that; 0 where the unit is undefined (constant voxel)
    trend_GV: Tensor | None  # units a volume
    position_N: Tensor  # volumes from the middle of the run
    _buffer: Tensor | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.table)

    @property
    def device(self) -> torch.device:
        """Where dense batches are made."""
        return self.voxels_V.device

    @property
    def shape(self) -> Shape:
        """X, Y, Z of the dense volumes."""
        return self.grid.shape

    @property
    def volume_bytes(self) -> int:
        """How much memory the int16 volumes take, or would take if they are streamed."""
        return 2 * len(self) * len(self.voxels_V)

    @property
    def streamed(self) -> bool:
        """Whether the volumes are read from their files for every batch."""
        return isinstance(self.volumes, Staged) and not isinstance(self.volumes.store, HostMemory)

    def held(self) -> Tensor:
        """Return the int16 volumes (N, V), which may be changed in place. They must be in memory, not streamed."""
        assert isinstance(self.volumes, Held)
        return self.volumes.volumes_NV

    def to(self, device: torch.device, *, resident: bool = True) -> "Samples":
        """Move what batches are made from to `device`; volumes only if they are in memory and should be `resident`."""
        moved = {name: value.to(device) for name, value in vars(self).items() if isinstance(value, Tensor)}
        volumes = self.volumes
        if isinstance(volumes, Held):
            held = volumes.volumes_NV
            volumes = Held(held.to(device)) if resident else Staged(HostMemory(held), device)
        elif isinstance(volumes, Staged):
            volumes = Staged(volumes.store, device)
        return replace(self, **{**vars(self), **moved, "volumes": volumes, "_buffer": None})

    def dense(self, rows_B: Tensor) -> Tensor:
        """Return the volumes of `rows_B` as float32 (B, 1, Z, Y, X), normalised, zero outside the mask.

        The tensor is a buffer that the next call overwrites: the background is written once, not for every batch.
        """
        return self._dense(rows_B, self.values(rows_B))

    def batches(self, rows_N: Tensor, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (rows on the device, as `dense` has them) of `rows_N`, `size` at a time, in that order.

        Volumes that are not on the device are read ahead; nothing here waits for a GPU. `rows_N` should be on the CPU.
        """
        for rows_B, stored_BV in self.volumes.batches(rows_N, size):
            yield rows_B, self._dense(rows_B, self._normalised(rows_B, stored_BV))

    def values(self, rows_B: Tensor) -> Tensor:
        """Return the voxels of `rows_B` as float32 (B, V), normalised."""
        return self._normalised(rows_B, self.volumes[rows_B])

    def _normalised(self, rows_B: Tensor, stored_BV: Tensor) -> Tensor:
        if self.device.type == "cpu":
            return self._normalised_one_by_one(rows_B, stored_BV)
        x_BV = stored_BV.float()
        x_BV.mul_(self.scale_N2[rows_B, :1]).add_(self.scale_N2[rows_B, 1:])
        group_B = self.group_N[rows_B]
        if self.offset_GV is not None and self.gain_GV is not None:
            x_BV -= self.offset_GV[group_B]
            if self.trend_GV is not None:
                x_BV -= self.trend_GV[group_B] * self.position_N[rows_B, None]
            x_BV *= self.gain_GV[group_B]
        return x_BV

    def _normalised_one_by_one(self, rows_B: Tensor, stored_BV: Tensor) -> Tensor:
        """Do the same, bit for bit, while a volume and its normaliser stay in the processor's cache."""
        x_BV = torch.empty(stored_BV.shape)
        scale_B2, position_B = self.scale_N2[rows_B], self.position_N[rows_B]
        for i, group in enumerate(self.group_N[rows_B].tolist()):
            x_V = x_BV[i].copy_(stored_BV[i]).mul_(scale_B2[i, 0]).add_(scale_B2[i, 1])
            if self.offset_GV is not None and self.gain_GV is not None:
                x_V -= self.offset_GV[group]
                if self.trend_GV is not None:
                    x_V -= self.trend_GV[group] * position_B[i]
                x_V *= self.gain_GV[group]
        return x_BV

    def _dense(self, rows_B: Tensor, x_BV: Tensor) -> Tensor:
        x, y, z = self.shape
        if self._buffer is None or len(self._buffer) < len(rows_B):
            # A tensor that was made while a model predicts could not be written to while it trains.
            with torch.inference_mode(False):
                self._buffer = torch.zeros(len(rows_B), x * y * z, device=self.device)
        dense_BW = self._buffer[: len(rows_B)]
        dense_BW.scatter_(1, self.voxels_V.expand(len(rows_B), -1), x_BV)
        return dense_BW.view(-1, 1, z, y, x)
