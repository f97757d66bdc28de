"""The curve of accuracy over the amount of training data."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepemotion.scoring.power_law import fit

SIZES = np.array([1.0, 2.0, 4.0, 7.0])


@pytest.mark.parametrize(("a", "b", "c"), [(0.6, 0.35, 0.5), (0.9, 0.6, 1.0), (0.45, 0.2, 0.3), (1.0, 0.7, 0.2)])
def test_a_curve_without_noise_is_found_again(a, b, c):
    found = fit(SIZES, a - b * SIZES**-c)
    np.testing.assert_allclose(found.at(14.0), a - b * 14**-c, atol=2e-3)
    np.testing.assert_allclose([found.at(size) for size in SIZES], a - b * SIZES**-c, atol=2e-3)


def test_the_value_at_twice_the_data_is_right_on_average_over_noisy_curves():
    rng = np.random.default_rng(0)
    truth = 0.6 - 0.35 * SIZES**-0.5
    noisy = truth + 0.01 * rng.standard_normal((2000, 4))
    values = fit(SIZES, noisy).at(14.0)
    assert values.shape == (2000,)
    assert np.median(values) == pytest.approx(0.6 - 0.35 * 14**-0.5, abs=0.01)


def test_an_error_at_a_larger_size_counts_more():
    accuracy = np.full((2, 4), 0.5)
    accuracy[0, 0] += 0.1
    accuracy[1, -1] -= 0.1
    # Both would fall, so that the nearest curve is flat: the mean with the weights 1 to 4.
    np.testing.assert_allclose(fit(SIZES, accuracy).at(14.0), [0.5 + 0.1 / 10, 0.5 - 0.4 / 10])


@given(st.lists(st.floats(0, 1), min_size=3, max_size=7))
def test_no_fitted_curve_falls_or_exceeds_one(accuracy):
    sizes = 2.0 ** np.arange(len(accuracy))
    found = fit(sizes, np.array(accuracy))
    values = np.array([found.at(size) for size in (*sizes, 2 * sizes[-1], 1e6)])
    assert (np.diff(values) >= -1e-12).all()
    assert -1e-9 <= found.at(2 * sizes[-1]) <= 1 + 1e-9


def test_two_sizes_are_too_few():
    with pytest.raises(ValueError, match="3 sizes, not 2"):
        fit(SIZES[:2], np.array([0.2, 0.3]))
