"""The unit of a voxel: from a run's statistics to what is taken off and multiplied."""

import numpy as np
from numpy.typing import NDArray

from deepemotion.samples.volume_reader import VolumeReader

# Voxels at a time, whose float64 values stay in the processor's cache.
_BLOCK = 65536
# Offset, gain and trend, each (R, V), such that (value - offset - trend * position) * gain is in the unit wanted.
Normaliser = tuple[NDArray[np.float32] | None, NDArray[np.float32] | None, NDArray[np.float32] | None]


def normaliser(reader: VolumeReader, normalisation: str) -> Normaliser:
    """Return what brings a subject's voxels into the unit, run by run; `position` counts from the middle of the run."""
    if normalisation == "none":
        return None, None, None
    if normalisation == "psc":
        mean_RV = reader.statistics(("mean",))["mean"]
        return mean_RV, _inverse(mean_RV / 100), None
    if normalisation == "zscore":
        found = reader.statistics(("mean", "std"))
        return found["mean"], _inverse(found["std"]), None
    found = reader.statistics(("mean", "std", "trend"))
    gain_RV = np.empty_like(found["std"])
    for run, length in enumerate(reader.file.volumes_per_run.values()):
        for start in range(0, gain_RV.shape[1], _BLOCK):
            part = np.s_[run, start : start + _BLOCK]
            gain_RV[part] = _inverse(_residual(found["std"][part], found["trend"][part], length))
    return found["mean"], gain_RV, found["trend"]


def _residual(std_V: NDArray[np.float32], trend_V: NDArray[np.float32], length: int) -> NDArray[np.float64]:
    """Return the standard deviation (V,) about the line, of a run of so many volumes."""
    # The variance of 0, 1, ..., n - 1 is (n^2 - 1) / 12; what the line explains leaves the variance.
    explained_V = trend_V.astype(np.float64) ** 2 * ((length**2 - 1) / 12)
    residual_V = np.sqrt(np.maximum(std_V.astype(np.float64) ** 2 - explained_V, 0))
    # float32 statistics leave a rounding residue in a voxel that is all line: that is no signal to blow up.
    residual_V[residual_V < 1e-3 * std_V] = 0
    return residual_V


def _inverse(value: NDArray[np.floating]) -> NDArray[np.float32]:
    with np.errstate(divide="ignore"):
        inverse = (1 / value).astype(np.float32, copy=False)
    inverse[value == 0] = 0
    return inverse
