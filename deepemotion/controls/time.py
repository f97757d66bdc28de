"""The control `time`: where a volume is in its run and in the film, and nothing else."""

import numpy as np
from numpy.polynomial import legendre
from numpy.typing import NDArray

from deepemotion.subject_file.reader import SubjectFile

# The highest power of time: a curve that rises, falls and rises again.
_DEGREE = 3


def features(file: SubjectFile) -> NDArray[np.float32]:
    """Return (T, 6): Legendre polynomials of degree 1 to 3 of the position in the run, and of that in the film.

    Both positions are -1 at the start and 1 at the end.
    """
    last = np.array([file.volumes_per_run[run] - 1 for run in file.run.tolist()])
    of_run = 2 * file.index_in_run.astype(np.int64) / np.maximum(last, 1) - 1
    start, end = file.segments[0].start, max(segment.end for segment in file.segments)
    of_film = 2 * (file.movie_time - start) / (end - start) - 1
    # Without the constant of degree 0.
    columns = [legendre.legvander(position, _DEGREE)[:, 1:] for position in (of_run, of_film)]
    return np.concatenate(columns, axis=1).astype(np.float32)
