"""The corrected resampled t-test against its formula, and against cross-validations whose truth is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from deepemotion.scoring.resampled_test import corrected_resampled_t

FOLDS = 8
differences = st.lists(st.floats(-1, 1).map(lambda value: round(value, 4)), min_size=2, max_size=20).map(np.array)


@given(differences)
def test_without_overlap_it_is_the_usual_t_test(values):
    found = corrected_resampled_t(values, 0.0)
    if values.std() < 1e-9:
        assert (found.p == 1) == (values[0] == 0)
        return
    expected = stats.ttest_1samp(values, 0)
    interval = expected.confidence_interval()
    assert found.p == pytest.approx(expected.pvalue)
    assert (found.mean, found.low, found.high) == pytest.approx((values.mean(), interval.low, interval.high))


def test_the_variance_grows_by_the_share_of_the_test_set():
    values = np.array([0.02, 0.05, -0.01, 0.04, 0.03])
    found = corrected_resampled_t(values, 0.25)
    error = np.sqrt((1 / 5 + 1 / 4) * values.var(ddof=1))
    assert found.p == pytest.approx(2 * stats.t.sf(0.026 / error, 4))
    assert (found.high - found.low) / 2 == pytest.approx(stats.t.ppf(0.975, 4) * error)


@given(differences, st.floats(0, 1))
def test_the_interval_excludes_zero_where_p_is_small_and_the_sign_is_free(values, ratio):
    found, swapped = corrected_resampled_t(values, ratio), corrected_resampled_t(-values, ratio)
    assert swapped.p == pytest.approx(found.p, nan_ok=True)
    assert (swapped.mean, swapped.low) == pytest.approx((-found.mean, -found.high), nan_ok=True)
    if 0 < found.p < 0.0499 or 0.0501 < found.p < 1:
        assert (found.low > 0 or found.high < 0) == (found.p < 0.05)


def test_one_fold_and_equal_folds_give_no_p():
    one = corrected_resampled_t(np.array([0.1]), 0.2)
    assert one.mean == 0.1
    assert np.isnan([one.low, one.high, one.p]).all()
    assert np.isnan(corrected_resampled_t(np.full(4, 0.1), 0.2).p)
    assert corrected_resampled_t(np.zeros(4), 0.2).p == 1
    assert np.isnan(corrected_resampled_t(np.zeros(0), 0.2).mean)


def cross_validated(seed, signals):
    """Return the difference in accuracy (FOLDS,) of two nearest-centroid classifiers that see features of their own.

    Labels, and a part of the noise, stay the same for four volumes.
    """
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 2, 40).repeat(4)
    fold = np.arange(len(label)) * FOLDS // len(label)
    accuracies = []
    for signal in signals:
        noise = rng.normal(size=(len(label), 5)) + rng.normal(size=(40, 5)).repeat(4, axis=0)
        features = 0.8 * noise
        features[:, 0] += signal * (2 * label - 1)
        right = np.zeros(len(label))
        for k in range(FOLDS):
            train, test = fold != k, fold == k
            low, high = (features[train & (label == c)].mean(axis=0) for c in (0, 1))
            right[test] = ((features[test] - (low + high) / 2) @ (high - low) > 0) == label[test]
        accuracies.append([right[fold == k].mean() for k in range(FOLDS)])
    return np.subtract(*accuracies)


def test_equal_classifiers_seldom_differ_and_less_often_than_the_usual_t_test_says():
    """The usual test is wrong here twice as often as it says; the corrected one keeps its promise."""
    found = [cross_validated(seed, (0.5, 0.5)) for seed in range(400)]
    corrected = np.array([corrected_resampled_t(values, 1 / (FOLDS - 1)).p for values in found])
    usual = np.array([corrected_resampled_t(values, 0).p for values in found])
    assert (corrected <= 0.05).mean() <= 0.05
    assert (usual <= 0.05).mean() > 0.06
    # Not so careful that nothing could be found.
    assert 0.25 < (corrected <= 0.5).mean() < 0.55


def test_a_better_classifier_is_found():
    found = [corrected_resampled_t(cross_validated(seed, (2.0, 0.1)), 1 / (FOLDS - 1)) for seed in range(60)]
    assert np.mean([one.p <= 0.05 and one.low > 0 for one in found]) > 0.9
