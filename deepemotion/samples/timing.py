"""When a volume was acquired, in seconds of the movie, and which label time belongs to it."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from deepemotion.dataset.description import Segment

Timing = Literal["true", "cumulative"]


def run_starts(segments: Sequence[Segment], timing: Timing) -> dict[int, float]:
    """Return each run's first movie second.

    `true` is where the segment starts in the movie. `cumulative` is the summed duration of the runs before it, as the
    published code has it: it ignores that adjacent segments overlap, so it runs ahead by one overlap per boundary.
    """
    if timing == "true":
        return {segment.run: segment.start for segment in segments}
    durations = [segment.end - segment.start for segment in segments]
    starts = np.cumsum([0.0, *durations[:-1]])
    return {segment.run: float(start) for segment, start in zip(segments, starts, strict=True)}


def unique_parts(segments: Sequence[Segment]) -> dict[int, tuple[float, float]]:
    """Return for each run the movie seconds [start, end) that remain its own when overlaps are cut.

    The 16 s that adjacent StudyForrest runs share are halved: each side of a boundary gives up 8 s.
    """
    starts = [segment.start for segment in segments]
    ends = [segment.end for segment in segments]
    for i in range(len(segments) - 1):
        if ends[i] > starts[i + 1]:
            ends[i] = starts[i + 1] = (ends[i] + starts[i + 1]) / 2
    return {segment.run: (start, end) for segment, start, end in zip(segments, starts, ends, strict=True)}


def movie_times(
    segments: Sequence[Segment], tr: float, run: NDArray[np.integer], index_in_run: NDArray[np.integer], timing: Timing
) -> NDArray[np.float64]:
    """Return the movie time (T,) in seconds at which each volume (run, index in run) began."""
    starts = run_starts(segments, timing)
    first = np.array([starts[number] for number in run.tolist()], dtype=np.float64)
    return first + tr * index_in_run


def outside_overlaps(
    segments: Sequence[Segment], run: NDArray[np.integer], movie_time: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Return (T,) True where a volume (true movie time in seconds) lies in its run's unique part."""
    parts = unique_parts(segments)
    limits = np.array([parts[number] for number in run.tolist()]).reshape(-1, 2)
    return (movie_time >= limits[:, 0]) & (movie_time < limits[:, 1])
