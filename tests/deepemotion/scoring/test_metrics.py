"""Metrics against scikit-learn's, and intervals against what repeated experiments give."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.signal import lfilter
from sklearn import metrics as reference

from deepemotion.samples.movie_blocks import label_blocks
from deepemotion.samples.samples import SampleTable
from deepemotion.scoring import metrics, score

CLASSES = 5
answers = st.integers(1, 80).flatmap(lambda n: st.tuples(*(arrays(np.int64, n, elements=st.integers(0, 4)),) * 2))


def sums(label, prediction, probability=None, classes=CLASSES):
    return metrics.tally(np.asarray(label), np.asarray(prediction), probability, classes).total()


def confident(prediction, confidence):
    """Probabilities (N, 5) of which the predicted class has `confidence` and the others equal shares of the rest."""
    probability = np.repeat((1 - np.asarray(confidence))[:, None] / 4, CLASSES, axis=1)
    probability[np.arange(len(prediction)), prediction] = confidence
    return probability


@given(answers)
@pytest.mark.filterwarnings("ignore:y_pred contains classes", "ignore:A single label was found")
def test_metrics_are_those_of_scikit_learn(pair):
    label, prediction = pair
    found = sums(label, prediction)
    assert metrics.accuracy(found) == pytest.approx(reference.accuracy_score(label, prediction))
    assert metrics.balanced_accuracy(found) == pytest.approx(reference.balanced_accuracy_score(label, prediction))
    assert metrics.macro_f1(found) == pytest.approx(reference.f1_score(label, prediction, average="macro"))
    assert np.array_equal(found.confusion, reference.confusion_matrix(label, prediction, labels=range(CLASSES)))
    recall = reference.recall_score(label, prediction, labels=range(CLASSES), average=None, zero_division=np.nan)
    np.testing.assert_allclose(metrics.recall(found), recall)


@given(label=arrays(np.int64, 40, elements=st.integers(0, 4)), seed=st.integers(0, 99))
def test_brier_is_the_mean_squared_distance(label, seed):
    probability = np.random.default_rng(seed).dirichlet(np.ones(CLASSES), size=40).astype(np.float32)
    found = metrics.brier(sums(label, probability.argmax(axis=1), probability))
    expected = np.mean([((p - np.eye(CLASSES)[c]) ** 2).sum() for c, p in zip(label, probability, strict=True)])
    assert found == pytest.approx(expected, rel=1e-5)
    assert np.isnan(metrics.brier(sums(label, probability.argmax(axis=1))))


def test_a_constant_answer_scores_one_over_the_classes_that_occur():
    found = sums([0] * 30 + [1] * 8 + [3] * 2, [0] * 40)
    assert metrics.accuracy(found) == 0.75
    assert metrics.balanced_accuracy(found) == pytest.approx(1 / 3)
    assert np.isnan(metrics.recall(found)[[2, 4]]).all()


def test_nothing_to_score_is_nan():
    empty = sums(np.zeros(0, int), np.zeros(0, int), np.zeros((0, CLASSES)))
    assert all(np.isnan(metric(empty)) for metric in metrics.METRICS.values())


def test_calibration_error_by_hand():
    # Ten volumes said with 0.85, of which 6 are right, and ten with 0.45, of which 5 are: gaps of 0.25 and 0.05.
    prediction = np.zeros(20, int)
    label = np.array([0] * 6 + [1] * 4 + [0] * 5 + [1] * 5)
    probability = confident(prediction, [0.85] * 10 + [0.45] * 10)
    assert metrics.calibration_error(sums(label, prediction, probability)) == pytest.approx((0.25 + 0.05) / 2)


def test_a_forecaster_that_knows_its_odds_is_calibrated():
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.3, 1, 50_000)
    prediction = rng.integers(0, CLASSES, 50_000)
    label = np.where(rng.random(50_000) < confidence, prediction, (prediction + 1) % CLASSES)
    assert metrics.calibration_error(sums(label, prediction, confident(prediction, confidence))) < 0.01
    boastful = confident(prediction, np.minimum(confidence + 0.2, 1))
    assert metrics.calibration_error(sums(label, prediction, boastful)) > 0.1


@given(answers, st.integers(2, 9))
def test_every_metric_of_a_resample_is_a_metric_of_whole_blocks(pair, size):
    label, prediction = pair
    block = np.arange(len(label)) // size
    counts = metrics.tally(label, prediction, confident(prediction, np.full(len(label), 0.6)), CLASSES)
    drawn = metrics.block_bootstrap(counts, block, resamples=50)
    volumes = drawn.confusion.sum(axis=(1, 2))
    if block[-1] == 0:
        assert np.isnan(volumes).all()
        assert np.isnan(metrics.interval(metrics.accuracy(drawn))).all()
        return
    sizes = np.bincount(block)
    assert ((volumes >= sizes.min() * len(sizes)) & (volumes <= sizes.max() * len(sizes))).all()
    np.testing.assert_allclose(drawn.bins[..., 0].sum(axis=1), volumes)
    for metric in metrics.METRICS.values():
        values = metric(drawn)
        assert values.shape == (50,)
        low, high = metrics.interval(values)
        assert np.nanmin(values) <= low <= high <= np.nanmax(values)


def test_every_volume_its_own_block_gives_the_binomial_interval():
    label = np.zeros(400, int)
    prediction = (np.arange(400) % 4 == 0).astype(int)
    counts = metrics.tally(label, prediction, None, 2)
    low, high = metrics.interval(metrics.accuracy(metrics.block_bootstrap(counts, np.arange(400), resamples=4000)))
    half = 1.96 * np.sqrt(0.75 * 0.25 / 400)
    assert low == pytest.approx(0.75 - half, abs=0.006)
    assert high == pytest.approx(0.75 + half, abs=0.006)


def movie(rng, volumes=800):
    """Labels in stretches as long as the real ones: log-normal, median 5 and mean 7.5 volumes."""
    lengths = np.maximum(1, np.rint(rng.lognormal(np.log(5), 0.9, volumes))).astype(int)
    label = np.repeat(np.arange(volumes) % CLASSES, lengths)[:volumes]
    return label, label_blocks(np.ones(volumes, int), 2.0 * np.arange(volumes), label)


def answered(rng, label, block):
    """Predictions right half of the time, alike within a block and with an autocorrelation of 0.8 a volume besides."""
    state = lfilter([0.6], [1, -0.8], rng.standard_normal(len(label) + 50))[50:]
    right = rng.standard_normal(block.max() + 1)[block] + state > 0
    return np.where(right, label, (label + 1) % CLASSES)


def coverage(draw, truth, experiments=60):
    """Return the share of experiments whose interval of accuracy holds the truth."""
    hits = 0
    for seed in range(experiments):
        label, prediction, block = draw(np.random.default_rng(seed))
        counts = metrics.tally(label, prediction, None, CLASSES)
        low, high = metrics.interval(metrics.accuracy(metrics.block_bootstrap(counts, block, resamples=200)))
        hits += low <= truth <= high
    return hits / experiments


def test_blocks_cover_the_truth_where_single_volumes_do_not():
    def by_block(rng):
        label, block = movie(rng)
        return label, answered(rng, label, block), block

    def by_volume(rng):
        label, prediction, _ = by_block(rng)
        return label, prediction, np.arange(len(label))

    assert coverage(by_block, 0.5) > 0.85
    assert coverage(by_volume, 0.5) < 0.7


def test_subjects_who_hear_one_movie_are_drawn_together():
    """Six subjects whose errors share the movie's easy and hard stretches: their blocks are not six times as many."""

    def pooled(rng, together):
        label, block = movie(rng, 300)
        shared = answered(rng, label, block) == label
        right = np.concatenate([np.where(rng.random(300) < 0.8, shared, rng.random(300) < 0.5) for _ in range(6)])
        label = np.tile(label, 6)
        block = np.tile(block, 6) if together else np.tile(block, 6) + 1000 * np.repeat(np.arange(6), 300)
        return label, np.where(right, label, (label + 1) % CLASSES), block

    assert coverage(lambda rng: pooled(rng, together=True), 0.5) > 0.85
    assert coverage(lambda rng: pooled(rng, together=False), 0.5) < 0.75


