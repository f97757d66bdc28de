"""The unit of a voxel: from a run's statistics to what is taken off and multiplied."""

import numpy as np
from numpy.typing import NDArray

from deepemotion.volume_reader import VolumeReader

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
    std_RV, trend_RV = found["std"], found["trend"]
    length_R = np.array(list(reader.file.volumes_per_run.values()), np.float64)
    # The variance of 0, 1, ..., n - 1 is (n^2 - 1) / 12; what the line explains leaves the variance.
    explained_RV = trend_RV.astype(np.float64) ** 2 * ((length_R**2 - 1) / 12)[:, None]
    residual_RV = np.sqrt(np.maximum(std_RV.astype(np.float64) ** 2 - explained_RV, 0))
    # float32 statistics leave a rounding residue in a voxel that is all line: that is no signal to blow up.
    residual_RV[residual_RV < 1e-3 * std_RV] = 0
    return found["mean"], _inverse(residual_RV), trend_RV


def _inverse(value: NDArray[np.floating]) -> NDArray[np.float32]:
    inverse: NDArray[np.float32] = np.zeros(value.shape, np.float32)
    np.divide(1, value, out=inverse, where=value != 0, casting="same_kind")
    return inverse
