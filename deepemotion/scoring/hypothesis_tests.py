"""Hypothesis tests: permutation p-values, corrections for multiple tests, and paired differences."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Up to this many pairs, every pattern of signs is tried (a million for 20); beyond, that many are drawn.
_EXACT_PAIRS = 20
_DRAWN_PATTERNS = 1_000_000
# Scores are quotients of counts; equal sums of them may differ in the last bits.
_TIE = 1e-12


@dataclass(frozen=True)
class Difference:
    """A mean difference with its 95 % interval, and the p of a test of it; nan where they are not defined."""

    mean: float
    low: float
    high: float
    p: float


def permutation_p(score: float, permuted: Floats) -> float:
    """Return (1 + k) / (1 + n) if k of n permutations scored at least `score`; nan for no permutation.

    The true labels count as one permutation, so p is never 0 and the test is not too liberal (Phipson &
    Smyth 2010, Stat Appl Genet Mol Biol 9:39).
    """
    if not len(permuted):
        return float("nan")
    return float(1 + (permuted >= score - _TIE).sum()) / (1 + len(permuted))


def holm(p: Floats) -> Floats:
    """Return Holm's adjusted p-values, which bound the probability of any false finding (Holm 1979, Scand J Stat 6:65).

    nan stays nan and does not count as a test.
    """
    return _adjusted(p, lambda ranked: np.maximum.accumulate(ranked * np.arange(len(ranked), 0, -1)))


def benjamini_hochberg(p: Floats) -> Floats:
    """Return adjusted p-values that bound the proportion of false findings (Benjamini & Hochberg 1995, JRSS B 57:289).

    Valid for tests that are independent or positively dependent, as those of subjects with the same movie are. nan
    stays nan and does not count as a test.
    """

    def step_up(ranked: Floats) -> Floats:
        scaled = ranked * len(ranked) / np.arange(1, len(ranked) + 1)
        return np.minimum.accumulate(scaled[::-1])[::-1]

    return _adjusted(p, step_up)


def sign_flip_p(differences: Floats) -> float:
    """Return the two-sided p of paired differences whose signs are arbitrary if nothing differs; nan for no pair.

    The statistic is the absolute mean. Exact (every pattern of signs) up to 20 pairs, a million drawn patterns and
    the true one beyond that.
    """
    n = len(differences)
    if n == 0:
        return float("nan")
    observed = abs(differences.sum()) - _TIE
    if n <= _EXACT_PAIRS:
        sums = np.zeros(1)
        for difference in differences:
            sums = np.concatenate([sums + difference, sums - difference])
        return float((np.abs(sums) >= observed).mean())
    generator = np.random.default_rng(0)
    # Patterns are drawn in blocks, which limits the memory for many pairs.
    hits = sum(
        int((np.abs(generator.choice([-1.0, 1.0], size=(10_000, n)) @ differences) >= observed).sum())
        for _ in range(_DRAWN_PATTERNS // 10_000)
    )
    return (1 + hits) / (1 + _DRAWN_PATTERNS)


def mean_interval(values: Floats) -> tuple[float, float]:
    """Return the 95 % interval of the mean by Student's t, nan for fewer than two values."""
    from scipy import stats

    n = len(values)
    if n < 2:
        return float("nan"), float("nan")
    half = float(stats.t.ppf(0.975, n - 1) * values.std(ddof=1) / np.sqrt(n))
    return float(values.mean()) - half, float(values.mean()) + half


def _adjusted(p: Floats, adjust: Callable[[Floats], Floats]) -> Floats:
    result = np.full(len(p), np.nan)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    result[order] = np.minimum(adjust(p[order]), 1)
    return result
