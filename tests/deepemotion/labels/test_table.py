import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepemotion.dataset.description import Film
from deepemotion.errors import UserError
from deepemotion.labels.leave_one_out import ObserverScores
from deepemotion.labels.table import Labels, write

HEADER = "movie_time\temotion\tvotes\tobservers\tFEAR\tLOVE\n"
FIRST, SECOND = "0\tFEAR\t2\t3\t0.666667\t0\n", "2\tNONE\t0\t3\t0\t0\n"


def table(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "labels.tsv"
    path.write_text(text)
    return path


def on_grid(start: float, step: float, count: int) -> Labels:
    times = start + step * np.arange(count, dtype=np.float64)
    return Labels(("FEAR",), times, np.zeros(count, np.int64), np.zeros((count, 1), np.float32), "")


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "new" / "labels.tsv"
    soft = np.array([[2 / 3, 0], [1 / 3, 1 / 3], [0, 1]])
    write(
        path,
        classes=("FEAR", "LOVE"),
        movie_time=np.array([0.0, 0.7, 1.4]),
        emotion=np.array([0, -1, 1]),
        votes=np.array([2, 1, 3]),
        observers=3,
        soft=soft,
    )
    assert path.read_text().splitlines()[1:3] == ["0\tFEAR\t2\t3\t0.666667\t0", "0.7\tNONE\t1\t3\t0.333333\t0.333333"]
    read = Labels.read(path)
    assert read.classes == ("FEAR", "LOVE")
    assert read.movie_time.tolist() == [0.0, 0.7, 1.4]
    assert read.emotion.tolist() == [0, -1, 1]
    assert read.soft.dtype == np.float32
    np.testing.assert_allclose(read.soft, soft, atol=1e-6)
    assert read.checksum == hashlib.sha256(path.read_bytes()).hexdigest()


def test_how_well_observers_agree_is_read_as_written_with_and_without_the_film(tmp_path: Path) -> None:
    scores = ObserverScores(np.array([3, 0]), np.array([7 / 3, 0]))
    for film in (None, Film("short", 0, 4)):
        write(
            tmp_path / "labels.tsv",
            classes=("FEAR",),
            movie_time=np.array([0.0, 2.0]),
            emotion=np.array([0, -1]),
            votes=np.array([3, 0]),
            observers=3,
            soft=np.array([[1.0], [0.0]]),
            observer_scores=scores,
            film=film,
        )
        read = Labels.read(tmp_path / "labels.tsv")
        assert (read.classes, read.film) == (("FEAR",), film)
        assert read.observer_scores is not None
        assert read.observer_scores.compared.tolist() == [3, 0]
        np.testing.assert_allclose(read.observer_scores.right, scores.right, atol=1e-5)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ("2\t3", ":2: 3 of 2 observers are right"),
        ("2\t-1", ":2: -1 of 2 observers are right"),
        ("2\tnan", ":2: nan of 2 observers are right"),
        (f"{10**400}\t1", ":2: 1 of 1000"),
        ("2.5\t1", ":2: observers_compared and observers_right must be numbers"),
        ("2", ":2: 7 fields where the header has 8"),
    ],
)
def test_impossible_scores_of_observers_are_named_with_their_line(tmp_path: Path, cells: str, message: str) -> None:
    header = HEADER.replace("\n", "\tobservers_compared\tobservers_right\n")
    text = header + FIRST.replace("\n", f"\t{cells}\n") + SECOND.replace("\n", "\t0\t0\n")
    with pytest.raises(UserError, match=message):
        Labels.read(table(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "labels.tsv:1: the columns must be"),
        ("time\temotion\n", ":1: the columns must be"),
        ("movie_time\temotion\tvotes\tobservers\n", ":1: the columns must be"),
        (HEADER.replace("LOVE", "FEAR"), ":1: each class needs one column"),
        (HEADER.replace("LOVE", "NONE"), ":1: each class needs one column"),
        (HEADER, "fewer than two movie times"),
        (HEADER + FIRST, "fewer than two movie times"),
        (HEADER + FIRST + "2\tJOY\t0\t3\t0\t0\n", ":3: unknown emotion 'JOY'"),
        (HEADER + FIRST + "\n" + SECOND, ":3: 1 fields where the header has 6"),
        (HEADER + FIRST + "two\tNONE\t0\t3\t0\t0\n", ":3: not a number"),
        (HEADER + FIRST + "nan\tNONE\t0\t3\t0\t0\n", ":3: movie_time nan"),
        (HEADER + FIRST + "2\tNONE\t4\t3\t0\t0\n", ":3: 4 votes of 3 observers"),
        (HEADER + FIRST + "2\tNONE\t0\t3\t1.5\t0\n", ":3: a share of observers lies outside 0 to 1"),
        (HEADER + FIRST + "2\tNONE\t0\t3\tnan\t0\n", ":3: a share of observers lies outside 0 to 1"),
        (HEADER + FIRST + FIRST, ":3: movie_time must rise"),
        (HEADER + FIRST + SECOND + "5\tNONE\t0\t3\t0\t0\n", ":4: movie_time must rise by the same step"),
    ],
)
def test_a_malformed_table_is_named_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Labels.read(table(tmp_path, text))


