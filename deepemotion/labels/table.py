"""The label table, labels.tsv: the emotion of each movie time, and how many observers gave it."""

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deepemotion.dataset.description import Film
from deepemotion.errors import UserError
from deepemotion.files import write_text
from deepemotion.labels.leave_one_out import COLUMNS, ObserverScores

NONE = "NONE"
_FIXED = ("movie_time", "emotion", "votes", "observers")
# Many times what a million movie times take.
_MOST_BYTES = 256 * 2**20
# After the classes and the observers' scores; tables of 0.2 lack these scores, and older ones the film as well.
_FILM = ("dataset", "film_start", "film_end")


@dataclass(frozen=True)
class Labels:
    """The labels of a movie on a uniform grid of N times and C classes; -1 stands for "no label"."""

    classes: tuple[str, ...]
    movie_time: NDArray[np.float64]
    """(N,) seconds; row i holds for [movie_time[i], movie_time[i] + step)."""
    emotion: NDArray[np.int64]
    """(N,) class index, -1 for NONE."""
    soft: NDArray[np.float32]
    """(N, C) share of observers that gave the class; a row may sum to less or more than 1."""
    checksum: str
    """SHA-256 of the file's bytes, in hex."""
    film: Film | None = None
    """The dataset and the film that the labels were made for; None where the file does not say."""
    observer_scores: ObserverScores | None = None
    """How well each observer agrees with the others; None where the file does not say."""

    @classmethod
    def read(cls, path: Path) -> "Labels":
        """Read labels.tsv. Raises UserError that names the file and line of whatever is malformed."""
        try:
            with path.open("rb") as file:
                data = file.read(_MOST_BYTES + 1)
            lines = data.decode("utf-8-sig").rstrip("\r\n ").splitlines()
        except OSError as error:
            raise UserError(
                f"{path}: cannot read the labels: {error.strerror}; write them: deepemotion label"
            ) from error
        except UnicodeDecodeError as error:
            raise UserError(f"{path}: not a text file in UTF-8; write it again: deepemotion label") from error
        if len(data) > _MOST_BYTES:
            raise UserError(f"{path}: larger than {_MOST_BYTES // 2**20} MiB, so not a table of labels")
        classes, with_scores, with_film = _parse_header(lines[0] if lines else "", f"{path}:1")
        film, lines = _take_film(lines, path) if with_film else (None, lines)
        scores, lines = _take_observer_scores(lines, path) if with_scores else (None, lines)
        index = {NONE: -1} | {name: i for i, name in enumerate(classes)}
        rows = [_parse_row(line, index, f"{path}:{number}") for number, line in enumerate(lines[1:], start=2)]
        if len(rows) < 2:
            raise UserError(f"{path}: fewer than two movie times; write it again: deepemotion label")
        movie_time = np.array([row[0] for row in rows], dtype=np.float64)
        _require_uniform(movie_time, path)
        return cls(
            classes=classes,
            movie_time=movie_time,
            emotion=np.array([row[1] for row in rows], dtype=np.int64),
            soft=np.array([row[2] for row in rows], dtype=np.float32),
            checksum=hashlib.sha256(data).hexdigest(),
            film=film,
            observer_scores=scores,
        )

    def at(self, movie_time: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return (T,) the row whose grid interval [t, t + step) holds each time in seconds, -1 outside the grid.

        A time less than a millionth of a step below a grid time counts as that grid time: sums of TRs are not exact.
        """
        count = len(self.movie_time)
        step = (self.movie_time[-1] - self.movie_time[0]) / (count - 1)
        row = np.floor((movie_time - self.movie_time[0]) / step + 1e-6)
        return np.where((row >= 0) & (row < count), row, -1).astype(np.int64)


def write(
    path: Path,
    *,
    classes: tuple[str, ...],
    movie_time: NDArray[np.float64],
    emotion: NDArray[np.int64],
    votes: NDArray[np.int64],
    observers: int,
    soft: NDArray[np.floating],
    observer_scores: ObserverScores | None = None,
    film: Film | None = None,
) -> None:
    """Write labels.tsv atomically.

    `movie_time` (N,) seconds, `emotion` (N,) class index or -1, `votes` (N,) observers that gave the most frequent
    class, `observers` how many were asked, `soft` (N, C) their shares, `observer_scores` how well each agrees with the
    others, `film` what the labels are of. Raises UserError where it cannot write.
    """
    names = [*classes, NONE]
    of_film = [] if film is None else [film.dataset, f"{film.start:.12g}", f"{film.end:.12g}"]
    optional = [*(COLUMNS if observer_scores else ()), *(_FILM if film else ())]
    lines = ["\t".join([*_FIXED, *classes, *optional])]
    for i in range(len(movie_time)):
        shares = [f"{share:.6g}" for share in soft[i]]
        fixed = [f"{movie_time[i]:.12g}", names[emotion[i]], str(votes[i]), str(observers)]
        if observer_scores:
            shares += [str(observer_scores.compared[i]), f"{observer_scores.right[i]:.6g}"]
        lines.append("\t".join([*fixed, *shares, *of_film]))
    write_text(path, "\n".join(lines) + "\n")


def _parse_header(line: str, where: str) -> tuple[tuple[str, ...], bool, bool]:
    """Return the classes, and whether the columns of observers' scores and those that name the film follow them."""
    columns = tuple(line.split("\t"))
    with_film = columns[-len(_FILM) :] == _FILM
    columns = columns[: -len(_FILM)] if with_film else columns
    with_scores = columns[-len(COLUMNS) :] == COLUMNS
    columns = columns[: -len(COLUMNS)] if with_scores else columns
    fixed, classes = columns[: len(_FIXED)], columns[len(_FIXED) :]
    if fixed != _FIXED or not classes:
        raise UserError(
            f"{where}: the columns must be {', '.join(_FIXED)} and one for each class, tab-separated;"
            " write it: deepemotion label"
        )
    if len(set(classes)) != len(classes) or not all(classes) or NONE in classes:
        raise UserError(f"{where}: each class needs one column with a name of its own other than {NONE}")
    return classes, with_scores, with_film


def _take_film(lines: list[str], path: Path) -> tuple[Film | None, list[str]]:
    """Return the film that every row names, and the lines without the columns for it."""
    split = [line.rsplit("\t", len(_FILM)) for line in lines]
    if len(split) < 2:
        return None, [fields[0] for fields in split]
    named = {tuple(fields[1:]): number for number, fields in reversed([*enumerate(split, start=1)][1:])}
    if len(named) != 1:
        raise UserError(f"{path}:{max(named.values(), default=1)}: every row must be of one dataset and film")
    try:
        dataset, start, end = next(iter(named))
        film = Film(dataset, float(start), float(end))
    except ValueError as error:
        raise UserError(f"{path}:2: the columns {', '.join(_FILM)} hold no film: {error}") from error
    if not dataset or not -math.inf < film.start < film.end < math.inf:
        raise UserError(f"{path}:2: {dataset!r}, {start} to {end} s is not a film")
    return film, [fields[0] for fields in split]


def _take_observer_scores(lines: list[str], path: Path) -> tuple[ObserverScores, list[str]]:
    """Return how well observers agree in each row, and the lines without the columns for it."""
    split = [line.rsplit("\t", len(COLUMNS)) for line in lines]
    compared, right = [], []
    for number, fields in enumerate(split[1:], start=2):
        _require_width(lines[number - 1], lines[0].count("\t") + 1, f"{path}:{number}")
        try:
            compared.append(int(fields[-2]))
            right.append(float(fields[-1]))
        except ValueError as error:
            raise UserError(f"{path}:{number}: {' and '.join(COLUMNS)} must be numbers") from error
        # Sums of fractions are rounded.
        if not 0 <= compared[-1] < 2**31 or not 0 <= right[-1] <= compared[-1] + 1e-4:
            raise UserError(f"{path}:{number}: {fields[-1]} of {fields[-2]} observers are right")
    scores = ObserverScores(np.array(compared, np.int64), np.array(right, np.float64))
    return scores, [fields[0] for fields in split]


def _parse_row(line: str, index: dict[str, int], where: str) -> tuple[float, int, list[float]]:
    fields = line.split("\t")
    _require_width(line, len(_FIXED) + len(index) - 1, where)
    if fields[1] not in index:
        raise UserError(f"{where}: unknown emotion {fields[1]!r}; the classes are {', '.join(index)}")
    try:
        movie_time, votes, observers = float(fields[0]), int(fields[2]), int(fields[3])
        soft = [float(field) for field in fields[len(_FIXED) :]]
    except ValueError as error:
        raise UserError(f"{where}: not a number: {error}") from error
    if not math.isfinite(movie_time):
        raise UserError(f"{where}: movie_time {fields[0]} is not a time in seconds")
    if not 0 <= votes <= observers:
        raise UserError(f"{where}: {votes} votes of {observers} observers")
    if not all(0 <= share <= 1 for share in soft):
        raise UserError(f"{where}: a share of observers lies outside 0 to 1")
    return movie_time, index[fields[1]], soft


def _require_width(line: str, width: int, where: str) -> None:
    fields = line.count("\t") + 1
    if fields != width:
        raise UserError(f"{where}: {fields} fields where the header has {width}")


def _require_uniform(movie_time: NDArray[np.float64], path: Path) -> None:
    steps = np.diff(movie_time)
    wrong = np.flatnonzero((steps <= 0) | (abs(steps - steps[0]) > 1e-6 * abs(steps[0])))
    if wrong.size:
        # Row i is in line i + 2, and step i leads to row i + 1.
        raise UserError(f"{path}:{wrong[0] + 3}: movie_time must rise by the same step in every line")
