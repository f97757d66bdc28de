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
        """Return some of the columns, in the order given but for the categorical ones, which stay the last."""
        numeric = len(self.columns) - self.categorical
        places = [self.columns.index(name) for name in columns]
        ordered = [place for place in places if place < numeric] + [place for place in places if place >= numeric]
        return replace(
            self,
            columns=tuple(self.columns[place] for place in ordered),
            categorical=sum(place >= numeric for place in ordered),
            values=self.values[:, ordered],
        )


Series = VolumeSeries | EventSeries
