"""The labelled volumes of a trial, in memory as packed (int16, in-mask voxels), and as dense batches on a device.

Shape suffixes: N labelled volumes, V voxels in the mask, G (subject, run) groups, B batch, Z Y X the dense volume in
NIfTI's own byte order (x fastest), in which in-mask voxels are already sorted.
"""

from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from deepemotion import timing
from deepemotion.errors import UserError
from deepemotion.labels import Labels
from deepemotion.settings import DataSettings
from deepemotion.subject_file import SubjectFile, subject_path


@dataclass(frozen=True)
class SampleTable:
    """What is known of each labelled volume, N rows in the order subject, run, index in run."""

    subject: NDArray[np.str_]
    run: NDArray[np.int8]
    index_in_run: NDArray[np.int64]
    movie_time: NDArray[np.float64]  # seconds at acquisition, as `timing` places it
    label: NDArray[np.int64]  # class index
    soft: NDArray[np.float32]  # (N, C) share of observers that gave each class, as in labels.tsv

    def __len__(self) -> int:
        return len(self.label)


@dataclass
class Samples:
    """Labelled volumes of one or more subjects on one voxel grid. `dense` makes network input of any rows."""

    table: SampleTable
    classes: tuple[str, ...]
    shape: tuple[int, int, int]  # X, Y, Z
    voxels_V: Tensor  # flat index of each in-mask voxel in the dense ZYX volume
    volumes_NV: Tensor  # int16
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

    def to(self, device: torch.device) -> "Samples":
        """Move everything that batches are made of to `device`."""
        moved = {name: value.to(device) for name, value in vars(self).items() if isinstance(value, Tensor)}
        return replace(self, **{**vars(self), **moved, "_buffer": None})

    def dense(self, rows_B: Tensor) -> Tensor:
        """Return the volumes of `rows_B` as float32 (B, 1, Z, Y, X), normalised, zero outside the mask.

        The tensor is a buffer that the next call overwrites: background is written once, not once a batch.
        """
        x_BV = self.volumes_NV[rows_B].float()
        x_BV.mul_(self.scale_N2[rows_B, :1]).add_(self.scale_N2[rows_B, 1:])
        group_B = self.group_N[rows_B]
        if self.offset_GV is not None and self.gain_GV is not None:
            x_BV -= self.offset_GV[group_B]
            if self.trend_GV is not None:
                x_BV -= self.trend_GV[group_B] * self.position_N[rows_B, None]
            x_BV *= self.gain_GV[group_B]
        x, y, z = self.shape
        if self._buffer is None or len(self._buffer) < len(rows_B):
            self._buffer = torch.zeros(len(rows_B), x * y * z, device=self.device)
        dense_BW = self._buffer[: len(rows_B)]
        dense_BW.scatter_(1, self.voxels_V.expand(len(rows_B), -1), x_BV)
        return dense_BW.view(-1, 1, z, y, x)


def load(packed: Path, subjects: list[str], labels: Labels, settings: DataSettings) -> Samples:
    """Load the labelled volumes of `subjects` from their packed files.

    A volume's label is that of the grid interval holding its movie time minus the lag. Where masks differ, the voxels
    that all subjects have are kept. Raises UserError where files do not fit each other or nothing is labelled.
    """
    files = {subject: SubjectFile(subject_path(packed, subject)) for subject in subjects}
    try:
        return _load(packed, files, labels, settings)
    finally:
        for file in files.values():
            file.close()


