"""The test of a difference between two models that were trained on overlapping training sets, such as folds."""

import numpy as np

from deepemotion.scoring.hypothesis_tests import Difference
from deepemotion.scoring.metrics import LEVEL, Floats

# Accuracies are quotients of counts; differences of equal ones may differ in the last bits.
_NO_VARIATION = 1e-12


def corrected_resampled_t(differences: Floats, test_train_ratio: float) -> Difference:
    """Return the mean of J differences, one for each fold, tested by the corrected resampled t-test.

    t = mean / sqrt((1 / J + n_test / n_train) s^2) with J - 1 degrees of freedom, where s^2 is the variance of the
    differences (n - 1) and `test_train_ratio` is n_test / n_train, the sizes of a fold's test and training sets.

    Training sets of different folds share most of their volumes, so that their differences are correlated, and s^2 / J
    is too small a variance of the mean: the usual t-test finds differences where there are none. Nadeau & Bengio (2003,
    Machine Learning 52:239-281) estimate the correlation of two differences as n_test / (n_test + n_train), which gives
    the factor above. A single difference has no variance, so that interval and p are nan; and so are they where all
    differences are equal, unless all are 0, which is no difference at all (p = 1).
    """
    from scipy import stats

    j = len(differences)
    mean = float(differences.mean()) if j else float("nan")
    if j < 2:
        return Difference(mean, np.nan, np.nan, np.nan)
    deviation = float(differences.std(ddof=1))
    if deviation <= _NO_VARIATION:
        nothing = abs(mean) <= _NO_VARIATION
        return Difference(0.0, 0.0, 0.0, 1.0) if nothing else Difference(mean, np.nan, np.nan, np.nan)
    error = float(np.sqrt(1 / j + test_train_ratio)) * deviation
    half = float(stats.t.ppf((1 + LEVEL) / 2, j - 1)) * error
    p = float(2 * stats.t.sf(abs(mean) / error, j - 1))
    return Difference(mean, mean - half, mean + half, p)
