"""The control `stimulus`: what was played while a volume's label held, from events with values and times."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from deepemotion.subject_file.control_series import EventSeries

# Each feature is also averaged over so many volumes around: emotions and scenes last longer than a volume.
_AVERAGED_OVER = (5, 15)


class Stimulus:
    """How the columns of one part of a stimulus become features, the same for all its runs and subjects.

    `several` says whether a volume usually holds two or more events. Values are used as they are, without a logarithm.
    """

    def __init__(self, series: Sequence[EventSeries], tr: float) -> None:
        first = series[0]
        self.columns, self.categorical, self._tr = first.columns, first.categorical, tr
        duration = np.concatenate([one.duration for one in series])
        self.several = bool(np.median(duration) <= tr / 2)

    def features(self, series: EventSeries, run: int, volumes: int, lag_s: float) -> NDArray[np.float64]:
        """Return (T, F) of a run with T volumes: what was played from `lag_s` before a volume on, for one TR.

        Per numeric column: the mean over the time that events cover, weighted by time (where nothing is played, the
        run's mean) and, if a volume usually holds several events, their SD and largest value. Per categorical one: the
        share of the volume. Then the share that events cover at all, and all of these averaged over 5 and 15 volumes
        around.
        """
        of_run = series.run == run
        onset, duration, values = series.onset[of_run], series.duration[of_run], series.values[of_run]
        event, volume, seconds = _overlaps(onset, onset + duration, volumes, lag_s, self._tr)
        numeric = values.shape[1] - self.categorical
        columns = []
        for c in range(numeric):
            x = values[event, c].astype(np.float64)
            known = np.isfinite(x)
            parts = _moments(x[known], volume[known], seconds[known], volumes)[: 3 if self.several else 1]
            for part in parts:
                columns.append(np.where(np.isnan(part), np.nanmean(part) if np.isfinite(part).any() else 0.0, part))
        # Several events may hold one category at a time, which is still that one share of the volume.
        for held in (*(values[:, c] > 0 for c in range(numeric, values.shape[1])), np.ones(len(onset), np.bool_)):
            _, covered, shared = _overlaps(*_union(onset[held], (onset + duration)[held]), volumes, lag_s, self._tr)
            columns.append(np.bincount(covered, shared, volumes) / self._tr)
        features = np.stack(columns, axis=1)
        return np.concatenate([features, *(_moving_average(features, width) for width in _AVERAGED_OVER)], axis=1)


def _union(onset: NDArray[np.float64], end: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return onset and end of the intervals that events cover, each moment once."""
    order = np.argsort(onset)
    onset, end = onset[order], np.maximum.accumulate(end[order])
    begins = np.ones(len(onset), np.bool_)
    begins[1:] = onset[1:] > end[:-1]
    return onset[begins], end[np.roll(begins, -1)]


def _overlaps(
    onset: NDArray[np.float64], end: NDArray[np.float64], volumes: int, lag_s: float, tr: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return the event, the volume and the shared seconds of each pair of an event and a volume that share time."""
    first = np.clip(np.floor((onset + lag_s) / tr), 0, volumes).astype(np.int64)
    last = np.clip(np.ceil((end + lag_s) / tr), 0, volumes).astype(np.int64)
    count = np.maximum(last - first, 0)
    event = np.repeat(np.arange(len(onset)), count)
    volume = first[event] + np.arange(len(event)) - np.repeat(np.cumsum(count) - count, count)
    start = volume * tr - lag_s
    seconds = np.minimum(end[event], start + tr) - np.maximum(onset[event], start)
    # Shared time that is only rounding would be a mean of one event that was not played.
    shared = seconds > 1e-6 * tr
    return event[shared], volume[shared], seconds[shared]


def _moments(
    x: NDArray[np.float64], volume: NDArray[np.int64], seconds: NDArray[np.float64], volumes: int
) -> list[NDArray[np.float64]]:
    """Return mean, SD and largest value (T,) of what each volume holds, weighted by time; NaN where it holds none."""
    weight = np.bincount(volume, seconds, volumes)
    with np.errstate(invalid="ignore"):
        mean = np.bincount(volume, seconds * x, volumes) / weight
        sd = np.sqrt(np.bincount(volume, seconds * (x - mean[volume]) ** 2, volumes) / weight)
    largest = np.full(volumes, -np.inf)
    np.maximum.at(largest, volume, x)
    return [mean, sd, np.where(np.isinf(largest), np.nan, largest)]


def _moving_average(features: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """Return the means (T, F) of the volumes within `width // 2` of each in its run."""
    total = np.concatenate([np.zeros((1, features.shape[1])), np.cumsum(features, axis=0)])
    index = np.arange(len(features))
    first, last = np.maximum(index - width // 2, 0), np.minimum(index + width // 2 + 1, len(features))
    mean: NDArray[np.float64] = (total[last] - total[first]) / (last - first)[:, None]
    return mean
