"""How well other brains predict a brain, where the truth is known."""

import numpy as np
import pytest

from deepemotion.errors import UserError
from deepemotion.scoring.between_brains import BetweenBrains, agreement

SUBJECTS, FEATURES, MOMENTS = 6, 20, 400


def brains(rng, noise, subjects=SUBJECTS):
    """Return features of subjects that are one signal of variance 1, and independent noise of this SD."""
    signal = rng.standard_normal((FEATURES, MOMENTS))
    return signal + noise * rng.standard_normal((subjects, FEATURES, MOMENTS))


@pytest.mark.parametrize("noise", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("subjects", [2, 6, 15])
def test_agreement_is_that_of_a_known_signal_and_noise(noise, subjects):
    found = agreement(brains(np.random.default_rng(0), noise, subjects))
    variance = 1 + noise**2
    np.testing.assert_allclose(found.shared.mean(), 1 / variance, atol=0.02)
    expected = 1 / np.sqrt(variance * (1 + noise**2 / (subjects - 1)))
    np.testing.assert_allclose(found.with_mean.mean(), expected, atol=0.02)


def test_brains_without_a_common_signal_do_not_agree():
    found = agreement(np.random.default_rng(0).standard_normal((SUBJECTS, FEATURES, MOMENTS)))
    assert np.abs(found.shared).max() < 0.03
    assert np.abs(found.with_mean).max() < 0.05


def test_neither_a_rotation_of_the_space_nor_the_scale_of_a_subject_matters():
    rng = np.random.default_rng(0)
    features = brains(rng, 1.0) * np.linspace(1, 3, FEATURES)[:, None]
    rotation = np.linalg.qr(rng.standard_normal((FEATURES, FEATURES)))[0]
    scale = np.arange(1, 1 + SUBJECTS)[:, None, None]
    before, after = agreement(features), agreement(scale * (rotation @ features) + 5)
    np.testing.assert_allclose(after.shared, before.shared)
    np.testing.assert_allclose(after.with_mean, before.with_mean)


def of_runs(rng, runs=8, subjects=4):
    features = (brains(rng, 1.0, subjects) for _ in range(runs))
    power = np.full(subjects, 4.0 * FEATURES * MOMENTS)
    return BetweenBrains.of(
        "srm", map(str, range(subjects)), ((run, one, power) for run, one in enumerate(features, 1))
    )


def test_the_interval_over_runs_holds_the_truth_in_most_experiments():
    rng = np.random.default_rng(0)
    shared = [of_runs(rng).estimate("shared") for _ in range(60)]
    assert np.mean([one.low < 0.5 < one.high for one in shared]) > 0.8
    assert np.mean([one.high - one.low for one in shared]) < 0.03


def test_it_says_how_much_is_shared_and_how_much_the_space_holds():
    found = of_runs(np.random.default_rng(0))
    assert found.values.shape == (8, 3, 4)
    assert found.estimate("in_space").value == pytest.approx(0.5, abs=0.01)
    assert " of the variance in the common space is shared, and 50." in found.in_words()
    assert found.in_words().endswith(" (srm; 4 subjects, each of 8 runs left out)")


def test_it_is_read_as_it_was_written_and_a_damaged_file_is_one_line(tmp_path):
    found, path = of_runs(np.random.default_rng(0)), tmp_path / "between_brains.tsv"
    found.write(path)
    again = BetweenBrains.read(path)
    assert (again.alignment, again.subjects, again.runs) == (found.alignment, found.subjects, found.runs)
    np.testing.assert_allclose(again.values, found.values, rtol=1e-5)
    text = path.read_text()
    lines = text.splitlines(keepends=True)
    for damaged in ("", lines[0], text[:-3], "".join(lines[:-1]), text.replace("shared", "share"), text + "x\n"):
        path.write_text(damaged)
        with pytest.raises(UserError, match=r"cannot be read \(.*write it again with deepemotion ceiling"):
            BetweenBrains.read(path)
