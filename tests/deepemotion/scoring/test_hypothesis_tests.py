"""Tests of hypotheses against scipy's, by enumeration, and under the null."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from deepemotion.scoring import hypothesis_tests

some_p = st.lists(st.floats(0.0001, 1), min_size=1, max_size=25).map(np.array)


def test_a_permutation_p_counts_the_truth_and_ties():
    assert hypothesis_tests.permutation_p(0.5, np.array([0.4, 0.5, 0.6, 0.1])) == 3 / 5
    assert hypothesis_tests.permutation_p(0.9, np.full(19, 0.3)) == 0.05
    assert np.isnan(hypothesis_tests.permutation_p(0.9, np.array([])))
    assert hypothesis_tests.permutation_p(0.1 + 0.2, np.array([0.3])) == 1


@given(some_p)
def test_benjamini_hochberg_is_scipys(p):
    np.testing.assert_allclose(hypothesis_tests.benjamini_hochberg(p), stats.false_discovery_control(p), rtol=1e-12)


@given(some_p)
def test_holm_rejects_what_its_steps_reject(p):
    adjusted = hypothesis_tests.holm(p)
    # A p-value that is exactly at a limit may round to either side of it.
    for level in (0.01 * (1 + 1e-9), 0.05 * (1 + 1e-9), 0.3 * (1 + 1e-9)):
        rejected = np.zeros(len(p), bool)
        for step, i in enumerate(np.argsort(p, kind="stable")):
            if p[i] > level / (len(p) - step):
                break
            rejected[i] = True
        assert np.array_equal(adjusted <= level, rejected)
    assert (adjusted >= hypothesis_tests.benjamini_hochberg(p) - 1e-12).all()


@pytest.mark.parametrize("adjust", [hypothesis_tests.holm, hypothesis_tests.benjamini_hochberg])
def test_what_was_not_tested_does_not_count(adjust):
    p = np.array([0.01, np.nan, 0.04])
    assert np.isnan(adjust(p)[1])
    np.testing.assert_allclose(adjust(p)[[0, 2]], adjust(p[[0, 2]]))


@given(st.lists(st.integers(-8, 8), min_size=1, max_size=8))
def test_sign_flips_are_all_tried(eighths):
    differences = np.array(eighths) / 8
    sums = [abs(np.dot(signs, differences)) for signs in itertools.product([1, -1], repeat=len(eighths))]
    expected = np.mean([total >= abs(differences.sum()) for total in sums])
    assert hypothesis_tests.sign_flip_p(differences) == expected


def test_sign_flips_of_many_pairs_agree_with_few():
    assert hypothesis_tests.sign_flip_p(np.full(19, 0.1)) == 2 / 2**19
    rng = np.random.default_rng(1)
    many = rng.normal(0.3, 1, 40)
    expected = stats.ttest_1samp(many, 0).pvalue
    assert hypothesis_tests.sign_flip_p(many) == pytest.approx(expected, rel=0.2)
    assert np.isnan(hypothesis_tests.sign_flip_p(np.array([])))


def test_nineteen_pairs_without_a_difference_are_rarely_significant():
    rng = np.random.default_rng(0)
    p = [hypothesis_tests.sign_flip_p(rng.standard_normal(12) * rng.uniform(0.1, 3, 12)) for _ in range(1000)]
    assert 0.03 < np.mean(np.array(p) <= 0.05) < 0.07


def test_an_interval_of_a_mean_is_students():
    values = np.array([0.1, 0.2, 0.4, 0.0])
    low, high = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert hypothesis_tests.mean_interval(values) == pytest.approx((low, high))
    assert np.isnan(hypothesis_tests.mean_interval(values[:1])).all()
