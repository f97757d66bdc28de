"""The unit of voxel values: turns a run's statistics into what is subtracted and multiplied."""

import numpy as np
from numpy.typing import NDArray

from deepemotion.errors import UserError
from deepemotion.samples.reader import Reader

# Voxels at a time, whose float64 values stay in the processor's cache.
_BLOCK = 65536
# Offset, gain and trend, each (R, V): (value - offset - trend * position) * gain is in the requested unit.
Normaliser = tuple[NDArray[np.float32] | None, NDArray[np.float32] | None, NDArray[np.float32] | None]


def normaliser(reader: Reader, normalisation: str) -> Normaliser:
    """Return what converts a subject's stored values to the unit, run by run; `position` counts from a run's middle.

    A voxel without a unit becomes 0: one that is constant over the run, and under `psc` one whose mean is smaller than
    its standard deviation. Raises UserError for `psc` of data without their mean.
    """
    offset_RV, gain_RV, trend_RV = _of_physical_values(reader, normalisation)
    scale = reader.voxel_scale
    if scale is None:
        return offset_RV, gain_RV, trend_RV
    slope_RV, intercept_RV = scale
    # Applied to the stored values themselves: ((slope x + intercept) - offset - trend t) gain.
    stored_offset_RV = ((0 if offset_RV is None else offset_RV) - intercept_RV) / slope_RV
    stored_gain_RV = slope_RV if gain_RV is None else gain_RV * slope_RV
    stored_trend_RV = None if trend_RV is None else (trend_RV / slope_RV).astype(np.float32)
    return stored_offset_RV.astype(np.float32), stored_gain_RV.astype(np.float32), stored_trend_RV


def _of_physical_values(reader: Reader, normalisation: str) -> Normaliser:
    if normalisation == "none":
        return None, None, None
    if normalisation == "psc":
        statistics = reader.statistics(("mean", "std"))
        mean_RV, std_RV = statistics["mean"], _changes(reader, statistics["std"])
        return mean_RV, _percent(reader, mean_RV, std_RV), None
    if normalisation == "zscore":
        statistics = reader.statistics(("mean", "std"))
        return statistics["mean"], _inverse(_changes(reader, statistics["std"])), None
    statistics = reader.statistics(("mean", "std", "trend"))
    std_RV = _changes(reader, statistics["std"])
    gain_RV = np.empty_like(std_RV)
    for run, length in enumerate(reader.file.volumes_per_run.values()):
        for start in range(0, gain_RV.shape[1], _BLOCK):
            part = np.s_[run, start : start + _BLOCK]
            gain_RV[part] = _inverse(_residual(std_RV[part], statistics["trend"][part], length))
    return statistics["mean"], gain_RV, statistics["trend"]


def _changes(reader: Reader, std_RV: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the standard deviations, 0 where they may only be the rounding of version 1 of the file format."""
    if reader.file.format_version == 1:
        error_R = np.array([run.largest_error for run in reader.file.header.runs], np.float32)
        std_RV[std_RV <= error_R[:, None]] = 0
    return std_RV


def _percent(reader: Reader, mean_RV: NDArray[np.float32], std_RV: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return 100 / mean (R, V), 0 where the mean is smaller than the standard deviation."""
    small_RV = np.abs(mean_RV) < std_RV
    for run, small_V, std_V in zip(reader.file.volumes_per_run, small_RV, std_RV, strict=True):
        changing = np.count_nonzero(std_V)
        if changing and 2 * np.count_nonzero(small_V) > changing:
            raise UserError(
                f"data.normalisation=psc: {np.count_nonzero(small_V)} of {changing} voxels of {reader.file.path}, run"
                f" {run}, have a mean smaller than their standard deviation: the mean was removed before packing, so"
                " there is no percent of it; use zscore or none"
            )
    gain_RV = _inverse(mean_RV / 100)
    gain_RV[small_RV | (std_RV == 0)] = 0
    return gain_RV


def _residual(std_V: NDArray[np.float32], trend_V: NDArray[np.float32], length: int) -> NDArray[np.float64]:
    """Return the standard deviation (V,) around the line, for a run of `length` volumes."""
    # The variance of 0, 1, ..., n - 1 is (n^2 - 1) / 12; what the line explains is subtracted.
    explained_V = trend_V.astype(np.float64) ** 2 * ((length**2 - 1) / 12)
    residual_V = np.sqrt(np.maximum(std_V.astype(np.float64) ** 2 - explained_V, 0))
    # float32 statistics leave a rounding residue in a voxel that is only a line; it must not be amplified.
    residual_V[residual_V < 1e-3 * std_V] = 0
    return residual_V


def _inverse(value: NDArray[np.floating]) -> NDArray[np.float32]:
    with np.errstate(divide="ignore"):
        inverse = (1 / value).astype(np.float32, copy=False)
    inverse[value == 0] = 0
    return inverse
