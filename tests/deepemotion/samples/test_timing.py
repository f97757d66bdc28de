"""When volumes were acquired: the real dataset's numbers, and what holds for any."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepemotion import config_files
from deepemotion.dataset.description import Dataset, Segment
from deepemotion.samples.timing import Timing, movie_times, outside_overlaps, run_starts, unique_parts

STUDYFORREST = Dataset.read(config_files.find("studyforrest", "datasets"))
UNIQUE_PARTS = {
    1: (0, 894),
    2: (894, 1760),
    3: (1760, 2620),
    4: (2620, 3580),
    5: (3580, 4488),
    6: (4488, 5350),
    7: (5350, 6418),
    8: (6418, 7086),
}


def every_volume(dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    volumes = [dataset.volumes(segment) for segment in dataset.segments]
    run = np.repeat([segment.run for segment in dataset.segments], volumes)
    return run, np.concatenate([np.arange(count) for count in volumes])


@st.composite
def film_segments(draw: st.DrawFn) -> list[Segment]:
    """Runs in order of start and end, with gaps, overlaps of any number of them, and neither."""
    steps = st.lists(st.integers(0, 60), min_size=1, max_size=6)
    starts = list(itertools.accumulate(draw(steps)))
    ends = list(itertools.accumulate(draw(st.lists(st.integers(0, 60), min_size=len(starts), max_size=len(starts)))))
    late = max(start - end for start, end in zip(starts, ends, strict=True)) + 1
    return [
        Segment(run=run, start=start, end=end + late)
        for run, (start, end) in enumerate(zip(starts, ends, strict=True), start=1)
    ]


def test_true_starts_are_those_of_the_segments() -> None:
    assert list(run_starts(STUDYFORREST.segments, "true").values()) == [0, 886, 1752, 2612, 3572, 4480, 5342, 6410]


def test_cumulative_starts_are_those_of_the_reference_code() -> None:
    starts = run_starts(STUDYFORREST.segments, "cumulative")
    assert list(starts.values()) == [0, 902, 1784, 2660, 3636, 4560, 5438, 6522]


def test_unique_parts_of_studyforrest() -> None:
    assert unique_parts(STUDYFORREST.segments) == UNIQUE_PARTS


def test_cutting_the_overlaps_leaves_3543_of_3599_volumes() -> None:
    run, index = every_volume(STUDYFORREST)
    times = movie_times(STUDYFORREST.segments, STUDYFORREST.tr, run, index, "true")
    kept = outside_overlaps(STUDYFORREST.segments, run, times)
    assert (len(kept), kept.sum()) == (3599, 3543)
    # Each side of each of the 7 boundaries gives up its 4 volumes, and the film's two ends give up none.
    lost = {(int(r), int(i)) for r, i in zip(run[~kept], index[~kept], strict=True)}
    heads = {(r, i) for r in range(2, 9) for i in range(4)}
    tails = {(s.run, STUDYFORREST.volumes(s) - 1 - i) for s in STUDYFORREST.segments[:-1] for i in range(4)}
    assert lost == heads | tails
    assert sorted(times[kept].tolist()) == list(range(0, 7086, 2))


@pytest.mark.parametrize(("timing", "last"), [("true", 7084.0), ("cumulative", 7196.0)])
def test_movie_time_counts_tr_by_tr_from_the_runs_start(timing: Timing, last: float) -> None:
    run, index = np.array([1, 1, 8]), np.array([0, 3, 337])
    times = movie_times(STUDYFORREST.segments, 2.0, run, index, timing)
    assert times.dtype == np.float64
    assert times.tolist() == [0.0, 6.0, last]


def test_no_volumes_have_no_times() -> None:
    none = np.array([], dtype=np.int64)
    times = movie_times(STUDYFORREST.segments, 2.0, none, none, "true")
    assert times.shape == outside_overlaps(STUDYFORREST.segments, none, times).shape == (0,)


@given(film_segments())
def test_unique_parts_share_no_second_and_lose_none(segments: list[Segment]) -> None:
    parts = unique_parts(segments)
    for second in np.arange(segments[0].start, segments[-1].end + 1) + 0.5:
        heard = sum(segment.start <= second < segment.end for segment in segments)
        kept = sum(start <= second < end for start, end in parts.values())
        assert kept == min(heard, 1)
    for segment in segments:
        start, end = parts[segment.run]
        assert start >= segment.start
        assert end <= segment.end


@given(film_segments())
def test_the_timings_differ_by_the_gaps_and_overlaps_before_a_run(segments: list[Segment]) -> None:
    true, cumulative = run_starts(segments, "true"), run_starts(segments, "cumulative")
    offset = segments[0].start
    for previous, segment in itertools.pairwise(segments):
        offset += segment.start - previous.end
        assert true[segment.run] - cumulative[segment.run] == offset
