"""Moments of the movie that several subjects share, and the blocks of equal labels within a run."""

import numpy as np
from numpy.typing import NDArray

# Sums of TRs are not exact; two volumes this close (in seconds) belong to one moment.
_DECIMALS = 4


def moment_positions(run: NDArray[np.integer], movie_time: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return (N,) the place of each volume's moment among the different moments of its run, from 0, in movie order.

    Volumes of several subjects that were recorded at one moment of a run share a place. A subject that lacks moments
    of another (because a run ended early) uses the other's numbers.
    """
    position = np.zeros(len(run), dtype=np.int64)
    for number in np.unique(run):
        rows = np.flatnonzero(run == number)
        position[rows] = np.unique(np.round(movie_time[rows], _DECIMALS), return_inverse=True)[1]
    return position


def label_blocks(
    run: NDArray[np.integer], movie_time: NDArray[np.float64], label: NDArray[np.integer]
) -> NDArray[np.int64]:
    """Return (N,) which block each volume belongs to, numbered from 0 in the order of run and movie.

    A block is a stretch of a run in which all given volumes, one after another, have the same label; volumes that are
    not given (unlabelled, or on another side of a split) do not end it. A stretch is one block in all subjects.
    """
    if not len(run):
        return np.zeros(0, dtype=np.int64)
    position = moment_positions(run, movie_time)
    order = np.lexsort((label, position, run))
    starts = np.r_[False, (np.diff(run[order]) != 0) | (np.diff(label[order]) != 0)]
    block = np.empty(len(run), dtype=np.int64)
    block[order] = np.cumsum(starts)
    return block
