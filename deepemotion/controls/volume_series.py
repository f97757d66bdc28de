"""Controls with a value per volume: head motion, recordings, the global signal and a phantom, in the unit of voxels."""

import numpy as np
from numpy.typing import NDArray

# A column that varies less than this share of its mean holds rounding alone.
_LEAST_VARIATION = 1e-6


def features(values_TC: NDArray[np.float32], *, with_differences: bool) -> NDArray[np.float32]:
    """Return features (T, F) of one run: each column z-scored and linearly detrended over the run's volumes.

    Empty cells take the column's mean over the run, and a column that is empty or never changes is 0.
    `with_differences` adds each column's difference from the volume before, 0 at the first.
    """
    values_TC = values_TC.astype(np.float64)
    known = np.isfinite(values_TC)
    mean = np.where(known, values_TC, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    filled = np.where(known, values_TC, mean)
    if with_differences:
        filled = np.concatenate([filled, np.diff(filled, axis=0, prepend=filled[:1])], axis=1)
    return _standardised(filled).astype(np.float32)


def _standardised(values_TF: NDArray[np.float64]) -> NDArray[np.float64]:
    centred = values_TF - values_TF.mean(axis=0)
    time = np.arange(len(values_TF)) - (len(values_TF) - 1) / 2
    without_trend = centred - time[:, None] * (time @ centred / max(float(time @ time), 1.0))
    sd = without_trend.std(axis=0)
    varies = sd > _LEAST_VARIATION * np.maximum(np.abs(values_TF).mean(axis=0), centred.std(axis=0))
    standardised: NDArray[np.float64] = np.where(varies, without_trend, 0) / np.where(varies, sd, 1)
    return standardised
