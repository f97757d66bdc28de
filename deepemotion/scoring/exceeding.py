"""Whether one of two decoders answers more of the same volumes rightly than the other: paired tests of the difference.

Both tests are one-sided: their p is of the first being no better than the second.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from deepemotion.scoring import hypothesis_tests, metrics
from deepemotion.scoring.hypothesis_tests import Difference, Floats

# Fewer subjects cannot reach a one-sided p of 0.05 by their signs, whatever their differences.
LEAST_SUBJECTS = 5
# Sums of shares that are equal may differ in the last bits.
_TIE = 1e-9


def over_blocks(difference: Floats, block: NDArray[np.int64]) -> Difference:
    """Return the mean of the difference (N,) of N volumes in these blocks (N,), and p over blocks of the film.

    p is the larger one of two tests. The first flips the signs of whole blocks: of two equally good decoders it is
    arbitrary which one gave which answers in a block. The second is the bootstrap of the intervals, studentised, which
    allows for differences whose distribution is skewed, as where one decoder knows a few blocks by heart. In
    simulations of 24 to 120 blocks without a difference, p was at most 0.05 in 3 to 6 % unless it was very skewed; by
    percentiles of the bootstrap it was in 4 to 10 %.
    """
    number = np.unique(block, return_inverse=True)[1]
    blocks = int(number.max(initial=-1)) + 1
    mean = float(difference.mean()) if len(difference) else float("nan")
    if blocks < 2:
        return Difference(mean, float("nan"), float("nan"), float("nan"))
    sums = np.bincount(number, difference, blocks).astype(np.float64)
    volumes = np.bincount(number, minlength=blocks).astype(np.float64)
    flipped = _signs(blocks) @ sums
    by_signs = (1 + int((flipped >= sums.sum() - _TIE).sum())) / (1 + len(flipped))
    drawn, drawn_t = _bootstrap(sums, volumes, mean)
    error = np.sqrt(((sums - mean * volumes) ** 2).sum()) / volumes.sum()
    by_bootstrap = (1 + int((drawn_t >= _ratio(np.array(mean), error) - _TIE).sum())) / (1 + len(drawn_t))
    return Difference(mean, *metrics.interval(drawn), max(by_signs, by_bootstrap))


def _bootstrap(sums: Floats, volumes: Floats, mean: float) -> tuple[Floats, Floats]:
    """Return the means (R,) of resamples of blocks with these sums, and how many standard errors each is off."""
    times = metrics.times_drawn(len(sums), metrics.RESAMPLES, 0)
    number = times @ volumes
    drawn = (times @ sums) / number
    squares = times @ sums**2 - 2 * drawn * (times @ (sums * volumes)) + drawn**2 * (times @ volumes**2)
    return drawn, _ratio(drawn - mean, np.sqrt(np.maximum(squares, 0)) / number)


def _ratio(above: Floats, below: Floats) -> Floats:
    """Return above / below; where there is no error, infinite with the sign of what is above, or 0."""
    large = np.where(np.abs(above) < _TIE, 0.0, np.copysign(np.inf, above))
    result: Floats = np.divide(above, below, out=large, where=np.asarray(below) > _TIE)
    return result


def over_subjects(differences: Floats) -> float:
    """Return p of the mean difference of subjects (S,) by flipping their signs.

    It is nan for fewer than five subjects, with whom it could not reach 0.05.
    """
    if len(differences) < LEAST_SUBJECTS:
        return float("nan")
    # The null distribution is symmetric, so that half of it is on each side.
    p = hypothesis_tests.sign_flip_p(differences) / 2
    return p if differences.sum() > 0 else 1 - p


@lru_cache(maxsize=4)
def _signs(blocks: int) -> Floats:
    """Return (R, blocks) patterns of signs, the same for all models of a run."""
    return np.random.default_rng(0).choice([-1.0, 1.0], size=(metrics.RESAMPLES, blocks))
