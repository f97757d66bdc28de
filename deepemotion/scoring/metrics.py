"""Classification metrics, and their intervals by resampling blocks of the movie.

All of them are computed from sums over volumes. Shape suffixes: N volumes, C classes, M bins of confidence, R
resamples; `...` stands for any leading axes, so that one formula serves a single evaluation and a thousand resamples.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

BINS = 10
RESAMPLES = 1000
LEVEL = 0.95


@dataclass(frozen=True)
class Tally:
    """The counts of each volume, or their sums over volumes."""

    confusion: Floats
    """(..., C, C) volumes by label (rows) and prediction (columns)."""
    bins: Floats
    """(..., M, 3) volumes, correct ones and summed confidence, by confidence: the likeliest class's probability."""
    squares: Floats
    """(...) summed squared distance between probabilities and the label's 0 and 1; nan without probabilities."""

    def total(self) -> "Tally":
        """Return the sums over the first axis."""
        return Tally(self.confusion.sum(axis=0), self.bins.sum(axis=0), self.squares.sum(axis=0))


Metric = Callable[[Tally], Floats]


def tally(label: Rows, prediction: Rows, probability: NDArray[np.floating] | None, classes: int) -> Tally:
    """Return the counts (N, ...) of each volume. `probability` is (N, C); without it calibration and Brier are nan."""
    volumes = np.arange(len(label))
    confusion = np.zeros((len(label), classes, classes))
    confusion[volumes, label, prediction] = 1
    bins = np.zeros((len(label), BINS, 3))
    if probability is None:
        return Tally(confusion, bins, np.full(len(label), np.nan))
    p_NC = probability.astype(np.float64)
    confidence = p_NC.max(axis=1, initial=0)
    # Bin m holds ((m - 1) / M, m / M], as in Guo et al.
    place = np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)
    bins[volumes, place] = np.stack([np.ones(len(label)), label == prediction, confidence], axis=1)
    return Tally(confusion, bins, ((p_NC - np.eye(classes)[label]) ** 2).sum(axis=1))


def accuracy(sums: Tally) -> Floats:
    """Return (...) the share of volumes predicted correctly, nan for no volume."""
    return ratio(_diagonal(sums).sum(axis=-1), sums.confusion.sum(axis=(-2, -1)))


def recall(sums: Tally) -> Floats:
    """Return (..., C) the share of each class's volumes predicted correctly, nan if the class does not occur."""
    return ratio(_diagonal(sums), sums.confusion.sum(axis=-1))


def balanced_accuracy(sums: Tally) -> Floats:
    """Return (...) the mean recall over the classes that occur: 1 / their number for any constant answer."""
    return _mean(recall(sums))


def macro_f1(sums: Tally) -> Floats:
    """Return (...) the mean over classes of F1 = 2 TP / (2 TP + FP + FN).

    Classes that neither occur nor are predicted do not count; a class that is only predicted counts with 0.
    """
    named = sums.confusion.sum(axis=-1) + sums.confusion.sum(axis=-2)
    return _mean(ratio(2 * _diagonal(sums), named))


def calibration_error(sums: Tally) -> Floats:
    """Return (...) the expected calibration error: |accuracy - mean confidence| of each bin, weighted by volumes.

    Ten bins of equal width over the probability of the likeliest class (Guo et al. 2017, ICML, equation 3).
    """
    gap = np.abs(sums.bins[..., 1] - sums.bins[..., 2]).sum(axis=-1)
    return ratio(gap, sums.bins[..., 0].sum(axis=-1))


def brier(sums: Tally) -> Floats:
    """Return (...) the mean over volumes of the squared error summed over classes, 0 to 2 (Brier 1950)."""
    return ratio(sums.squares, sums.confusion.sum(axis=(-2, -1)))


METRICS: dict[str, Metric] = {
    "accuracy": accuracy,
    "balanced_accuracy": balanced_accuracy,
    "macro_f1": macro_f1,
    "ece": calibration_error,
    "brier": brier,
}


def block_bootstrap(counts: Tally, block: Rows, resamples: int = RESAMPLES, seed: int = 0) -> Tally:
    """Return the sums (R, ...) of samples drawn with replacement from the blocks.

    `counts` is of N volumes and `block` (N,) their block (`movie_blocks.label_blocks`). The volumes of a block are
    drawn together since they tend to be right or wrong together: drawing single volumes would give intervals that are
    far too narrow. A single block cannot show how others would differ: all sums are nan.
    """
    drawn = sums_drawer(block, resamples, seed)
    return Tally(drawn(counts.confusion), drawn(counts.bins), drawn(counts.squares))


def sums_drawer(block: Rows, resamples: int = RESAMPLES, seed: int = 0) -> Callable[[Floats], Floats]:
    """Return a function from values (N, ...) of volumes to their sums (R, ...) over samples of the blocks.

    The samples are those of `block_bootstrap`, so that ratios of different sums can be formed sample by sample.
    """
    number = np.unique(block, return_inverse=True)[1]
    blocks = int(number.max(initial=-1)) + 1
    times = times_drawn(blocks, resamples, seed) if blocks > 1 else np.full((resamples, blocks), np.nan)

    def drawn(values: Floats) -> Floats:
        flat = values.reshape(len(values), math.prod(values.shape[1:]))
        sums: Floats = np.stack([np.bincount(number, column, blocks) for column in flat.T], axis=1).astype(np.float64)
        return (times @ sums).reshape(resamples, *values.shape[1:])

    return drawn


@lru_cache(maxsize=4)
def times_drawn(blocks: int, resamples: int, seed: int) -> Floats:
    """Return (R, blocks) how often each block is drawn: the same for all models of a run, and slow to compute."""
    draws = np.random.default_rng(seed).multinomial(blocks, np.full(blocks, 1 / blocks), size=resamples)
    return draws.astype(np.float64)


def interval(values: Floats) -> tuple[float, float]:
    """Return the limits of the middle 95 % of a metric's values over resamples, nan if it has none."""
    known = values[~np.isnan(values)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _diagonal(sums: Tally) -> Floats:
    diagonal: Floats = np.diagonal(sums.confusion, axis1=-2, axis2=-1)
    return diagonal


def ratio(above: Floats, below: Floats) -> Floats:
    """Return the quotients, nan where the divisor is 0; the two shapes are broadcast."""
    result: Floats = np.full(np.broadcast_shapes(np.shape(above), np.shape(below)), np.nan)
    np.divide(above, below, out=result, where=np.asarray(below) != 0)
    return result


def _mean(values: Floats) -> Floats:
    """Return the mean of the known values over the last axis, nan if there is none."""
    known = ~np.isnan(values)
    return ratio(np.where(known, values, 0).sum(axis=-1), known.sum(axis=-1))
