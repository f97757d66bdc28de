"""Which packed subjects may be used together, and with which labels."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepemotion.dataset.description import Film, Segment
from deepemotion.errors import UserError
from deepemotion.labels.table import Labels
from deepemotion.samples.agreement import Origin, Space, require_labels_of, require_one_film, require_one_space

SEGMENTS = [Segment(run=1, start=0, end=1010), Segment(run=2, start=1000, end=2000)]
FILM = Film("ours", 0, 2000)
FIRST = Origin(Path("packed/sub-01.h5"), FILM, 2.0, SEGMENTS)
SPACE = Space(FIRST.path, (4, 5, 6), np.eye(4))
OTHER_SEGMENTS = [Segment(run=1, start=0, end=990), Segment(run=2, start=990, end=2000)]


def second(**changes: Any) -> Origin:
    return replace(FIRST, path=Path("packed/sub-02.h5"), **changes)


def labels(start: float = 0, step: float = 2, count: int = 1000, film: Film | None = None) -> Labels:
    times = start + step * np.arange(count, dtype=np.float64)
    return Labels(("FEAR",), times, np.zeros(count, np.int64), np.zeros((count, 1), np.float32), "", film)


def test_subjects_of_one_dataset_and_grid_go_together() -> None:
    require_one_film([FIRST, second()])
    require_one_space([SPACE, replace(SPACE, affine=np.eye(4) + 1e-5)])


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"film": Film("theirs", 0, 2000)}, "of dataset theirs, but packed/sub-01.h5 of ours"),
        ({"tr": 1.9}, "of a TR of 1.9 s, but packed/sub-01.h5 of 2 s"),
        ({"segments": OTHER_SEGMENTS}, "of other segments of the film"),
    ],
)
def test_subjects_of_another_film_are_refused_by_both_names(changes: dict[str, Any], difference: str) -> None:
    with pytest.raises(UserError, match=r"^packed/sub-02\.h5: packed subject " + difference):
        require_one_film([FIRST, second(), second(**changes)])


@pytest.mark.parametrize("changes", [{"shape": (4, 5, 7)}, {"affine": np.diag([2.0, 1, 1, 1])}])
def test_subjects_on_another_grid_are_refused_by_both_names(changes: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"^packed/sub-02\.h5: .*packed/sub-01\.h5"):
        require_one_space([SPACE, replace(SPACE, path=Path("packed/sub-02.h5"), **changes)])


@pytest.mark.parametrize(
    "fitting",
    [
        labels(),
        labels(film=FILM),
        # The published labels end some seconds before the movie, and a grid may end a step after it.
        labels(count=993),
        labels(count=1001),
        # A rule that ends its grid early, of labels that know the film.
        labels(count=500, film=FILM),
    ],
)
def test_labels_of_the_film_are_taken(fitting: Labels) -> None:
    require_labels_of(FIRST, fitting, Path("labels.tsv"))


@pytest.mark.parametrize(
    ("other", "difference"),
    [
        (labels(film=Film("theirs", 0, 2000)), "labels of dataset theirs, but packed/sub-01.h5 is of ours"),
        (labels(film=Film("ours", 0, 2400)), "labels of a film from 0 to 2400 s, but that of packed/sub-01.h5"),
        (labels(film=Film("ours", 10, 2000)), "labels of a film from 10 to 2000 s"),
        (labels(step=1, count=2000), "labels every 1 s, but packed/sub-01.h5 has a TR of 2 s"),
        (labels(step=2.001), "labels every 2.001 s"),
        (labels(count=500), "labels from 0 to 1000 s, but the film of packed/sub-01.h5 is from 0 to 2000 s"),
        (labels(count=1400), "labels from 0 to 2800 s"),
        (labels(start=200, count=900), "labels from 200 to 2000 s"),
        (labels(start=-200, count=1100), "labels from -200 to 2000 s"),
        (labels(start=200, count=900, film=FILM), "labels from 200 to 2000 s"),
        (labels(start=5000), "labels from 5000 to 7000 s"),
    ],
)
def test_other_labels_are_refused_by_both_names(other: Labels, difference: str) -> None:
    with pytest.raises(UserError, match=r"^mine/labels\.tsv: " + difference) as refused:
        require_labels_of(FIRST, other, Path("mine/labels.tsv"))
    assert "packed/sub-01.h5" in str(refused.value)


@given(st.floats(0.3, 5), st.integers(2, 5000), st.floats(-100, 100))
def test_labels_on_the_films_own_grid_always_fit(tr: float, count: int, start: float) -> None:
    film = Film("ours", start, start + tr * count)
    segments = [Segment(run=1, start=film.start, end=film.end)]
    origin = replace(FIRST, film=film, tr=tr, segments=segments)
    for known in (None, film):
        require_labels_of(origin, labels(start, tr, count, known), Path("labels.tsv"))