def test_scores_name_what_is_missing_on_a_side():
    label = np.array([0, 0, 1, 1, 2, 2, 0, 0, 1, 1])
    time = 2.0 * np.arange(10)
    table = SampleTable(np.full(10, "01"), np.ones(10, np.int8), np.arange(10), time, time, label, np.eye(3)[label])
    sides = {"train": np.arange(6), "validation": np.arange(6, 10), "unseen": np.arange(0)}
    probability = np.eye(3, dtype=np.float32)[[0, 0, 1, 1, 2, 2, 0, 1, 1, 1]]
    scores = score.scores(table, ("FEAR", "JOY", "LOVE"), sides, probability)
    assert scores["accuracy_train"] == 1
    assert scores["accuracy_validation"] == scores["balanced_accuracy_validation"] == 0.75
    assert scores["accuracy_validation_low"] <= 0.75 <= scores["accuracy_validation_high"]
    assert scores["accuracy_validation_FEAR"] == 0.5
    assert np.isnan(scores["accuracy_validation_LOVE"])
    assert np.isnan(scores["accuracy_unseen"])
    assert scores["ece_validation"] == pytest.approx(0.25)
    assert (scores["classes_missing_train"], scores["classes_missing_validation"]) == (0, 1)
    assert "classes_missing_unseen" not in scores
    assert score.missing_classes(table, ("FEAR", "JOY", "LOVE"), sides) == "validation: LOVE"
