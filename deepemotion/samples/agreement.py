"""Whether packed subjects and labels belong together: one dataset, one film, one TR, and one grid of voxels."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from deepemotion.dataset.description import Film, Segment
from deepemotion.errors import UserError
from deepemotion.labels.table import Labels
from deepemotion.subject_file.format import AFFINE_TOLERANCE
from deepemotion.subject_file.reader import SubjectFile

# Tables hold times in decimals, and descriptions TRs: they agree where they differ by less than this share.
_ROUNDING = 1e-6
# Labels that do not know their film may leave out this share of it: the published ones end 52 s before the movie does.
_LEFT_OUT = 0.01


@dataclass(frozen=True)
class Origin:
    """What a packed subject has to have in common with all others, and with labels."""

    path: Path
    film: Film
    tr: float
    segments: Sequence[Segment]

    @classmethod
    def of(cls, file: SubjectFile) -> Self:
        """Return that of an open file, from its attributes."""
        return cls(file.path, Film.of(file.dataset_name, file.segments), file.tr, file.segments)


@dataclass(frozen=True, eq=False)
class Space:
    """What a packed subject has to have in common with those that it is trained with: shape, affine (4, 4) in mm."""

    path: Path
    shape: tuple[int, int, int]
    affine: NDArray[np.float64]

    @classmethod
    def of(cls, file: SubjectFile) -> Self:
        """Read that of an open file. Raises UserError where the file is damaged."""
        return cls(file.path, file.shape, file.affine)


def require_agreement(files: Iterable[SubjectFile], labels: Labels, labels_file: Path) -> None:
    """Raise UserError, which names both, where a file is not of the film of another, or of the labels."""
    origins = [Origin.of(file) for file in files]
    require_one_film(origins)
    require_labels_of(origins[0], labels, labels_file)


def require_one_film(origins: Sequence[Origin]) -> None:
    """Raise UserError, which names both, where two packed subjects differ in dataset, TR or segments."""
    first = origins[0]
    for other in origins[1:]:
        if other.film.dataset != first.film.dataset:
            difference = f"of dataset {other.film.dataset}, but {first.path} of {first.film.dataset}"
        elif not np.isclose(other.tr, first.tr, rtol=_ROUNDING, atol=0):
            difference = f"of a TR of {other.tr:g} s, but {first.path} of {first.tr:g} s"
        elif list(other.segments) != list(first.segments):
            difference = f"of other segments of the film ({other.film.span}) than {first.path} ({first.film.span})"
        else:
            continue
        raise UserError(f"{other.path}: packed subject {difference}; pack each dataset into a folder of its own")


def require_one_space(spaces: Sequence[Space]) -> None:
    """Raise UserError, which names both, where two packed subjects differ in shape or affine."""
    first = spaces[0]
    for other in spaces[1:]:
        if other.shape != first.shape:
            raise UserError(f"{other.path}: shape {other.shape}, but {first.path} has {first.shape}; pack them alike")
        if not np.allclose(other.affine, first.affine, atol=AFFINE_TOLERANCE):
            raise UserError(f"{other.path}: its affine is not that of {first.path}; align and pack them alike")


def require_labels_of(origin: Origin, labels: Labels, labels_file: Path) -> None:
    """Raise UserError, which names both, where labels are not of the film of a packed subject.

    Labels that know their dataset and film must be of the subject's. The times of all labels must be a TR apart, and
    cover the film; those that do not know their film may leave out a hundredth of it.
    """
    film, tr = origin.film, origin.tr
    step = (labels.movie_time[-1] - labels.movie_time[0]) / (len(labels.movie_time) - 1)
    start, end = float(labels.movie_time[0]), float(labels.movie_time[-1] + step)
    # A grid may begin or end a step or two off the film.
    room = 2 * tr + (0 if labels.film is not None else _LEFT_OUT * (film.end - film.start))
    # A rule may end its grid before the film does: of labels that know their film, that is meant.
    too_short = labels.film is None and end < film.end - room
    if labels.film is not None and labels.film.dataset != film.dataset:
        problem = f"labels of dataset {labels.film.dataset}, but {origin.path} is of {film.dataset}"
    elif labels.film is not None and not np.allclose(labels.film[1:], film[1:], rtol=0, atol=_ROUNDING * tr):
        problem = f"labels of a film from {labels.film.span}, but that of {origin.path} is from {film.span}"
    elif not np.isclose(step, tr, rtol=_ROUNDING, atol=0):
        problem = f"labels every {step:g} s, but {origin.path} has a TR of {tr:g} s"
    elif too_short or abs(start - film.start) > room or end > film.end + room:
        problem = f"labels from {start:g} to {end:g} s, but the film of {origin.path} is from {film.span}"
    else:
        return
    raise UserError(
        f"{labels_file}: {problem}; make labels with its description: deepemotion label --dataset DESCRIPTION"
    )