def _load(packed: Path, files: dict[str, SubjectFile], labels: Labels, settings: DataSettings) -> Samples:
    first = next(iter(files.values()))
    for file in files.values():
        if file.shape != first.shape:
            raise UserError(f"{file.path}: shape {file.shape}, but {first.path} has {first.shape}; pack them alike")
    common = np.logical_and.reduce([file.mask for file in files.values()]).ravel(order="F")
    if not common.any():
        raise UserError(f"{packed}: the masks of subjects {', '.join(files)} share no voxel")

    kept = {subject: _labelled_rows(file, labels, settings) for subject, file in files.items()}
    total = sum(len(rows) for rows, _, _ in kept.values())
    if total == 0:
        raise UserError(f"{packed}: no volume of subjects {', '.join(files)} has a label at lag {settings.lag_s} s")

    volumes_NV = np.empty((total, int(common.sum())), dtype=np.int16)
    columns, normalisers, end, groups = [], [], 0, 0
    for subject, file in files.items():
        rows, grid_row, movie_time = kept[subject]
        start, end = end, end + len(rows)
        inside = common[file.mask.ravel(order="F")]
        if inside.all():
            file.read(rows, out=volumes_NV[start:end])
        else:
            for i in range(len(rows)):
                volumes_NV[start + i] = file.read(rows[i : i + 1])[0, inside]
        run_numbers = np.array(list(file.volumes_per_run))
        run = file.run[rows]
        length = np.array(list(file.volumes_per_run.values()))
        run_row = np.searchsorted(run_numbers, run)
        columns.append(
            {
                "subject": np.full(len(rows), subject),
                "run": run,
                "index_in_run": file.index_in_run[rows].astype(np.int64),
                "movie_time": movie_time,
                "label": labels.emotion[grid_row],
                "soft": labels.soft[grid_row],
                "scale": file.scale[rows].astype(np.float32),
                "group": run_row + groups,
                "position": (file.index_in_run[rows] - (length[run_row] - 1) / 2).astype(np.float32),
            }
        )
        groups += len(run_numbers)
        normalisers.append(_normaliser(file, settings.normalisation, length, inside))

    whole = {key: np.concatenate([column[key] for column in columns]) for key in columns[0]}
    offset, gain, trend = (_stack([normaliser[i] for normaliser in normalisers]) for i in range(3))
    return Samples(
        SampleTable(**{column.name: whole[column.name] for column in fields(SampleTable)}),
        labels.classes,
        first.shape,
        torch.from_numpy(np.flatnonzero(common)),
        torch.from_numpy(volumes_NV),
        torch.from_numpy(whole["scale"]),
        torch.from_numpy(whole["group"]),
        offset,
        gain,
        trend,
        torch.from_numpy(whole["position"]),
    )


def _labelled_rows(
    file: SubjectFile, labels: Labels, settings: DataSettings
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return the labelled rows of the file, and of each the row in the labels and the movie time in seconds."""
    movie_time = timing.movie_times(file.segments, file.tr, file.run, file.index_in_run, settings.timing)
    grid_row = labels.at(movie_time - settings.lag_s)
    keep = (grid_row >= 0) & (labels.emotion[np.maximum(grid_row, 0)] >= 0)
    if settings.drop_overlaps:
        keep &= timing.outside_overlaps(file.segments, file.run, file.movie_time)
    rows = np.flatnonzero(keep)
    return rows, grid_row[rows], movie_time[rows]


def _normaliser(
    file: SubjectFile, normalisation: str, length_R: NDArray[np.int64], inside_V: NDArray[np.bool_]
) -> tuple[NDArray[np.float32] | None, ...]:
    """Return offset, gain, trend (R, V) such that (value - offset - trend * position) * gain is in the unit wanted."""
    if normalisation == "none":
        return None, None, None
    mean_RV = file.statistics("mean")[:, inside_V]
    if normalisation == "psc":
        return mean_RV, _inverse(mean_RV / 100), None
    std_RV = file.statistics("std")[:, inside_V]
    if normalisation == "zscore":
        return mean_RV, _inverse(std_RV), None
    trend_RV = file.statistics("trend")[:, inside_V]
    # The variance of 0, 1, ..., n - 1 is (n^2 - 1) / 12; what the line explains leaves the variance.
    explained_RV = trend_RV.astype(np.float64) ** 2 * ((length_R.astype(np.float64) ** 2 - 1) / 12)[:, None]
    residual_RV = np.sqrt(np.maximum(std_RV.astype(np.float64) ** 2 - explained_RV, 0))
    # float32 statistics leave a rounding residue in a voxel that is all line: that is no signal to blow up.
    residual_RV[residual_RV < 1e-3 * std_RV] = 0
    return mean_RV, _inverse(residual_RV), trend_RV


def _inverse(value: NDArray[np.floating]) -> NDArray[np.float32]:
    inverse: NDArray[np.float32] = np.zeros(value.shape, np.float32)
    np.divide(1, value, out=inverse, where=value != 0, casting="same_kind")
    return inverse


def _stack(parts: list[NDArray[np.float32] | None]) -> Tensor | None:
    present = [part for part in parts if part is not None]
    return torch.from_numpy(np.concatenate(present)) if present else None
