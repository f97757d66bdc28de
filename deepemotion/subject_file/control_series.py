"""What a control is made of, as packed: series with a row per volume, and events with onsets of their own."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class VolumeSeries:
    """Values (T, C) of each volume of a subject, in the order of its packed file; NaN where a cell is empty."""

    columns: tuple[str, ...]
    values: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class EventSeries:
    """E events of all runs: run (E,), onset and duration (E,) in seconds of the run, values (E, C), NaN if empty.

    The last `categorical` columns, named COLUMN=VALUE, are 1 for an event with that value and 0 for any other.
    """

    columns: tuple[str, ...]
    categorical: int
    run: NDArray[np.int16]
    onset: NDArray[np.float64]
    duration: NDArray[np.float64]
    values: NDArray[np.float32]


Series = VolumeSeries | EventSeries
