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
# A control answers alike in all subjects if less than this share of its variance over blocks and subjects is between
# the subjects of a block.
_ALIKE = 0.1


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


def by_exchange(right: Floats, control: Floats, block: NDArray[np.int64], subject: NDArray[np.int64]) -> float:
    """Return p of several subjects' decoders being no better together than a control that answers alike in all of them.

    `right` and `control` (N,) are how right they are in each volume, `block` and `subject` (N,) number its block and
    subject. If the control is no worse than the others, it could as well be that of any subject in each block, which is
    drawn anew in each block: an exact test for decoders that are independent of each other. A mean over subjects is
    steadier than a single control, so that their difference is skewed to the control's side, and where a control is
    right in few of few blocks the tests of `over_blocks` are too liberal. p is nan for a control that has answers of
    its own in each subject: the difference is not skewed then.
    """
    members, blocks = (np.unique(numbers, return_inverse=True)[1] for numbers in (subject, block))
    shape = int(members.max(initial=-1)) + 1, int(blocks.max(initial=-1)) + 1
    cell = members * shape[1] + blocks
    right_SB, control_SB, volumes_SB = (
        np.bincount(cell, values, shape[0] * shape[1]).reshape(shape).astype(np.float64)
        for values in (right, control, np.ones(len(right)))
    )
    if min(shape) < 2 or not _alike(control_SB, volumes_SB):
        return float("nan")
    volumes_B = volumes_SB.sum(axis=0)
    share_B, share_SB = control_SB.sum(axis=0) / volumes_B, metrics.ratio(right_SB, volumes_SB)
    exceeds_B = right_SB.sum(axis=0) - control_SB.sum(axis=0)
    # Each subject in the control's place, and the control in the subject's.
    exchanged_SB = right_SB.sum(axis=0) - right_SB + volumes_SB * share_B - volumes_B * share_SB
    ways = np.vstack([exceeds_B, np.where(np.isnan(exchanged_SB), exceeds_B, exchanged_SB)])
    drawn = ways[_choices(*shape), np.arange(shape[1])].sum(axis=1)
    return float(1 + (drawn >= exceeds_B.sum() - _TIE).sum()) / (1 + len(drawn))


def _alike(control_SB: Floats, volumes_SB: Floats) -> bool:
    """Return whether a control answers alike in all subjects (S) of each block (B), but for single volumes."""
    share_SB = metrics.ratio(control_SB, volumes_SB)
    return bool(np.nanmean(np.nanvar(share_SB, axis=0)) <= _ALIKE * np.nanvar(share_SB))


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


@lru_cache(maxsize=4)
def _choices(subjects: int, blocks: int) -> NDArray[np.int64]:
    """Return (R, blocks) numbers from 0 to `subjects`: who is the control in each block, 0 for the control itself."""
    return np.random.default_rng(0).integers(subjects + 1, size=(metrics.RESAMPLES, blocks))
