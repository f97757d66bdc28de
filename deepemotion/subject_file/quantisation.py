"""Any source type as int16 with a slope and an intercept, without loss where the values allow it."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

_LEAST, _LARGEST = -32768, 32767
# Symmetric, so that the middle of the range is stored as 0.
_STEPS = 2 * _LARGEST


class Encoded(NamedTuple):
    """`stored` (V,) int16; value = slope * stored + intercept, off by at most `largest_error`."""

    stored: NDArray[np.int16]
    slope: float
    intercept: float
    largest_error: float


def encode(values: NDArray[Any]) -> Encoded:
    """Encode the finite values (V,) of one volume.

    Integers (of whatever type) that span at most 65,535 are kept exactly, and so are floats that hold whole numbers in
    the range of int16; other values share 65,534 even steps between the volume's smallest and largest.
    """
    # Numbers of Python's own: the range of a small integer type does not fit that type.
    low, high = values.min().item(), values.max().item()
    fits = low >= _LEAST and high <= _LARGEST
    if values.dtype.kind in "iu":
        if high - low <= _LARGEST - _LEAST and high < 2**62:
            offset = 0 if fits else low - _LEAST
            return Encoded((values.astype(np.int64) - offset).astype(np.int16), 1.0, float(offset), 0.0)
    elif fits and np.array_equal(values, np.rint(values)):
        return Encoded(values.astype(np.int16), 1.0, 0.0, 0.0)
    exact = values.astype(np.float64)
    middle = low / 2 + high / 2
    step = (high / _STEPS - low / _STEPS) or 1.0
    # Clipped for ranges so small that the step itself is rounded.
    stored = np.rint((exact - middle) / step).clip(-_LARGEST, _LARGEST)
    error = np.abs(stored * step + middle - exact).max()
    return Encoded(stored.astype(np.int16), step, middle, float(error))
