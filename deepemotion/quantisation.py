"""Any source type as int16 with a slope and an intercept, without loss where the values allow it."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

_INT16 = np.iinfo(np.int16)
# Symmetric, so that the middle of the range is stored as 0.
_STEPS = 2 * _INT16.max


class Encoded(NamedTuple):
    """`stored` (V,) int16; value = slope * stored + intercept, off by at most `largest_error`."""

    stored: NDArray[np.int16]
    slope: float
    intercept: float
    largest_error: float


def encode(values: NDArray[Any]) -> Encoded:
    """Encode the finite values (V,) of one volume.

    Integers (of whatever type) that span at most 65,535 are kept exactly; other values share 65,534 steps between the
    volume's smallest and largest.
    """
    low, high = values.min(), values.max()
    if high - low <= _INT16.max - _INT16.min and (values.dtype.kind in "iu" or np.array_equal(values, np.rint(values))):
        offset = 0 if _INT16.min <= low and high <= _INT16.max else int(low) - _INT16.min
        return Encoded((values - values.dtype.type(offset)).astype(np.int16), 1.0, float(offset), 0.0)
    exact = values.astype(np.float64)
    middle = (float(low) + float(high)) / 2
    step = (float(high) - float(low)) / _STEPS
    stored = np.rint((exact - middle) / step)
    error = np.abs(stored * step + middle - exact).max()
    return Encoded(stored.astype(np.int16), step, middle, float(error))
