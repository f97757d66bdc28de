"""Accuracy over the amount of training data, with its value at twice as much."""

import numpy as np
import pytest

from deepemotion.scoring.growth import growth

SIZES = (1, 2, 4, 7)
VOLUMES = 60


def folds(rng, units, a=0.6, b=0.35, c=0.5):
    """Return right answers and volumes of folds that differ from each other as a whole, and a little at each size."""
    chance = a - b * np.array(SIZES) ** -c
    chance = chance + 0.05 * rng.standard_normal((units, 1)) + 0.02 * rng.standard_normal((units, 4))
    right = rng.binomial(VOLUMES, np.clip(chance, 0.01, 0.99)).astype(float)
    return right, np.full_like(right, VOLUMES)


def test_the_interval_at_twice_the_data_holds_the_truth_in_most_experiments():
    rng = np.random.default_rng(1)
    truth = 0.6 - 0.35 * 14**-0.5
    twice = [growth(SIZES, *folds(rng, 19), np.arange(19)).twice for _ in range(60)]
    assert np.mean([one.low <= truth <= one.high for one in twice]) > 0.8
    assert np.mean([one.value for one in twice]) == pytest.approx(truth, abs=0.02)


def test_folds_of_a_unit_are_drawn_together():
    right, n = folds(np.random.default_rng(0), 4)
    alone = growth(SIZES, right, n, np.arange(4))
    again = growth(SIZES, np.repeat(right, 5, axis=0), np.repeat(n, 5, axis=0), np.repeat(np.arange(4), 5))
    assert (again.twice.value, again.twice.low, again.twice.high) == pytest.approx(
        (alone.twice.value, alone.twice.low, alone.twice.high)
    )


def test_a_single_unit_has_no_interval_and_two_sizes_no_curve():
    right, n = folds(np.random.default_rng(0), 3)
    found = growth(SIZES, right, n, np.zeros(3, int))
    assert found.twice.value == pytest.approx(found.law.at(14.0))
    assert np.isnan([found.twice.low, found.accuracy[0].low]).all()
    short = growth(SIZES[:2], right[:, :2], n[:, :2], np.arange(3))
    assert (short.law, short.twice) == (None, None)
    assert [one.value for one in short.accuracy] == pytest.approx((right / n).mean(axis=0)[:2])
