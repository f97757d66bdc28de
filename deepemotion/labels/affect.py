"""Arousal and valence of the movie over time, from the observers' raw annotations."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deepemotion.errors import UserError
from deepemotion.labels import observer_files

# How Labs et al. (2015, F1000Research 4:92) code them; an empty field has no value.
_VALUES = {"arousal": {"HIGH": 1.0, "LOW": -1.0}, "valence": {"POS": 1.0, "NEG": -1.0}}


@dataclass(frozen=True)
class Affect:
    """Arousal and valence (N,) at N movie times, from -1 (low, negative) to 1; nan where no observer has a value."""

    arousal: NDArray[np.float64]
    valence: NDArray[np.float64]
    observers: int


def read(folder: Path, movie_time: NDArray[np.float64]) -> Affect:
    """Average the observers of all CSV files in `folder` over a uniform grid of movie times (N,) in seconds.

    An observer's value at a time is the mean over the events of all characters within [time, time + step); the
    movie's is the mean over the observers who have one. Raises UserError with file and line for what is malformed.
    """
    files = observer_files.find(folder)
    by_observer: dict[str, list[NDArray[np.float64]]] = {name: [] for name in _VALUES}
    for path in files.values():
        for name, values in _observer(path, movie_time).items():
            by_observer[name].append(values)
    return Affect(_mean(np.stack(by_observer["arousal"])), _mean(np.stack(by_observer["valence"])), len(files))


def _observer(path: Path, movie_time: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    step = movie_time[1] - movie_time[0]
    sums = {name: np.zeros(len(movie_time)) for name in _VALUES}
    counts = {name: np.zeros(len(movie_time)) for name in _VALUES}
    for where, row in observer_files.rows(path, ("start", "end", *_VALUES)):
        inside = _inside(row, movie_time, step, where)
        for name, values in _VALUES.items():
            text = row[name]
            if text and text not in values:
                raise UserError(f"{where}: {name} {text!r} is none of {', '.join(values)}")
            if text:
                sums[name][inside] += values[text]
                counts[name][inside] += 1
    return {name: _ratio(sums[name], counts[name]) for name in _VALUES}


def _inside(row: dict[str, str], movie_time: NDArray[np.float64], step: float, where: str) -> NDArray[np.bool_]:
    start, end = (observer_files.seconds(row, column, where) for column in ("start", "end"))
    # An event without duration still belongs to the interval that holds its moment.
    inside: NDArray[np.bool_] = (movie_time < max(end, np.nextafter(start, np.inf))) & (movie_time + step > start)
    return inside


def _mean(values_ON: NDArray[np.float64]) -> NDArray[np.float64]:
    present = ~np.isnan(values_ON)
    return _ratio(np.where(present, values_ON, 0).sum(axis=0), present.sum(axis=0))


def _ratio(above: NDArray[np.float64], below: NDArray[np.floating] | NDArray[np.integer]) -> NDArray[np.float64]:
    result: NDArray[np.float64] = np.full(above.shape, np.nan)
    np.divide(above, below, out=result, where=below > 0)
    return result