def test_a_file_that_is_no_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"No such file.*deepemotion label"):
        Labels.read(tmp_path / "missing.tsv")
    binary = tmp_path / "binary.tsv"
    binary.write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="not a text file in UTF-8"):
        Labels.read(binary)


FILM_HEADER = HEADER.rstrip("\n") + "\tdataset\tfilm_start\tfilm_end\n"


def of_film(row: str, film: str) -> str:
    return row.rstrip("\n") + f"\t{film}\n"


def test_labels_know_their_dataset_and_film(tmp_path: Path) -> None:
    path = tmp_path / "labels.tsv"
    film = Film("our film, dubbed", -2.5, 7086)
    write(
        path,
        classes=("FEAR",),
        movie_time=np.array([0.0, 2.0]),
        emotion=np.array([0, -1]),
        votes=np.array([1, 0]),
        observers=1,
        soft=np.array([[1.0], [0.0]]),
        film=film,
    )
    read = Labels.read(path)
    assert (read.film, read.classes) == (film, ("FEAR",))
    frame = pd.read_csv(path, sep="\t")
    assert list(frame.columns) == [
        "movie_time",
        "emotion",
        "votes",
        "observers",
        "FEAR",
        "dataset",
        *frame.columns[-2:],
    ]
    frame.to_csv(path, sep="\t", index=False, na_rep="NONE")
    assert Labels.read(path).film == film


def test_labels_of_earlier_versions_know_no_film(tmp_path: Path) -> None:
    assert Labels.read(table(tmp_path, HEADER + FIRST + SECOND)).film is None


@pytest.mark.parametrize("end", ["\n\n", "\r\n \r\n"])
def test_what_editors_add_to_a_table_is_no_part_of_it(tmp_path: Path, end: str) -> None:
    read = Labels.read(table(tmp_path, "\ufeff" + HEADER + FIRST + SECOND.rstrip("\n") + end))
    assert read.emotion.tolist() == [0, -1]


@pytest.mark.parametrize(
    ("films", "message"),
    [
        (("a\t0\t10", "b\t0\t10"), "labels.tsv:3: every row must be of one dataset and film"),
        (("a\t0\t10", "a\t0\t12"), ":3: every row must be of one dataset and film"),
        (("a\tzero\t10", "a\tzero\t10"), ":2: the columns dataset, film_start, film_end hold no film"),
        (("a\t10\t0", "a\t10\t0"), ":2: 'a', 10 to 0 s is not a film"),
        (("a\t0\tinf", "a\t0\tinf"), ":2: 'a', 0 to inf s is not a film"),
        (("\t0\t10", "\t0\t10"), ":2: '', 0 to 10 s is not a film"),
    ],
)
def test_a_film_that_is_none_is_named_with_its_line(tmp_path: Path, films: tuple[str, str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Labels.read(table(tmp_path, FILM_HEADER + of_film(FIRST, films[0]) + of_film(SECOND, films[1])))


def test_a_row_holds_until_the_next_one_begins() -> None:
    rows = on_grid(10.0, 2.0, 3).at(np.array([9.99, 10.0, 11.99, 12.0, 15.99, 16.0, -100.0, 1e9]))
    assert rows.tolist() == [-1, 0, 0, 1, 2, -1, -1, -1]
    assert rows.dtype == np.int64


@given(st.floats(0, 100), st.floats(0.3, 5), st.integers(2, 500))
def test_every_grid_time_finds_its_own_row(start: float, step: float, count: int) -> None:
    grid = on_grid(start, step, count)
    assert np.array_equal(grid.at(grid.movie_time), np.arange(count))
    assert np.array_equal(grid.at(grid.movie_time + 0.5 * step), np.arange(count))
