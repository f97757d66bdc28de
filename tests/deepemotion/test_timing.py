"""When volumes were acquired: the real dataset's numbers, and what holds for any."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from deepemotion import shipped
from deepemotion.dataset import Dataset, Segment
from deepemotion.timing import movie_times, outside_overlaps, run_starts, unique_parts

STUDYFORREST = Dataset.read(shipped.find("studyforrest", "datasets"))


def volumes(dataset):
    counts = [dataset.volumes(segment) for segment in dataset.segments]
    run = np.repeat([segment.run for segment in dataset.segments], counts)
    return run, np.concatenate([np.arange(count) for count in counts])


def test_the_published_offsets_run_ahead_by_an_overlap_a_boundary():
    cumulative = run_starts(STUDYFORREST.segments, "cumulative")
    assert list(cumulative.values()) == [0, 902, 1784, 2660, 3636, 4560, 5438, 6522]
    true = run_starts(STUDYFORREST.segments, "true")
    assert [cumulative[run] - true[run] for run in true] == [16 * i for i in range(8)]


def test_the_unique_parts_are_those_of_the_facts():
    parts = [(0, 894), (894, 1760), (1760, 2620), (2620, 3580), (3580, 4488), (4488, 5350), (5350, 6418), (6418, 7086)]
    assert list(unique_parts(STUDYFORREST.segments).values()) == parts


def test_3599_volumes_of_which_3543_are_outside_overlaps():
    run, index = volumes(STUDYFORREST)
    time = movie_times(STUDYFORREST.segments, STUDYFORREST.tr, run, index, "true")
    assert len(run) == 3599
    kept = outside_overlaps(STUDYFORREST.segments, run, time)
    assert kept.sum() == 3543
    assert sorted(time[kept].tolist()) == list(range(0, 7086, 2))


@given(
    lengths=st.lists(st.integers(20, 80), min_size=1, max_size=6),
    overlap=st.integers(0, 9),
)
def test_cutting_overlaps_keeps_every_moment_once(lengths, overlap):
    segments, start = [], 0
    for i, length in enumerate(lengths, start=1):
        segments.append(Segment(run=i, start=start, end=start + 2 * length))
        start += 2 * (length - 2 * overlap)
    run = np.repeat(np.arange(1, len(lengths) + 1), lengths)
    index = np.concatenate([np.arange(length) for length in lengths])
    time = movie_times(segments, 2.0, run, index, "true")
    kept = time[outside_overlaps(segments, run, time)]
    assert sorted(kept.tolist()) == sorted(set(time.tolist()))
