"""What a control is made of, as packed: series with a row per volume, and events with onsets of their own."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class VolumeSeries:
    """Values (T, C) of each volume of a subject, in the order of its packed file; NaN where a cell is empty."""

    columns: tuple[str, ...]
    values: NDArray[np.float32]

    def only(self, columns: Sequence[str]) -> "VolumeSeries":
        """Return some of the columns, in the order given."""
        return VolumeSeries(tuple(columns), self.values[:, [self.columns.index(name) for name in columns]])


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

    def only(self, columns: Sequence[str]) -> "EventSeries":
        """Return some of the columns, in their own order."""
        places = [place for place, name in enumerate(self.columns) if name in columns]
        numeric = len(self.columns) - self.categorical
        return replace(
            self,
            columns=tuple(self.columns[place] for place in places),
            categorical=sum(place >= numeric for place in places),
            values=self.values[:, places],
        )


Series = VolumeSeries | EventSeries
